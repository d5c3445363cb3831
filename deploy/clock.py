"""The time a run lives in: the machine's, or, in a rehearsal, the sandbox's, which passes when it is told to."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from deploy.ports import Clock

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
TIMEOUT_S = 30.0


class SandboxClock:
    """Waiting lets the sandbox's time pass instead of ours; `now` is ours plus what was waited.

    So an approval is as old as it is, and a rollout of twenty minutes is rehearsed in seconds.
    """

    steps_time = True

    def __init__(self, endpoint_url: str, control: Callable[[], AbstractContextManager[None]]) -> None:
        self.endpoint_url = endpoint_url.rstrip("/")
        self._control = control
        self._waited = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self._waited

    def sleep(self, seconds: float) -> None:
        self._waited += timedelta(seconds=seconds)
        # A sandbox that has gone away has no time to pass; the call that waited says so itself.
        with suppress(OSError, ValueError):
            self._ask("POST", "/sandbox/clock", {"advance_seconds": seconds})

    def sandbox_now(self) -> datetime:
        """The sandbox's own time."""
        return datetime.fromisoformat(str(self._ask("GET", "/sandbox/status")["now"]))

    def is_there(self) -> bool:
        """Whether a sandbox answers; any other server on loopback is AWS's stand-in without a clock."""
        try:
            return "now" in self._ask("GET", "/sandbox/status")
        except (OSError, ValueError):
            return False

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        from http.client import HTTPConnection, HTTPException

        parts = urlsplit(self.endpoint_url)
        with self._control():
            connection = HTTPConnection(parts.hostname or "", parts.port or 80, timeout=TIMEOUT_S)
            try:
                connection.request(method, path, None if body is None else json.dumps(body).encode())
                answer = json.loads(connection.getresponse().read() or b"{}")
            except HTTPException as error:
                raise ValueError(str(error)) from None
            finally:
                connection.close()
        return answer if isinstance(answer, dict) else {}


def clock_for(endpoint_url: str | None, control: Callable[[], AbstractContextManager[None]]) -> Clock:
    """The sandbox's clock where the endpoint is one, otherwise the machine's."""
    from deploy.aws import SystemClock

    if endpoint_url and urlsplit(endpoint_url).hostname in LOOPBACK and endpoint_url.startswith("http://"):
        clock = SandboxClock(endpoint_url, control)
        if clock.is_there():
            return clock
    return SystemClock()
