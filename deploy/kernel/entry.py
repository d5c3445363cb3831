"""The functions that stand in for botocore's: ask the guard through an audit event, then go on or raise.

An event nobody answers (a process without the guard's hook) is a refusal.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Mapping
from typing import Any

from botocore.awsrequest import AWSPreparedRequest, HeadersDict

from deploy.kernel.refusals import GuardTampered


def _go(answer: list[Any]) -> None:
    if answer != [True]:
        raise answer[0] if answer else GuardTampered("The write guard does not answer: restart the kernel.")


def calling(original: Callable[..., Any]) -> Callable[..., Any]:
    audit, go = sys.audit, _go

    @functools.wraps(original)
    def _make_api_call(self: Any, operation_name: Any, api_params: Any) -> Any:
        answer: list[Any] = []
        audit("ecs_deploy.guard.call", answer, self, operation_name, api_params)
        go(answer)
        try:
            return original(self, operation_name, api_params)
        finally:
            audit("ecs_deploy.guard.called", answer)

    del _make_api_call.__wrapped__
    return _make_api_call


def signing(original: Callable[..., Any]) -> Callable[..., Any]:
    audit, go = sys.audit, _go

    @functools.wraps(original)
    def add_auth(self: Any, request: Any) -> Any:
        answer: list[Any] = []
        audit("ecs_deploy.guard.sign", answer, self, request)
        go(answer)
        return original(self, request)

    del add_auth.__wrapped__
    return add_auth


def sending(original: Callable[..., Any]) -> Callable[..., Any]:
    audit, go = sys.audit, _go

    @functools.wraps(original)
    def send(self: Any, request: Any) -> Any:
        frozen = _frozen(request)
        answer: list[Any] = []
        audit("ecs_deploy.guard.send", answer, frozen)
        go(answer)
        try:
            return original(self, frozen)
        finally:
            audit("ecs_deploy.guard.sent", answer)

    del send.__wrapped__
    return send


def _frozen(request: Any) -> Any:
    """The request, or a copy of it, whose method, URL and headers answer the same each time they are read."""
    headers: Any = request.headers
    is_plain = type(request) is AWSPreparedRequest and type(headers) is HeadersDict
    if is_plain and len(vars(request)) == PARTS:
        return request
    headers = HeadersDict({str(name): _plain(value) for name, value in headers.items()})
    return AWSPreparedRequest(
        str(request.method), str(request.url), headers, request.body, request.stream_output, request.context
    )


PARTS = 6
"""Attributes of an AWSPreparedRequest: method, url, headers, body, stream_output, context."""


def _plain(value: Any) -> str | int:
    if type(value) is bytes:
        return value.decode("latin-1")
    return value if type(value) is int else str(value)


def codes() -> Mapping[str, Any]:
    """The code objects of the entry points, by the layer they stand in (all closures of one share it)."""
    makers = {"call": calling, "sign": signing, "send": sending}
    return {layer: _inner(maker) for layer, maker in makers.items()}


def _inner(maker: Callable[..., Any]) -> Any:
    return next(c for c in maker.__code__.co_consts if hasattr(c, "co_code"))
