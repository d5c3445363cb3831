"""The verbs as line magics: read the arguments, call the session, show its value, note it in the record."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from IPython.core.error import UsageError
from IPython.core.magic import Magics, magics_class

from deploy.kernel import render
from deploy.kernel.ipython import arguments, display, line_magic, option, parsed
from deploy.kernel.progress import FIRST, Interrupts, WaitingClock, WatchedCloud
from deploy.kernel.record import Record, read_record
from deploy.kernel.refusals import KernelRefusal
from deploy.kernel.session import Place, Session, told

VERBS = ("plan", "check", "diff", "approve", "apply", "watch", "verify", "rollback", "drift", "history")
JOURNAL = "runs/journal"


@magics_class
class DeployMagics(Magics):
    """%plan, %check, %diff, %approve, %apply, %watch, %verify, %rollback, %drift and %history."""

    def __init__(self, shell: Any, session: Session, record: Record) -> None:
        super().__init__(shell=shell)
        self._session = session
        self._record = record
        self._banner: Any = None

    # One verb after the other

    @arguments()
    @option("bundle", help="config.json or its folder")
    @option("--region", default="", help="AWS Region; the bundle's own by default")
    @option("--endpoint-url", default="", help="another AWS endpoint, e.g. the sandbox's")
    @option("--journal", default=JOURNAL, help="folder for the run's journal and this kernel's record")
    @option("--lock", default="", help="s3://bucket/key or dynamodb://table; a local file by default")
    @line_magic
    def plan(self, line: str) -> None:
        """Take up a configuration bundle: whose it is, for where, what it costs."""
        given = self._arguments(self.plan, line)
        place = Place(given.region or None, given.endpoint_url or None, Path(given.journal), given.lock or None)
        self._show_banner("reading the plan")
        with self._verb("plan", bundle=given.bundle, endpoint_url=given.endpoint_url, region=given.region):
            config = self._session.plan(Path(given.bundle), place)
            self._record.keep_in(place.journal)
            from deploy.apply import find_interrupted
            from planner.documents import digest

            sha256 = digest(config)
            self._note(bundle_sha256=sha256, author=config.author)
            with told():
                interrupted = find_interrupted(place.journal, sha256)
            display(render.plan(config, sha256, str(interrupted) if interrupted else None))

    @arguments()
    @line_magic
    def check(self, line: str) -> None:
        """Whether it would work: images, secrets, roles, quotas, and whether the rollout fits."""
        self._arguments(self.check, line)
        with self._verb("check"):
            found = self._session.check()
            self._note(ng=[c.name for c in found if c.status == "NG"], checks=len(found))
            display(render.checks("Check", found))
            self._gate("check", found)

    @arguments()
    @line_magic
    def diff(self, line: str) -> None:
        """What would change, each change named for what it does to running tasks."""
        self._arguments(self.diff, line)
        with self._verb("diff"):
            found = self._session.diff()
            self._note(changes=len(found.changes), changes_sha256=found.digest)
            display(render.changes(found))

    @arguments()
    @option("approval", nargs="?", default="", help="approval.json; with --key it is written")
    @option("--key", default="", help="private key (PEM) to sign with, here and now")
    @option("--approver", default="", help="your name, as in the allow-list")
    @option("--reason", default="", help="why, in one sentence")
    @option("--cost-ceiling", type=float, default=None, help="USD a month that the plan may cost at most")
    @option("--expires", default="8h", help="how long it is valid: 30m, 8h, 2d")
    @line_magic
    def approve(self, line: str) -> None:
        """Verify an approval (or sign one with a local key) for exactly this bundle."""
        from deploy.approve import dump_approval, load_approval

        given = self._arguments(self.approve, line)
        with self._verb("approve", approval=given.approval):
            self._session.require("approve")
            if given.key:
                signed = self._sign(given)
                if given.approval:
                    dump_approval(signed, Path(given.approval))
            elif not given.approval:
                raise KernelRefusal("%approve needs an approval.json, or --key to sign one. Nothing was written.")
            else:
                with told():
                    signed = load_approval(Path(given.approval))
            approval = self._session.approve(signed)
            statement = approval.statement
            self._note(approver=statement.approver, reason=statement.reason, expires_at=statement.expires_at)
            self._record.append("decision", {"approved": statement.bundle_sha256, "by": statement.approver})
            display(render.approval(approval))

    def _sign(self, given: Any) -> Any:
        from deploy.options import duration

        if given.cost_ceiling is None or not given.approver or not given.reason:
            raise KernelRefusal("Signing needs --approver, --reason and --cost-ceiling. Nothing was written.")
        with told():
            return self._session.sign(
                given.key,
                approver=given.approver,
                reason=given.reason,
                expires_in=duration(given.expires, "--expires"),
                cost_ceiling_usd_per_month=given.cost_ceiling,
            )

    @arguments()
    @option("--wait", action="store_true", help="wait until the working hours are over")
    @line_magic
    def apply(self, line: str) -> None:
        """Carry out the approved bundle, or go on with an interrupted run of it."""
        given = self._arguments(self.apply, line)
        with self._verb("apply"):
            self._session.require("apply")
            ended = self._run("Apply", partial(self._session.apply, wait_for_hours=given.wait))
            self._end("apply", "Applied", ended)

    @arguments()
    @option("--seconds", type=float, default=0.0, help="how long to watch; 0: until every deployment has ended")
    @line_magic
    def watch(self, line: str) -> None:
        """Deployments, task counts and alarms of the bundle's services, live."""
        given = self._arguments(self.watch, line)
        with self._verb("watch"):
            self._session.require("watch")
            from deploy.kernel.watch import watch

            handle = display(render.deployments([], "reading"), display_id=True)
            watch(self._session, given.seconds, handle.update)

    @arguments()
    @line_magic
    def verify(self, line: str) -> None:
        """Whether the live state is the approved one, deployment by deployment."""
        self._arguments(self.verify, line)
        with self._verb("verify"):
            found = self._session.verify(lambda text: self._show_banner("verifying", remark=text))
            self._note(ng=[c.name for c in found if c.status == "NG"], checks=len(found))
            display(render.checks("Verify", found))
            self._gate("verify", found)

    @arguments()
    @option("journal", nargs="?", default="", help="journal of the run; the last run of this kernel by default")
    @option("--force", action="store_true", help="overwrite what somebody changed since, too")
    @option("--region", default="", help="AWS Region; the run's own by default")
    @option("--endpoint-url", default="", help="another AWS endpoint, e.g. the sandbox's")
    @line_magic
    def rollback(self, line: str) -> None:
        """Take a whole run back, from its journal alone."""
        given = self._arguments(self.rollback, line)
        self._show_banner("taking a run back")
        with self._verb("rollback", journal=given.journal):
            journal = self._journal(given.journal)
            if given.endpoint_url or given.region or not self._session.done:
                place = Place(
                    given.region or None, given.endpoint_url or None, journal.parent, self._session.place.lock
                )
                self._session.go_to(place)
            self._record.keep_in(journal.parent)
            ended = self._run("Rollback", partial(self._session.rollback, journal, force=given.force))
            self._end("rollback", "Taken back", ended)

    def _journal(self, named: str) -> Path:
        if not named and self._session.outcome is not None:
            return Path(self._session.outcome.journal)
        if not named and not self._session.done:
            raise KernelRefusal("%rollback needs the journal of a run: there was none here. Nothing was done.")
        path = Path(named) if named else self._session.place.journal
        found = sorted(path.glob("*.jsonl")) if path.is_dir() else [path]
        if len(found) != 1:
            raise KernelRefusal(f"{path} holds {len(found)} journals: name the file of the run. Nothing was done.")
        return found[0]

    @arguments()
    @line_magic
    def drift(self, line: str) -> None:
        """What differs between the approved and the live state, and who changed it where that is known."""
        self._arguments(self.drift, line)
        with self._verb("drift"):
            found = self._session.drift()
            self._note(drifted=len(found))
            display(render.drift(found))

    @arguments()
    @option("record", nargs="?", default="", help="a record or journal to verify; this kernel's own by default")
    @option("--head", default="", help="hash of the last line, where it was noted")
    @line_magic
    def history(self, line: str) -> None:
        """Every cell, verb, call, decision and person so far, after checking the chain."""
        given = self._arguments(self.history, line)
        self._record.flush()
        if given.record:
            display(_read_history(Path(given.record), given.head or None))
            return
        lines = self._record.lines
        where = self._record.path
        if where is not None:
            lines = read_record(where, self._record.head)
        remark = f"{len(lines)} lines, the chain holds; head {self._record.head}"
        display(render.history(lines, str(where) if where else "in memory, until %plan names a journal", remark))

    @arguments()
    @option("--service", required=True, help="ECS service")
    @option("--image", required=True, help="image reference, best with its digest")
    @option("--cluster", required=True, help="ECS cluster")
    @option("--author", required=True, help="who asks for it; somebody else has to approve")
    @option("--out", default="patch", help="folder for the bundle; one that is there is kept")
    @option("--region", default="", help="AWS Region")
    @option("--endpoint-url", default="", help="another AWS endpoint, e.g. the sandbox's")
    @line_magic
    def patch(self, line: str) -> None:
        """Make a bundle that gives one service a new image and changes nothing else; approve it as any other."""
        given = self._arguments(self.patch, line)
        self._show_banner("making the bundle")
        with self._verb("patch", service=given.service, image=given.image):
            place = Place(given.region or None, given.endpoint_url or None, Path(given.out), None)
            names = {name: getattr(given, name) for name in ("service", "image", "cluster", "author")}
            path = self._session.patch(Path(given.out), place, **names)
            remark = f"Have it approved: deploy approve {path} --key KEY --approver NAME --reason WHY ..."
            display(render.Shown(f"Bundle {path}", remark=remark))

    @arguments()
    @option("--zone", required=True, help="the zone that is lost, e.g. eu-west-2a")
    @option("--day", default="monday", help="day of the week")
    @option("--begins", type=int, default=8, help="hour at which the drill begins")
    @option("--hours", type=int, default=6, help="how long it lasts")
    @option("--lost-at", type=int, default=10, help="hour at which the zone is lost")
    @option("--timezone", default="Europe/London", help="IANA time zone of the hours")
    @line_magic
    def drill(self, line: str) -> None:
        """In a sandbox: let a day's load pass over the applied plan, and lose a zone in the middle of it."""
        given = self._arguments(self.drill, line)
        with self._verb("drill", zone=given.zone, day=given.day):
            self._session.require("drill")
            from deploy.clock import SandboxClock
            from deploy.kernel import drill

            clock = self._session.clock()
            if not isinstance(clock, SandboxClock):
                raise KernelRefusal("%drill works on a sandbox only: start one with `deploy sandbox up`.")
            day = drill.Drill(given.day, given.begins, given.hours, given.zone, given.lost_at, given.timezone)
            handle = display(render.drill(day, [], None), display_id=True)
            with told():
                cloud = self._session.cloud(self._session.config, clock=clock)
                services = self._session.services
                hours = drill.run(
                    cloud,
                    clock,
                    services,
                    day,
                    lambda so_far, lost: handle.update(render.drill(day, so_far, lost)),
                )
            self._note(hours=len(hours), short=sum(hour.short_samples for hour in hours))

    # What they share

    def _arguments(self, magic: Callable[..., Any], line: str) -> Any:
        try:
            return parsed(magic, line)
        except (UsageError, ValueError) as error:
            name = magic.__name__
            raise KernelRefusal(
                f"%{name} does not understand {line!r} ({error}): see %{name}?. Nothing was done."
            ) from None

    @contextmanager
    def _verb(self, name: str, **told_of: Any) -> Iterator[None]:
        self._noted: dict[str, Any] = {}
        self._record.append("verb", {"verb": name, "person": getpass.getuser(), **told_of})
        try:
            yield
        except BaseException as error:
            reason = str(error) or type(error).__name__
            self._record.append("outcome", {"verb": name, "ended": "refused", "reason": reason, **self._noted})
            self._show_banner(f"stopped at %{name}", "bad", reason)
            raise
        self._record.append("outcome", {"verb": name, "ended": "done", **self._noted})
        self._show_banner(f"%{name} is done", "good" if name in {"apply", "verify", "rollback"} else "")

    def _note(self, **facts: Any) -> None:
        self._noted.update(facts)

    def _show_banner(self, state: str, mood: str = "", remark: str = "") -> None:
        """One line where the first verb of the notebook stands, kept up to date by every later one."""
        shown = render.banner(state, mood, remark)
        if self._banner is None:
            self._banner = display(shown, display_id=True)
        else:
            self._banner.update(shown)

    def _gate(self, verb: str, found: Any) -> None:
        failed = [check for check in found if check.status == "NG"]
        if failed:
            raise KernelRefusal(f"%{verb} found {failed[0].name}: {failed[0].reason} ({len(failed)} NG in all).")

    def _run(self, title: str, go: Callable[..., Any]) -> Any:
        from deploy.kernel.watch import LiveRun

        live = LiveRun(title, self._session.clock())
        interrupts = Interrupts(live.say)
        clock = WaitingClock(self._session.clock(), interrupts, live.look)

        def cloud_of(cloud: Any) -> WatchedCloud:
            clock.cloud = live.cloud = WatchedCloud(cloud, interrupts)
            return clock.cloud

        with interrupts.held():
            return go(cloud_of=cloud_of, clock=clock, say=live.say)

    def _end(self, verb: str, title: str, ended: Any) -> None:
        from deploy.rollout import describe

        self._note(journal=ended.journal, steps_done=ended.steps_done, steps_total=ended.steps_total)
        if ended.succeeded:
            display(render.outcome(title, ended))
            return
        display(render.outcome(f"Not {title.lower()}", ended))
        why = describe(ended.failure) if ended.failure else "not every step could be done"
        hint = FIRST if "interrupted" in why else f"Take it back with %rollback {ended.journal}."
        raise KernelRefusal(f"%{verb} ended after {ended.steps_done} of {ended.steps_total} steps: {why}. {hint}")


def _read_history(path: Path, head: str | None) -> render.Shown:
    """A record, or a run's journal, whose chain holds."""
    from deploy.kernel.record import RecordAltered

    try:
        lines = read_record(path, head)
    except OSError as error:
        raise KernelRefusal(f"{path} cannot be read ({error.strerror}).") from None
    except RecordAltered as error:
        raise KernelRefusal(str(error)) from None
    return render.history(
        lines, str(path), f"{len(lines)} lines, the chain holds; head {lines[-1].sha256 if lines else '-'}"
    )
