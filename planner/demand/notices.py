"""Named warnings: what a reader must know before trusting a number."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Notice:
    """A warning with a stable name, e.g. `short-history`, and one sentence of detail."""

    name: str
    detail: str

    def __str__(self) -> str:
        return f"{self.name}: {self.detail}"


class UnusableSeries(ValueError):
    """A series from which no honest forecast can be made; the message says why and what to do."""
