"""Paging, batching and the rule for what cannot be read: tell it by name and go on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

from planner.model import Rejection
from planner.terminal import explain

T = TypeVar("T")
U = TypeVar("U")

READERS: Final = 8
"""Threads that read AWS at once; the token buckets, not this, set the pace."""

DENIED: Final = ("AccessDenied", "UnauthorizedOperation", "NotAuthorized")
UNSUPPORTED: Final = ("UnknownOperation", "InvalidAction", "UnsupportedOperation", "NotImplemented")


def pages(client: Any, operation: str, key: str, **arguments: Any) -> list[Any]:
    """Every item under `key` of a paged operation, over all pages."""
    found: list[Any] = []
    if client.can_paginate(operation):
        for page in client.get_paginator(operation).paginate(**arguments):
            found.extend(page.get(key, ()))
        return found
    token: str | None = None
    while True:
        page = getattr(client, operation)(**arguments, **({"nextToken": token} if token else {}))
        found.extend(page.get(key, ()))
        token = page.get("nextToken")
        if not token:
            return found


def once(client: Any, operation: str, key: str, **arguments: Any) -> list[Any]:
    """The items under `key` of one call."""
    return list(getattr(client, operation)(**arguments).get(key, ()))


def batches(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for first in range(0, len(items), size):
        yield items[first : first + size]


def each(function: Callable[[T], U], items: Sequence[T]) -> list[U]:
    """`function` over `items` on a few threads, results in the order of `items`."""
    if len(items) < 2:
        return [function(item) for item in items]
    with ThreadPoolExecutor(max_workers=min(READERS, len(items))) as pool:
        return list(pool.map(function, items))


class Unreadable:
    """Collects what one observation could not read, so that one refusal does not stop the rest."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], Rejection] = {}

    def note(self, what: str, reason: str) -> None:
        self._found.setdefault((what, reason), Rejection(what, reason))

    def attempt(self, what: str, read: Callable[[], T], otherwise: T) -> T:
        """`read()`, or `otherwise` with a note where AWS refuses or does not know the call.

        Broken credentials, expired sessions and unreachable endpoints are not partial: they are raised.
        """
        try:
            return read()
        except Exception as error:
            if not is_partial(error):
                raise
            known = explain(error)
            self.note(what, str(known) if known else f"AWS answered in an unknown form: {error}")
            return otherwise

    def items(self, what: str, read: Callable[[], list[Any]]) -> list[Any]:
        """`attempt` for a list: empty, with a note, where it cannot be read."""
        return self.attempt(what, read, [])

    @property
    def rejections(self) -> tuple[Rejection, ...]:
        return tuple(self._found[key] for key in sorted(self._found))


def is_partial(error: Exception) -> bool:
    """True where AWS answered and refused this call, so that other calls can still succeed."""
    response: dict[str, Any] = getattr(error, "response", {})
    if not response:
        return type(error).__name__ == "ResponseParserError"
    code = str(response.get("Error", {}).get("Code", ""))
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    fatal = ("ExpiredToken", "UnrecognizedClient", "InvalidClientTokenId", "SignatureDoesNotMatch")
    if code.startswith((*fatal, "RequestExpired", "InvalidSignature")):
        return False
    return code.startswith((*DENIED, *UNSUPPORTED)) or status >= 400
