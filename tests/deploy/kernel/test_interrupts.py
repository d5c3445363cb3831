"""A run that is interrupted, or whose kernel is killed: its journal holds; the next kernel ends or undoes it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from deploy.authorise import Authorisation, step_running
from deploy.history import history
from deploy.journal import read_journal
from deploy.kernel.progress import Interrupts, WaitingClock
from deploy.model import EntryKind
from tests.deploy.kernel.runbook import Kernel, Runbook, environment, kernel, runbook

PATIENCE_S = 120.0
RUNNING = Authorisation("0" * 64, "run", "001", "service/web", frozenset({"web"}))


class StillClock:
    steps_time = True

    def __init__(self) -> None:
        self.slept: list[float] = []

    def now(self) -> datetime:
        return datetime(2026, 5, 13, tzinfo=UTC)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


class StoppingCloud:
    def __init__(self) -> None:
        self.stopped = 0

    def stop_deployments(self) -> None:
        self.stopped += 1


def test_the_first_interrupt_waits_for_the_end_of_the_step() -> None:
    interrupts = Interrupts(lambda _text: None)
    interrupts.ask()
    with step_running(RUNNING):
        interrupts.between_steps()

    with pytest.raises(KeyboardInterrupt, match="before its next step"):
        interrupts.between_steps()
    interrupts.between_steps()  # what is thawed afterwards runs to its end


def test_the_second_interrupt_stops_the_deployment_once() -> None:
    said: list[str] = []
    interrupts, cloud, still = Interrupts(said.append), StoppingCloud(), StillClock()
    clock = WaitingClock(still, interrupts, lambda: None)
    clock.cloud = cloud  # type: ignore[assignment]

    clock.sleep(10)
    interrupts.ask()
    clock.sleep(10)
    assert cloud.stopped == 0

    interrupts.ask()
    clock.sleep(10)
    clock.sleep(10)
    assert cloud.stopped == 1
    assert said == ["Interrupted again: asking ECS to stop the deployment."]
    assert still.slept == [10, 10, 10, 10]


@pytest.fixture
def ready(tmp_path: Path) -> Iterator[Runbook]:
    with runbook(tmp_path) as made, environment(made):
        yield made


def intents(ready: Runbook) -> int:
    """Calls announced so far in the run's journal."""
    return sum(path.read_bytes().count(b'"kind":"intent"') for path in ready.runs)


def when(ready: Runbook, announced: int, act: Callable[[], None]) -> threading.Thread:
    """Act from outside of the kernel as soon as so many calls are announced."""

    def watch() -> None:
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until and intents(ready) < announced and not is_over(ready):
            time.sleep(0.002)  # the kernel is another process: its journal can only be watched
        act()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    return thread


def up_to_approval(started: Kernel, ready: Runbook) -> None:
    for cell in (ready.plan, "%check", "%diff", f"%approve {ready.approval}"):
        answer = started.run(cell)
        assert answer.status == "ok", answer.message


def service(ready: Runbook) -> str:
    ecs = ready.sandbox.client("ecs")
    found = ecs.describe_services(cluster="public-services", services=["web"])["services"][0]
    return str(found["taskDefinition"]).rsplit("/", 1)[-1]


@pytest.mark.slow
def test_an_interrupt_ends_the_run_between_steps_and_rollback_undoes_it(ready: Runbook) -> None:
    with kernel() as started:
        up_to_approval(started, ready)
        watcher = when(ready, 3, started.manager.interrupt_kernel)
        answer = started.run("%apply")
        watcher.join()
        entries = read_journal(ready.runs[0])
        undone = started.run("%rollback")

    last = entries[-1]
    announced = [e.body["step"] for e in entries if e.kind is EntryKind.INTENT]
    done = [e.body["step"] for e in entries if e.kind is EntryKind.DONE]
    assert "interrupted" in answer.message
    assert last.kind is EntryKind.END
    assert last.body["succeeded"] is False
    assert announced == done  # no step was left half done
    assert undone.status == "ok", undone.message
    assert service(ready) == "web:1"


def is_over(ready: Runbook) -> bool:
    return any(b'"kind":"end"' in path.read_bytes() for path in ready.runs)


