"""The sandbox's own time: a discrete-event clock that is stepped, or runs at a multiple of real time.

Everything that takes time in the sandbox (a task that starts, an instance that boots, an alarm that is
evaluated) is an event on this clock, so a test that steps it needs no sleep and every run is the same.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count

DEFAULT_START = datetime(2026, 5, 13, tzinfo=UTC)


class Event:
    """A planned action; `cancel` makes it do nothing."""

    __slots__ = ("action", "at_s")

    def __init__(self, at_s: float, action: Callable[[], None] | None) -> None:
        self.at_s = at_s
        self.action = action

    def cancel(self) -> None:
        self.action = None


class VirtualClock:
    """Seconds since 1970 that pass when `advance` is called, and `speed` times as fast as real time.

    With `speed` 0 (the default) only `advance` moves it. Events run in the order of their time, then of
    their planning; an event sees the clock at its own time and may plan further events.
    """

    def __init__(
        self,
        start: datetime = DEFAULT_START,
        speed: float = 0.0,
        real_seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        if start.tzinfo is None:
            raise ValueError("the clock's start needs a time zone, e.g. 2026-05-13T00:00:00Z")
        if speed < 0:
            raise ValueError("the clock's speed cannot be negative")
        self.start_s = start.timestamp()
        self.speed = speed
        self._seconds = self.start_s
        self._real_seconds = real_seconds
        self._real_mark = real_seconds()
        self._events: list[tuple[float, int, Event]] = []
        self._order = count()

    @property
    def seconds(self) -> float:
        """Now, in seconds since 1970-01-01T00:00:00Z."""
        return self._seconds

    @property
    def now(self) -> datetime:
        return datetime.fromtimestamp(self._seconds, UTC)

    def call_at(self, at_s: float, action: Callable[[], None]) -> Event:
        """Plan `action` for `at_s`, or for now where that has passed."""
        event = Event(max(at_s, self._seconds), action)
        heapq.heappush(self._events, (event.at_s, next(self._order), event))
        return event

    def call_after(self, seconds: float, action: Callable[[], None]) -> Event:
        return self.call_at(self._seconds + seconds, action)

    def advance(self, seconds: float) -> datetime:
        """Let `seconds` pass and run every event that falls into them; returns the new time."""
        if seconds < 0:
            raise ValueError("time in the sandbox only moves forward")
        self._run_until(self._seconds + seconds)
        return self.now

    def catch_up(self) -> None:
        """Let the real time since the last call pass, times `speed`."""
        real = self._real_seconds()
        elapsed, self._real_mark = real - self._real_mark, real
        self._run_until(self._seconds + elapsed * self.speed)

    def _run_until(self, end_s: float) -> None:
        while self._events and self._events[0][0] <= end_s:
            at_s, _, event = heapq.heappop(self._events)
            self._seconds = max(self._seconds, at_s)
            if event.action is not None:
                event.action()
        self._seconds = max(self._seconds, end_s)
