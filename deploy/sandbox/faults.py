"""Faults for every client at once: the sandbox fails the n-th call of an operation as AWS or a network would.

They are injected in the server, so boto3, Terraform and any other client meet them alike.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal, get_args

from deploy.sandbox.replies import Call, Reply, error_reply

Kind = Literal["throttle", "error", "deny", "drop", "lose-answer"]
KINDS: Final[tuple[str, ...]] = get_args(Kind)

_THROTTLES: Final = {
    "ec2": ("RequestLimitExceeded", 503),
    "query": ("Throttling", 400),
    "xml": ("SlowDown", 503),
}
_DENIALS: Final = {
    "ec2": ("UnauthorizedOperation", 403),
    "query": ("AccessDenied", 403),
    "xml": ("AccessDenied", 403),
}


@dataclass(slots=True)
class Fault:
    """`times` failures of one operation, from its `nth` call after the fault was set.

    throttle: refused for its rate, without effect. error: an internal error (500), without effect.
    deny: the caller has no permission. drop: the connection closes before the call has an effect.
    lose-answer: the call takes effect and the connection closes before the answer.
    `service` and `operation` are boto3's client name and the API's operation; "*" matches any.
    """

    service: str
    operation: str
    kind: Kind
    nth: int = 1
    times: int | None = 1
    """None: every call from the nth on."""
    seen: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"the kind of a fault is one of {', '.join(KINDS)}, not {self.kind!r}")
        if self.nth < 1 or (self.times is not None and self.times < 1):
            raise ValueError("a fault's nth and times count from 1")

    def strikes(self, call: Call) -> bool:
        """Count the call if it is one of this fault's; True if it has to fail."""
        if self.service not in ("*", call.service) or self.operation not in ("*", call.operation):
            return False
        self.seen += 1
        return self.seen >= self.nth and (self.times is None or self.seen < self.nth + self.times)

    @property
    def spent(self) -> bool:
        return self.times is not None and self.seen >= self.nth + self.times - 1


class Faults:
    """The faults that are set, tried in the order they were set."""

    def __init__(self) -> None:
        self._set: list[Fault] = []

    def add(self, fault: Fault) -> None:
        self._set.append(fault)

    def clear(self) -> None:
        self._set.clear()

    def pending(self) -> list[Fault]:
        return list(self._set)

    def strike(self, call: Call) -> Kind | None:
        """The kind of failure this call meets; every matching fault counts the call, the first one wins."""
        struck = [fault for fault in self._set if fault.strikes(call)]
        self._set = [fault for fault in self._set if not fault.spent]
        return struck[0].kind if struck else None


def refusal(call: Call, kind: Kind) -> Reply:
    """The answer of a throttled, failed or denied call."""
    if kind == "throttle":
        code, status = _THROTTLES.get(call.protocol, ("ThrottlingException", 400))
        return error_reply(call, code, "Rate exceeded", status)
    if kind == "deny":
        code, status = _DENIALS.get(call.protocol, ("AccessDeniedException", 400))
        action = f"{call.service}:{call.operation}"
        return error_reply(call, code, f"User is not authorized to perform: {action}", status)
    return error_reply(call, "InternalFailure", "The request failed because of an internal error.", 500)
