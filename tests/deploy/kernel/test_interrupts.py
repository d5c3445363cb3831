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
        while time.monotonic() < until and intents(ready) < announced:
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


@pytest.mark.slow
def test_a_kernel_killed_again_and_again_leaves_a_run_that_the_next_one_finishes(ready: Runbook) -> None:
    for announced in (1, 4, 7, 9):
        with kernel() as started:
            up_to_approval(started, ready)
            message = started.client.execute("%apply")
            when(ready, announced, lambda: started.manager.shutdown_kernel(now=True)).join()
            assert message
        assert [run.state for run in history(ready.journal)] == ["interrupted"]

    with kernel() as started:
        taken_up = started.run(ready.plan)
        for cell in ("%check", "%diff", f"%approve {ready.approval}"):
            started.run(cell)
        answer = started.run("%apply")
        verified = started.run("%verify")

    assert "was interrupted" in taken_up.shown
    assert answer.status == "ok", answer.message
    assert verified.status == "ok", verified.message
    assert [run.state for run in history(ready.journal)] == ["succeeded"]
