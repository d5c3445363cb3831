"""What the alarms of target tracking do, minute by minute, and every 20 seconds on 20-second metrics.

Rules (Application Auto Scaling user guide, "Target tracking scaling policies"): out when any policy wants
it, in only when all that may scale in agree; the largest capacity wins; no scale-in while a deployment
runs; nothing on missing data. An alarm with a scaling action acts every minute (20 seconds) while it is in ALARM.
The new capacity is ceil(capacity x metric / target): AWS documents proportional scaling, not the rounding.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from deploy.sandbox.cloudwatch import Query, metric_key
from deploy.sandbox.scaling import alarms
from deploy.sandbox.scaling.state import Document, Policy, Target
from deploy.sandbox.statistics import over_periods, parse

if TYPE_CHECKING:
    from deploy.sandbox.ecs.state import Service
    from deploy.sandbox.scaling.engine import Scaling

METRIC_DELAY_S: Final = 120.0
"""A minute's data point is seen this long after its minute has ended. AWS's own figures for ECS (363 s from
load to scale-out with 60-second metrics) fit a delay of about 150 s."""
FAST_DELAY_S: Final = 16.0
"""The same for 20 seconds, which fits AWS's figure for those (86 s)."""
DEFAULT_COOLDOWN_S: Final = 300
MINUTE_S: Final = 60


