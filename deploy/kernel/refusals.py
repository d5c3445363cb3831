"""What the kernel says when it says no: one sentence, shown in a notebook without a traceback."""

from __future__ import annotations

from planner.terminal import Refusal


class KernelRefusal(Refusal):
    """A refusal that IPython shows as its one sentence (`_render_traceback_` is IPython's hook for that)."""

    def _render_traceback_(self) -> list[str]:
        return [f"Refused: {self}"]


class WriteRefused(KernelRefusal):
    """An AWS call that is neither a read nor the approved step being applied."""


class GuardTampered(KernelRefusal):
    """What holds the guard in place was changed; nothing reaches AWS until the kernel is restarted."""


class WrongOrder(KernelRefusal):
    """A verb was called before the one it needs."""
