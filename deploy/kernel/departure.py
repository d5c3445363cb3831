"""What leaves by a socket while a request is being sent: is it that request, carried by botocore's own transport?

Between the judgement and the socket lie the connection pools and connections of botocore, urllib3 and http.client,
into which a cell can put objects of its own. So a connection is opened only by their own code, called by nobody
else, and the bytes that go out have to be the request that was judged.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from functools import lru_cache
from types import CodeType, FunctionType, ModuleType
from typing import Any
from urllib.parse import unquote

_CARRIERS = (
    "botocore.awsrequest",
    "botocore.httpsession",
    "http.client",
    "socket",
    "ssl",
    "urllib3._request_methods",
    "urllib3.connection",
    "urllib3.connectionpool",
    "urllib3.contrib.socks",
    "urllib3.poolmanager",
    "urllib3.util.connection",
    "urllib3.util.proxy",
    "urllib3.util.ssl_",
    "urllib3.util.ssltransport",
)

# What http.client and urllib3 add to a request's own headers.
_ADDED = frozenset(
    {b"host", b"accept-encoding", b"connection", b"content-length", b"transfer-encoding", b"user-agent", b"expect"}
)


def carrier_codes() -> frozenset[int]:
    """The identities of all code in the transport's modules; they live as long as the modules' functions."""
    found: set[int] = set()
    for name in _CARRIERS:
        module = sys.modules.get(name)
        if module is not None:
            for code in _codes_of(module):
                _KEPT.append(code)
                found.add(id(code))
    return frozenset(found)


_KEPT: list[CodeType] = []
"""Held so that no other object gets the identity of one of them."""


def _codes_of(module: ModuleType) -> Iterator[CodeType]:
    for value in list(vars(module).values()):
        if getattr(value, "__module__", None) != module.__name__:
            continue
        for function in _functions_of(value):
            yield from _nested(function.__code__)


def _functions_of(value: Any) -> Iterator[FunctionType]:
    if isinstance(value, FunctionType):
        yield value
    elif isinstance(value, type):
        for member in list(vars(value).values()):
            inner = member.__func__ if isinstance(member, classmethod | staticmethod) else member
            parts = (inner.fget, inner.fset) if isinstance(inner, property) else (inner,)
            yield from (part for part in parts if isinstance(part, FunctionType))


def _nested(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _nested(constant)


def is_carried(frame: Any, codes: frozenset[int], entry: CodeType) -> bool:
    """Whether everything on the stack between here and the guard's entry point is the transport's own code."""
    while frame is not None:
        code = frame.f_code
        if code is entry:
            return True
        if id(code) not in codes:
            return False
        frame = frame.f_back
    return False


def is_part_of(answer: list[Any], data: Any) -> bool:
    """Whether bytes that http.client sends are the judged request's: its head first, once, and then its body.

    `answer` holds the judged request and, after its head has left, a second item.
    """
    request = answer[0]
    if len(answer) == 1:
        if not isinstance(data, bytes | bytearray):
            return False
        head, _, rest = bytes(data).partition(b"\r\n\r\n")
        if head.startswith(b"CONNECT "):
            return not rest
        if not _is_head(head, request) or (rest and rest != request.body):
            return False
        answer.append(True)
        return True
    body = request.body
    return data == body if isinstance(body, bytes) else body is not None


def _is_head(head: bytes, request: Any) -> bool:
    """Whether a head is the request's: its line, what the transport adds, and its own headers as they are.

    Usually the own headers stand last, in their order; what stands before them is the same for every request to
    a URL and looked at once.
    """
    headers: Mapping[str, str] = request.headers
    own = [f"{name}: {value}" for name, value in headers.items()]
    tail = "\r\n".join(own).encode("latin-1")
    if tail and head.endswith(b"\r\n" + tail):
        return _is_start(head[: -len(tail) - 2], request.method, request.url)
    lines = head.decode("latin-1").split("\r\n")
    others = [line for line in lines if line not in own]
    named = {line.partition(":")[0].lower() for line in others[1:]}
    if len(others) + len(own) != len(lines) or named.intersection(name.lower() for name in headers):
        return False
    return _is_start("\r\n".join(others).encode("latin-1"), request.method, request.url)


@lru_cache(maxsize=4096)
def _is_start(start: bytes, wanted: str, url: str) -> bool:
    """Whether a request line is the method's and the URL's, followed by nothing but what the transport adds."""
    first, *lines = start.split(b"\r\n")
    method, _, target = first.removesuffix(b" HTTP/1.1").partition(b" ")
    if method.decode("latin-1") != wanted or not _leads_to(target.decode("latin-1"), url):
        return False
    return _ADDED.issuperset(line.partition(b":")[0].lower() for line in lines)


def _leads_to(target: str, url: str) -> bool:
    """Whether the target of a request line is the URL's: its path and query, or the whole of it for a proxy."""
    own = "/" + url.partition("://")[2].partition("/")[2]
    return target in {own, url} or unquote(target) == unquote(own)
