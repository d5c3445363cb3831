"""Service auto scaling: several policies, one desired count (Application Auto Scaling user guide)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from planner.scaling.proposals import Proposal, Stepper, Tracker, Wish


class Cause(StrEnum):
    POLICY = "policy"
    BOUNDS = "bounds"


@dataclass(frozen=True, slots=True)
class Activity:
    """One scaling activity: the desired count changed."""

    second: float
    """Since the start of the replay."""
    before: int
    after: int
    cause: Cause


class ServiceScaler:
    """Holds the desired count and moves it by bounds first, then by policies."""

    def __init__(self, desired: int, trackers: list[Tracker], steppers: list[Stepper]) -> None:
        self.desired = desired
        self.activities: list[Activity] = []
        self._trackers = trackers
        self._policies: list[Tracker | Stepper] = [*trackers, *steppers]

    def decide(self, now_s: float, minimum: int, maximum: int, deploying: bool, running: int) -> int:
        """Set the desired count for the tick that starts now.

        [D] Bounds act at once and ignore cooldowns; any policy may scale out; all target tracking policies
        with scale-in enabled must agree to scale in; of several counts the largest wins; a deployment in
        progress turns scale-in off and leaves scale-out on.
        """
        for policy in self._policies:
            policy.out_cooldown.watch(now_s, running >= self.desired)
        bounded = min(max(self.desired, minimum), maximum)
        if bounded > self.desired or not deploying:
            self._move(now_s, bounded, Cause.BOUNDS)
        proposals = self._collect(now_s, maximum)
        outs = [(p, w) for p, w in proposals if w.wish is Wish.OUT]
        if outs:
            self._scale_out(now_s, outs)
        elif not deploying:
            self._scale_in(now_s, proposals, minimum)
        return self.desired

    def _collect(self, now_s: float, maximum: int) -> list[tuple[Tracker | Stepper, Proposal]]:
        found = []
        for policy in self._policies:
            policy.observe(now_s)
            if now_s % policy.settings.period_s == 0:
                proposal = policy.propose(now_s, self.desired, maximum)
                if proposal is not None:
                    found.append((policy, proposal))
        return found

    def _scale_out(self, now_s: float, outs: list[tuple[Tracker | Stepper, Proposal]]) -> None:
        tasks = max(proposal.tasks for _, proposal in outs)
        leading = [policy for policy, proposal in outs if proposal.tasks == tasks]
        for policy in self._policies:
            # [D] What an activity added counts for the next one, whichever policy calls for that [U]: else the
            # second of two policies would multiply the new count by metrics of the old.
            if policy in leading or now_s >= policy.out_cooldown.until_s:
                policy.out_cooldown.start(now_s, self.desired)
            policy.in_until_s = now_s  # a scale-out ends every scale-in cooldown
        self._move(now_s, tasks, Cause.POLICY)

    def _scale_in(self, now_s: float, ins: list[tuple[Tracker | Stepper, Proposal]], minimum: int) -> None:
        agreeing = [policy for policy, _ in ins]
        trackers = [t for t in self._trackers if not t.settings.disable_scale_in]
        tracked = any(isinstance(policy, Tracker) for policy in agreeing)
        if tracked and not all(t in agreeing for t in trackers):
            ins = [(p, w) for p, w in ins if isinstance(p, Stepper)]
        if not ins:
            return
        tasks = max(max(proposal.tasks for _, proposal in ins), minimum)
        if tasks >= self.desired:
            return
        for policy, proposal in ins:
            if max(proposal.tasks, minimum) == tasks:
                policy.in_until_s = now_s + policy.scale_in_cooldown_s
        self._move(now_s, tasks, Cause.POLICY)

    def _move(self, now_s: float, tasks: int, cause: Cause) -> None:
        if tasks != self.desired:
            self.activities.append(Activity(now_s, self.desired, tasks, cause))
            self.desired = tasks
