"""The runbook's state: which bundle, what is known of it, and which verb may come next.

A verb calls the deploy library and keeps its value; it decides nothing itself. The order is plan, check, diff,
approve, apply, verify; `GATES` says what each needs and why.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deploy.kernel.refusals import KernelRefusal, WrongOrder
from planner.terminal import UserError, explain

if TYPE_CHECKING:
    from deploy.drift import Drift
    from deploy.keys import Approver
    from deploy.model import Approval, ChangeSet, Check, Outcome
    from deploy.ports import Clock
    from planner.documents import ConfigDocument

GATES: dict[str, tuple[tuple[str, str], ...]] = {
    "plan": (),
    "check": (("plan", "there is no bundle to check"),),
    "diff": (("plan", "there is no bundle to compare"),),
    "approve": (
        ("plan", "there is no bundle to approve"),
        ("check", "nobody has seen whether it would work"),
        ("diff", "nobody has seen what it changes"),
    ),
    "apply": (
        ("plan", "there is no bundle to apply"),
        ("check", "nobody has seen whether it would work"),
        ("diff", "nobody has seen what it changes"),
        ("approve", "nobody has approved it"),
    ),
    "watch": (("plan", "there are no services to watch"),),
    "verify": (("plan", "there is no bundle to verify"),),
    "rollback": (),
    "drift": (("plan", "there is nothing to compare with"),),
    "history": (),
    "patch": (),
    "drill": (
        ("plan", "there are no services to watch"),
        ("apply", "the plan that is rehearsed is not applied in the sandbox"),
    ),
}
"""For each verb: what must have succeeded before it for the present bundle, and what is missing without it."""


CloudOf = Callable[[Any], Any]
"""Wraps the cloud of a run: announcements to the guard, and interrupts between steps."""
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a bundle goes and where its traces stay."""

    region: str | None
    endpoint_url: str | None
    journal: Path
    lock: str | None


@dataclass(frozen=True, slots=True)
class Hands:
    """What a session needs from the process it runs in."""

    boto_session: Callable[[bool, str | None], Any]
    """(for the deploy role, endpoint) -> boto3 session"""
    clock: Callable[[str | None], Clock]
    run: Callable[..., AbstractContextManager[None]]
    """The guard's `run`."""
    approvers: Callable[[], tuple[Approver, ...]]
    """The allow-list as it was when the kernel started."""
    remember_endpoint: Callable[[str, int], None]


