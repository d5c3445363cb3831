"""One place for every AWS call: throttles waited out, reads repeated, a write without an answer told as such."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

from deploy.ports import AnswerLost, CallFailed, Clock

ATTEMPTS = 8
LONGEST_WAIT_S = 20.0
THROTTLES = frozenset(
    {
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "RequestThrottled",
        "RequestThrottledException",
        "RequestLimitExceeded",
        "TooManyRequestsException",
        "ProvisionedThroughputExceededException",
        "SlowDown",
        "PriorRequestNotComplete",
    }
)
BUSY = frozenset(
    {"UpdateInProgressException", "ConcurrentUpdateException", "ScalingActivityInProgress", "ResourceContention"}
)
"""The resource is still being changed by an earlier call: wait, then ask again."""
PAGING = {
    "ecs": ("nextToken", "nextToken"),
    "logs": ("nextToken", "nextToken"),
    "elbv2": ("Marker", "NextMarker"),
    "iam": ("Marker", "Marker"),
}
"""Client to the names of a page's token, in the request and in the answer; the others say NextToken."""
READS = ("Describe", "List", "Get", "Head", "BatchGet")


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class Calls:
    """The clients of one account and Region. All waiting goes through the clock, so that tests never sleep."""

    def __init__(
        self,
        session: Any,
        region: str,
        endpoint_url: str | None = None,
        clock: Clock | None = None,
        seed: int = 0,
    ) -> None:
        self._session = session
        self.region = region
        self.endpoint_url = endpoint_url
        self.clock: Clock = clock or SystemClock()
        self._random = random.Random(seed)
        self._clients: dict[str, Any] = {}
        self._look = threading.local()

    @contextmanager
    def one_look(self) -> Iterator[None]:
        """Answer equal reads of this thread from memory until the end; a write makes all of them forgotten."""
        outer = getattr(self._look, "answers", None)
        self._look.answers = {} if outer is None else outer
        try:
            yield
        finally:
            self._look.answers = outer

    def client(self, service: str) -> Any:
        if service not in self._clients:
            from botocore.config import Config

            self._clients[service] = self._session.client(
                service,
                region_name=self.region,
                endpoint_url=self.endpoint_url,
                config=Config(
                    retries={"total_max_attempts": 1, "mode": "standard"},
                    connect_timeout=10,
                    read_timeout=60,
                    s3={"addressing_style": "path"} if self.endpoint_url else {},
                ),
            )
        return self._clients[service]

    def call(self, service: str, operation: str, /, **parameters: Any) -> dict[str, Any]:
        """Make one call. Raises CallFailed with AWS's words, or AnswerLost where a write may have happened."""
        answers: dict[str, dict[str, Any]] | None = getattr(self._look, "answers", None)
        if answers is None:
            return self._made(service, operation, parameters)
        if not operation.startswith(READS):
            answers.clear()
            return self._made(service, operation, parameters)
        asked = json.dumps([service, operation, parameters], sort_keys=True, default=str)
        if asked not in answers:
            answers[asked] = self._made(service, operation, parameters)
        return deepcopy(answers[asked])

    __call__ = call

    def _made(self, service: str, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        from botocore import xform_name

        method = getattr(self.client(service), xform_name(operation))
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return dict(method(**parameters))
            except Exception as error:
                if not type(error).__module__.startswith("botocore"):
                    raise
                if attempt == ATTEMPTS or not _may_repeat(operation, error):
                    raise _translated(f"{service}:{operation}", operation, error) from error
            self.clock.sleep(self._wait_s(attempt))
        raise AssertionError("unreachable")

    def _wait_s(self, attempt: int) -> float:
        return min(LONGEST_WAIT_S, 2.0 ** (attempt - 1)) * self._random.uniform(0.5, 1.0)

    def pages(self, service: str, operation: str, key: str, /, **parameters: Any) -> Iterator[Any]:
        """Every item of a paged answer."""
        asked, told = PAGING.get(service, ("NextToken", "NextToken"))
        while True:
            page = self.call(service, operation, **parameters)
            yield from page.get(key, [])
            token = page.get(told)
            if not token:
                return
            parameters = {**parameters, asked: token}


def _may_repeat(operation: str, error: Exception) -> bool:
    code = _code(error)
    if code in THROTTLES or code in BUSY or _never_sent(error):
        return True
    return operation.startswith(READS) and _is_unclear(error)


def _code(error: Exception) -> str:
    response: dict[str, Any] = getattr(error, "response", {}) or {}
    return str(response.get("Error", {}).get("Code", ""))


def _never_sent(error: Exception) -> bool:
    return type(error).__name__ in {"ConnectTimeoutError"}


def _is_unclear(error: Exception) -> bool:
    """Whether the call may have happened although it failed here: the network, or AWS's own fault."""
    if type(error).__name__ in {
        "ReadTimeoutError",
        "ConnectionClosedError",
        "ResponseStreamingError",
        "HTTPClientError",
    }:
        return True
    status = (getattr(error, "response", {}) or {}).get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return int(status or 0) >= 500 or type(error).__name__ == "ResponseParserError"


def _translated(name: str, operation: str, error: Exception) -> Exception:
    if _is_unclear(error) and not operation.startswith(READS):
        return AnswerLost(f"{name} was sent and gave no answer ({error})")
    response: dict[str, Any] = getattr(error, "response", {}) or {}
    code = _code(error) or type(error).__name__
    return CallFailed(name, code, str(response.get("Error", {}).get("Message", error)))