def kill_at_each_step(ready: Runbook, verb: str = "%apply") -> int:
    """Carry the run out with one kernel after the other, each killed when it announces a further call."""
    killed = 0
    while not is_over(ready):
        with kernel() as started:
            up_to_approval(started, ready)
            started.client.execute(verb)
            when(ready, intents(ready) + 1, lambda: started.manager.shutdown_kernel(now=True)).join()
        killed += 1
        assert killed < 40
    return killed


@pytest.mark.slow
def test_a_kernel_killed_at_each_step_leaves_a_run_that_the_next_one_finishes(ready: Runbook) -> None:
    killed = kill_at_each_step(ready)

    steps = [e.body["step"] for e in read_journal(ready.runs[0]) if e.kind is EntryKind.DONE]
    with kernel() as started:
        assert started.run(ready.plan).status == "ok"
        verified = started.run("%verify")
    assert len(set(steps)) == 15  # a launch template to a drained group, and the service between them
    assert killed >= 12  # a kernel may get a step further before it is gone
    assert verified.status == "ok", verified.message
    assert [run.state for run in history(ready.journal)] == ["succeeded"]
    assert service(ready) == "web:2"


@pytest.mark.slow
@pytest.mark.parametrize("announced", [1, 3, 5, 7, 9])
def test_a_kernel_killed_in_a_run_leaves_one_that_the_next_takes_back(ready: Runbook, announced: int) -> None:
    with kernel() as started:
        up_to_approval(started, ready)
        started.client.execute("%apply")
        when(ready, announced, lambda: started.manager.shutdown_kernel(now=True)).join()

    with kernel() as started:
        taken_up = started.run(ready.plan)
        undone = started.run(f'%rollback "{ready.runs[0]}"')

    assert "was interrupted" in taken_up.shown
    assert undone.status == "ok", undone.message
    assert service(ready) == "web:1"


@pytest.mark.slow
def test_a_second_interrupt_has_ecs_stop_the_deployment_that_is_waited_for(ready: Runbook) -> None:
    with kernel() as started:
        up_to_approval(started, ready)

        def twice() -> None:
            started.manager.interrupt_kernel()
            time.sleep(0.05)  # two signals at once are one
            started.manager.interrupt_kernel()

        def updating() -> bool:
            return any(call == "ecs:UpdateService" for call in ready.writes())

        watcher = once(updating, twice)
        answer = started.run("%apply")
        watcher.join()
        entries = read_journal(ready.runs[0])

    assert "ecs:StopServiceDeployment" in ready.writes()
    assert "Interrupted again" in answer.shown
    assert answer.name == "KernelRefusal"
    assert entries[-1].kind is EntryKind.END
    assert entries[-1].body["succeeded"] is False
    assert service(ready) == "web:1"  # ECS rolled the service back


def once(is_so: Callable[[], bool], act: Callable[[], None]) -> threading.Thread:
    def watch() -> None:
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until and not is_so():
            time.sleep(0.002)
        act()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    return thread


ROLES = {
    "ECS_DEPLOY_READ_ROLE_ARN": "arn:aws:iam::123456789012:role/reads",
    "ECS_DEPLOY_ROLE_ARN": "arn:aws:iam::123456789012:role/deploys",
}


@pytest.mark.slow
def test_the_deploy_role_is_assumed_inside_apply_only(ready: Runbook, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**ROLES, "AWS_ACCESS_KEY_ID": "AKIDSTART", "AWS_SECRET_ACCESS_KEY": "start"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", ready.sandbox.endpoint_url)
    who = "import boto3; print(boto3.client('sts').get_caller_identity()['Arn'])"
    reach = (
        "get_ipython().magics_manager.registry['DeployMagics']._session._hands.boto_session(True, "
        f"{ready.sandbox.endpoint_url!r})"
    )
    with kernel() as started:
        before = started.run(who)
        up_to_approval(started, ready)
        assumed = roles_assumed(ready)
        refused = started.run(reach)
        applied = started.run("%apply")
        after = started.run(who)
        refused_again = started.run(reach)
        child = started.run("!env")

    assert applied.status == "ok", applied.message
    assert "assumed-role/reads" in before.shown
    assert "assumed-role/reads" in after.shown
    assert assumed == 1  # the reading role alone, until %apply
    assert roles_assumed(ready) == 2
    assert "inside %apply and %rollback only" in refused.message
    assert "inside %apply and %rollback only" in refused_again.message
    assert "AKIDSTART" not in child.shown


def roles_assumed(ready: Runbook) -> int:
    return ready.writes().count("sts:AssumeRole")