class Session:
    """One kernel's runbook."""

    def __init__(self, hands: Hands) -> None:
        self._hands = hands
        self._done: set[str] = set()
        self._config: ConfigDocument | None = None
        self._approval: Approval | None = None
        self.bundle: Path | None = None
        self.place = Place(None, None, Path("runs/journal"), None)
        self.outcome: Outcome | None = None

    @property
    def config(self) -> ConfigDocument:
        if self._config is None:
            raise WrongOrder("There is no bundle yet: %plan comes first. Nothing was done.")
        return self._config

    @property
    def approval(self) -> Approval | None:
        return self._approval

    @property
    def done(self) -> frozenset[str]:
        return frozenset(self._done)

    def require(self, verb: str) -> None:
        """WrongOrder says which verb comes first and why."""
        for needed, without in GATES[verb]:
            if needed not in self._done:
                raise WrongOrder(f"%{verb} is refused: {without}. %{needed} comes first. Nothing was done.")

    # The verbs

    def plan(self, bundle: Path, place: Place) -> ConfigDocument:
        """Take up a bundle; whatever was known of another one is forgotten."""
        from deploy.observe import WrongPlace
        from deploy.session import read_bundle

        self._done.clear()
        self._config, self._approval, self.outcome = None, None, None
        with told():
            config = read_bundle(bundle)
            self.place = place
            if place.endpoint_url:
                self._remember(place.endpoint_url)
            scope = self.cloud(config).scope()
            if (scope.account_id, scope.region) != (config.scope.account_id, config.scope.region):
                raise WrongPlace(
                    f"The bundle is for account {config.scope.account_id} in {config.scope.region}, but this "
                    f"kernel is in {scope.account_id} in {scope.region}: start it with another role, or pass "
                    "--region. Nothing was written."
                )
        self._config, self.bundle = config, bundle
        self._done.add("plan")
        return config

    def check(self) -> tuple[Check, ...]:
        from deploy.verbs import check_bundle

        self.require("check")
        with told():
            checks = check_bundle(self.config, self.cloud(self.config))
        self._pass("check", not any(check.status == "NG" for check in checks))
        return checks

    def diff(self) -> ChangeSet:
        self._pass("diff", False)
        changes = self.diff_only("diff")
        self._pass("diff", True)
        return changes

    def drift(self) -> tuple[Drift, ...]:
        """Where live is not as approved, and who changed it where CloudTrail tells."""
        from deploy.drift import drift

        self.require("drift")
        with told():
            return drift(self.config, self.cloud(self.config))

    def patch(self, out: Path, place: Place, *, service: str, image: str, cluster: str, author: str) -> Path:
        """Make the bundle of a new image for one service; one that is there is kept, as it may be approved."""
        from deploy.aws import AwsCloud, Calls
        from deploy.patch import patch
        from deploy.session import CONFIG_NAME, read_bundle
        from planner.documents import dump_config

        path = out / CONFIG_NAME
        if place.endpoint_url:
            self._remember(place.endpoint_url)
        with told():
            if path.exists():
                _require_patch_of(read_bundle(path), path, service, image)
                return path
            clock = self._hands.clock(place.endpoint_url)
            boto = self._hands.boto_session(False, place.endpoint_url)
            region = place.region or boto.region_name
            if region is None:
                raise KernelRefusal("Say the Region with --region or AWS_REGION. Nothing was done.")
            cloud = AwsCloud(Calls(boto, region, place.endpoint_url, clock), cluster)
            config = patch(cloud, service, image, author, clock.now())
            out.mkdir(parents=True, exist_ok=True)
            dump_config(config, path)
        return path

    def diff_only(self, verb: str) -> ChangeSet:
        """Live against the bundle; a problem that stands in the way is a refusal."""
        from deploy.diff import diff
        from deploy.observe import observe

        self.require(verb)
        with told():
            observation = observe(self.config, self.cloud(self.config))
            if observation.problems:
                first = observation.problems[0]
                raise KernelRefusal(f"{first.what} {first.reason}. Nothing was written.")
            return diff(observation.live, observation.wanted, self.config)

    def approve(self, approval: Approval) -> Approval:
        """Take up an approval that is valid for this bundle now."""
        from deploy.approve import require_valid

        self.require("approve")
        self._approval = None
        self._pass("approve", False)
        with told():
            clock = self._hands.clock(self.place.endpoint_url)
            require_valid(approval, self.config, self._hands.approvers(), clock.now())
        self._approval = approval
        self._pass("approve", True)
        return approval

    def sign(self, key: str, **options: Any) -> Approval:
        """Sign with a local key; a KMS key signs outside of this kernel, where it is not a write."""
        from deploy.verbs import approve_bundle

        self.require("approve")
        if key.startswith(("arn:aws", "alias/", "kms:")):
            raise KernelRefusal(
                "kms:Sign is not a read, so this kernel does not make it: sign with `deploy approve --key "
                f"{key} ...` and pass its approval.json to %approve. Nothing was written."
            )
        with told():
            return approve_bundle(self.config, self.cloud(self.config), key, **options)

    def apply(self, *, wait_for_hours: bool, cloud_of: CloudOf, clock: Clock, say: Say) -> Outcome:
        """Carry out the approved bundle, or go on with an interrupted run of it."""
        from deploy.apply import apply

        self.require("apply")
        assert self._approval is not None
        config, approval = self.config, self._approval
        self._pass("apply", False)
        with told(), self._hands.run(config, approval, self.place.lock):
            world = self._world(config, cloud_of, clock, say)
            self.outcome = apply(
                config,
                approval,
                self._hands.approvers(),
                world,
                self.place.journal,
                wait_for_hours=wait_for_hours,
            )
        self._pass("apply", self.outcome.succeeded)
        return self.outcome

    def verify(self, say: Say) -> tuple[Check, ...]:
        from deploy.verify import verify

        self.require("verify")
        with told():
            cloud = self.cloud(self.config)
            checks = verify(self.config, cloud, cloud.calls.clock, say=say)
        self._pass("verify", not any(check.status == "NG" for check in checks))
        return checks

    def rollback(self, journal: Path, *, force: bool, cloud_of: CloudOf, clock: Clock, say: Say) -> Outcome:
        """Take a run back. The journal holds the approval it was made under; that is the evidence."""
        from deploy.journal import read_journal
        from deploy.rollback import read_past, rollback

        with told():
            entries = read_journal(journal)
            config = read_past(entries).config
            given = approval_in(entries[0].body)
            with self._hands.run(config, given, self.place.lock, taking_back=True):
                self.outcome = rollback(journal, self._world(config, cloud_of, clock, say), force=force)
        self._done -= {"apply", "verify", "approve", "diff", "check"}
        return self.outcome

    # What they stand on

    @property
    def services(self) -> list[str]:
        """Names of the ECS services in the bundle."""
        return [resource.name for resource in self.config.resources if resource.type == "service"]

    def go_to(self, place: Place) -> None:
        """Where a rollback goes that stands on its own, without a plan before it."""
        self.place = place
        if place.endpoint_url:
            self._remember(place.endpoint_url)

    def clock(self) -> Clock:
        return self._hands.clock(self.place.endpoint_url)

    def cloud(self, config: ConfigDocument, *, to_write: bool = False, clock: Clock | None = None) -> Any:
        """The account as the read-only role sees it; with the deploy role only inside a run."""
        from deploy.aws import AwsCloud, Calls

        boto = self._hands.boto_session(to_write, self.place.endpoint_url)
        region = self.place.region or config.scope.region
        return AwsCloud(Calls(boto, region, self.place.endpoint_url, clock or self.clock()), config.scope.cluster)

    def _world(self, config: ConfigDocument, cloud_of: CloudOf, clock: Clock, say: Say) -> Any:
        from deploy.apply import World
        from deploy.lock import BadLock, lock_from

        cloud = self.cloud(config, to_write=True, clock=clock)
        scope = f"{config.scope.account_id}-{config.scope.region}-{config.scope.cluster}"
        self.place.journal.mkdir(parents=True, exist_ok=True)
        try:
            lock = lock_from(self.place.lock, cloud.calls.call, clock, self.place.journal, scope)
        except BadLock as error:
            raise KernelRefusal(str(error)) from None
        return World(cloud_of(cloud), clock, lock, say)

    def _pass(self, verb: str, passed: bool) -> None:
        (self._done.add if passed else self._done.discard)(verb)

    def _remember(self, endpoint_url: str) -> None:
        from urllib.parse import urlsplit

        parts = urlsplit(endpoint_url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise KernelRefusal(f"--endpoint-url {endpoint_url!r} is not understood: write http://host:port.")
        self._hands.remember_endpoint(parts.hostname, parts.port or (443 if parts.scheme == "https" else 80))


def _require_patch_of(config: ConfigDocument, path: Path, service: str, image: str) -> None:
    images = [r.request.get("$image") for r in config.resources if r.name == service and "$image" in r.request]
    if images != [image]:
        raise KernelRefusal(
            f"{path} is another bundle than {service} with {image}: name another folder with --out."
        )


def approval_in(begin: Any) -> Any:
    """The approval as a run's journal keeps it in its first line."""
    from deploy.approve import parse_approval

    return parse_approval(
        {"statement": begin["approval"], "signature": begin["signature"], "observed": {}, "checks": []}
    )


@contextmanager
def told() -> Iterator[None]:
    """Turn what the library raises into one sentence."""
    from deploy.session import errors_told

    try:
        with errors_told():
            yield
    except KernelRefusal:
        raise
    except UserError as error:
        raise KernelRefusal(str(error)) from None
    except Exception as error:
        known = explain(error)
        if known is None:
            raise
        raise KernelRefusal(str(known)) from None