class Tracking:
    def __init__(self, scaling: Scaling) -> None:
        self.scaling = scaling
        self._base: dict[str, int] = {}

    def minute(self) -> None:
        """Evaluate every target-tracking policy once."""
        for target in list(self.scaling.targets.values()):
            found = self.scaling.service(target)
            if found is not None and any(p.alarms for p in target.policies.values()):
                self._evaluate(target, found[1])

    def between_minutes(self) -> None:
        """Evaluate what is scaled on 20-second metrics where no whole minute has passed."""
        if self.scaling.world.clock.seconds % MINUTE_S == 0:
            return
        for target in list(self.scaling.targets.values()):
            found = self.scaling.service(target)
            if found is not None and any(_is_fast(policy) for policy in target.policies.values()):
                self._evaluate(target, found[1])

    def _evaluate(self, target: Target, service: Service) -> None:
        policies = [p for p in target.policies.values() if p.kind == "TargetTrackingScaling"]
        seen = {policy.name: self._recent(target, policy) for policy in policies}
        high = {p.name: _breaches(seen[p.name], alarms.HIGH_POINTS, above=_target(p)) for p in policies}
        low = {
            p.name: _breaches(seen[p.name], len(seen[p.name]), below=_target(p) * alarms.LOW_SHARE)
            for p in policies
        }
        for policy in policies:
            self._show(policy, seen[policy.name], high[policy.name], low[policy.name])
        if any(high.values()):
            out = [p for p in policies if high[p.name]]
            self._scale_out(target, service, out, seen)
            return
        deploying = bool(service.deployments) and service.deployments[0].unfinished
        inward = [p for p in policies if not p.configuration.get("DisableScaleIn")]
        if inward and not deploying and all(low[p.name] for p in inward):
            self._scale_in(target, service, inward, seen)

    def _recent(self, target: Target, policy: Policy) -> list[float | None]:
        """The policy's metric over the last 15 minutes that are published, newest last; None where missing.

        CloudWatch has no value for a period shorter than the metric's own resolution.
        """
        period = alarms.period_of(policy.configuration)
        delay = METRIC_DELAY_S if period == MINUTE_S else FAST_DELAY_S
        points = alarms.low_points(period)
        end = math.floor((self.scaling.world.clock.seconds - delay) / period) * period
        start = end - points * period
        store = self.scaling.world.metrics_of(self.scaling.region)
        metric = alarms.metric_of(target, policy.configuration)
        if "Metrics" in metric:
            return self._calculated(metric["Metrics"], start, end)
        series = [s for s in store.series(metric_key(metric)) if period >= s.resolution_s]
        stamps, values = over_periods(series, parse(metric["Statistic"]), start, end, period)
        known = dict(zip(stamps.tolist(), values.tolist(), strict=True))
        return [known.get(start + point * period) for point in range(points)]

    def _calculated(self, queries: list[Document], start: float, end: float) -> list[float | None]:
        """A metric-math specification, evaluated as GetMetricData would."""
        asked = []
        for query in queries:
            copy = dict(query)
            if "MetricStat" in copy:
                copy["MetricStat"] = {**copy["MetricStat"], "Period": MINUTE_S}
            asked.append(copy)
        params = {
            "MetricDataQueries": asked,
            "StartTime": start,
            "EndTime": end,
            "ScanBy": "TimestampAscending",
        }
        world = self.scaling.world
        results, _ = Query(params, world.metrics_of(self.scaling.region), world.clock.seconds).page(None)
        if not results:
            return [None] * alarms.LOW_MINUTES
        known = dict(zip(results[0].timestamps.tolist(), results[0].values.tolist(), strict=True))
        return [known.get(int(start) + minute * MINUTE_S) for minute in range(alarms.LOW_MINUTES)]

    def _scale_out(
        self, target: Target, service: Service, policies: list[Policy], seen: dict[str, list[float | None]]
    ) -> None:
        """To the largest capacity wanted. Within the cooldown, what was added already counts."""
        if target.suspended.get("DynamicScalingOutSuspended"):
            return
        now = self.scaling.world.clock.seconds
        wanted: dict[str, int] = {}
        for policy in policies:
            cooling = now < policy.scaled_out_at + _cooldown(policy, "ScaleOutCooldown")
            base = self._base.get(policy.arn, service.desired) if cooling else service.desired
            wanted[policy.name] = _proportional(base, seen[policy.name], policy)
        policy = max(policies, key=lambda p: wanted[p.name])
        before = service.desired
        if wanted[policy.name] > before and self._set(target, policy, wanted[policy.name], "High"):
            if now >= policy.scaled_out_at + _cooldown(policy, "ScaleOutCooldown"):
                self._base[policy.arn] = before
            policy.scaled_out_at = now
            policy.scaled_in_at = float("-inf")

    def _scale_in(
        self, target: Target, service: Service, policies: list[Policy], seen: dict[str, list[float | None]]
    ) -> None:
        now = self.scaling.world.clock.seconds
        cooling = any(now < p.scaled_in_at + _cooldown(p, "ScaleInCooldown") for p in policies)
        if cooling or target.suspended.get("DynamicScalingInSuspended"):
            return
        wanted = {p.name: _proportional(service.desired, seen[p.name], p) for p in policies}
        policy = max(policies, key=lambda p: wanted[p.name])
        if wanted[policy.name] < service.desired and self._set(target, policy, wanted[policy.name], "Low"):
            for each in policies:
                each.scaled_in_at = now

    def _set(self, target: Target, policy: Policy, capacity: int, side: str) -> bool:
        alarm = next((a["AlarmName"] for a in policy.alarms if f"Alarm{side}" in a["AlarmName"]), "")
        cause = f"monitor alarm {alarm} in state ALARM triggered policy {policy.name}"
        return self.scaling.set_capacity(target, capacity, cause)

    def _show(self, policy: Policy, seen: list[float | None], high: bool, low: bool) -> None:
        """Set the states of the policy's alarms where they changed."""
        missing = all(value is None for value in seen[-alarms.HIGH_POINTS :])
        known = alarms.backend(self.scaling).alarms
        for alarm in policy.alarms:
            stored = known.get(alarm["AlarmName"])
            breached = high if "AlarmHigh" in alarm["AlarmName"] else low
            state = "INSUFFICIENT_DATA" if missing else "ALARM" if breached else "OK"
            if stored is not None and stored.state_value != state:
                newest = next((v for v in reversed(seen) if v is not None), None)
                text = "no data points" if newest is None else f"the newest data point is {newest:.4g}"
                stored.update_state(f"Threshold {stored.threshold}: {text}.", "{}", state)


def _is_fast(policy: Policy) -> bool:
    return policy.kind == "TargetTrackingScaling" and alarms.period_of(policy.configuration) < MINUTE_S


def _target(policy: Policy) -> float:
    return float(policy.configuration["TargetValue"])


def _cooldown(policy: Policy, name: str) -> float:
    value = policy.configuration.get(name)
    return float(DEFAULT_COOLDOWN_S if value is None else value)


def _proportional(capacity: int, seen: list[float | None], policy: Policy) -> int:
    newest = next((value for value in reversed(seen) if value is not None), _target(policy))
    return math.ceil(capacity * newest / _target(policy) - 1e-6)


def _breaches(
    seen: list[float | None], points: int, above: float | None = None, below: float | None = None
) -> bool:
    """Whether all of the last `points` data points are there and beyond the threshold."""
    last = seen[-points:]
    return all(
        value is not None and (above is None or value > above) and (below is None or value < below)
        for value in last
    )
