"""A copy of a request that nobody else holds: what is judged is what leaves.

Another thread may have the original and change it in between; an object of a class of one's own may answer
differently each time it is read.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from botocore.awsrequest import AWSPreparedRequest, HeadersDict

from deploy.kernel.refusals import GuardTampered

_TEXT = {str}
_KEY = {type(next(iter(vars(HeadersDict({"a": ""}))["_dict"])))}
TWICE = "A request names the same header twice: which of the two counts is not for us to say. Nothing was written."


class Headers(dict[str, str]):
    """Plain strings; `get` finds a name in any case, for the transport asks for some."""

    __slots__ = ()

    def get(self, name: str, default: Any = None) -> Any:
        found = dict.get(self, name)
        if found is None:
            wanted = name.lower()
            return next((value for key, value in self.items() if key.lower() == wanted), default)
        return found


def copied(request: Any) -> tuple[Any, Any]:
    """The copy, an AWSPreparedRequest, and its X-Amz-Target or None."""
    copy = AWSPreparedRequest.__new__(AWSPreparedRequest)
    parts = vars(copy)
    if type(request) is AWSPreparedRequest:
        parts.update(vars(request))
        parts["method"], parts["url"] = str(parts["method"]), str(parts["url"])
    else:
        parts.update({name: str(getattr(request, name)) for name in ("method", "url")})
        parts.update({name: getattr(request, name) for name in ("headers", "body", "stream_output", "context")})
    if isinstance(parts["body"], str | bytearray):
        parts["body"] = parts["body"].encode() if isinstance(parts["body"], str) else bytes(parts["body"])
    given = parts["headers"]
    held = vars(given)["_dict"] if type(given) is HeadersDict else None
    if held is not None and _KEY.issuperset(map(type, held)):
        headers = Headers([(key._key, value) for key, value in held.items()])
    else:
        headers = Headers([(str(name), value) for name, value in given.items()])
    if not (_TEXT.issuperset(map(type, headers)) and _TEXT.issuperset(map(type, headers.values()))):
        headers = Headers(_plain(headers.items()))
    lower = "\n".join(headers).lower().split("\n")
    if len(set(lower)) != len(headers) and headers:
        raise GuardTampered(TWICE)
    parts["headers"] = headers
    return copy, headers.get("X-Amz-Target") if "x-amz-target" in lower else None


def _plain(pairs: Iterable[tuple[Any, Any]]) -> list[tuple[str, str]]:
    return [("".join(str(name)), _text(value)) for name, value in pairs]


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else "".join(str(value))
