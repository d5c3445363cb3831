"""A cloud whose every call, reads too, can be made to fail; and bundles to try it on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from deploy.apply import World
from deploy.ports import AnswerLost, CallFailed
from planner.documents import ConfigDocument
from tests.deploy import small
from tests.deploy.fakes import FakeCloud, FreeLock, Killed

WRITING = frozenset({"write", "delete", "set_instance_status", "set_desired_count", "terminate"})
"""Calls that change something."""
SAMPLE_SERVICES = (
    "admin", "api", "auth", "documents", "frontend", "nightly-batch", "notifications", "payments", "search",
    "web", "worker",
)  # fmt: skip
"""As many services as the sample estate has."""


class Fault(StrEnum):
    DENIED = "denied"
    TIMED_OUT = "timed out"
    """No answer and no effect: a read that was repeated in vain, a write that may have happened."""
    ANSWER_LOST = "answer lost"
    """The call took effect and no answer came."""
    KILLED_BEFORE = "killed before"
    KILLED_AFTER = "killed after"


@dataclass
class Faulty:
    """Every call of the port, counted; the one numbered `at` meets the fault."""

    cloud: FakeCloud
    fault: Fault | None = None
    at: int = -1
    calls: list[str] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.cloud, name)
        if not callable(value):
            return value
        return lambda *given, **named: self._call(name, lambda: value(*given, **named))

    def _call(self, name: str, act: Callable[[], Any]) -> Any:
        number = len(self.calls)
        self.calls.append(name)
        if number == self.at:
            return self._struck(name, act)
        return act()

    def _struck(self, name: str, act: Callable[[], Any]) -> Any:
        match self.fault:
            case Fault.DENIED:
                raise CallFailed(name, "AccessDeniedException", "not allowed")
            case Fault.TIMED_OUT:
                raise self._no_answer(name)
            case Fault.ANSWER_LOST:
                act()
                raise self._no_answer(name)
            case Fault.KILLED_BEFORE:
                self.cloud.die()
            case Fault.KILLED_AFTER:
                act()
                self.cloud.die()
        raise AssertionError(self.fault)

    @staticmethod
    def _no_answer(name: str) -> Exception:
        if name in WRITING:
            return AnswerLost(f"{name} was sent and gave no answer")
        return CallFailed(name, "ReadTimeoutError", "no answer after eight attempts")


def world_of(faulty: Faulty) -> World:
    return World(faulty, faulty.cloud.clock, FreeLock())  # type: ignore[arg-type]


def prepared(services: tuple[str, ...]) -> tuple[ConfigDocument, FakeCloud]:
    return small.bundle(services), small.cloud(services)


__all__ = ["SAMPLE_SERVICES", "WRITING", "Fault", "Faulty", "Killed", "prepared", "world_of"]
