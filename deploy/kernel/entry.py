"""The functions that stand in for botocore's: ask the guard through an audit event, then go on or raise.

They use nothing but their closures, which the guard looks at: a name that is looked up in a module could be
given another meaning. A refusal is raised by the guard's hook itself; an event nobody answers (a process without
the hook) is one too. What the guard has to know until the call ends is kept in `answer`, which is emptied then.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Mapping
from typing import Any

from deploy.kernel.refusals import GuardTampered

UNANSWERED = GuardTampered("The write guard does not answer: restart the kernel. Nothing was written.")


def calling(original: Callable[..., Any]) -> Callable[..., Any]:
    audit, unanswered = sys.audit, UNANSWERED

    @functools.wraps(original)
    def _make_api_call(self: Any, operation_name: Any, api_params: Any) -> Any:
        answer: list[Any] = []
        try:
            audit("ecs_deploy.guard.call", answer, self, operation_name, api_params)
            if not answer:
                raise unanswered
            return original(self, operation_name, api_params)
        finally:
            answer.clear()

    del _make_api_call.__wrapped__
    return _make_api_call


def signing(original: Callable[..., Any]) -> Callable[..., Any]:
    audit, unanswered = sys.audit, UNANSWERED

    @functools.wraps(original)
    def add_auth(self: Any, request: Any) -> Any:
        answer: list[Any] = []
        audit("ecs_deploy.guard.sign", answer, self, request)
        if not answer:
            raise unanswered
        return original(self, request)

    del add_auth.__wrapped__
    return add_auth


def sending(original: Callable[..., Any]) -> Callable[..., Any]:
    audit, unanswered, any_error = sys.audit, UNANSWERED, Exception

    @functools.wraps(original)
    def send(self: Any, request: Any) -> Any:
        answer: list[Any] = []
        try:
            audit("ecs_deploy.guard.send", answer, request)
            if not answer:
                raise unanswered
            return original(self, answer[0])  # the copy that was judged
        except any_error:
            for further in answer[1:]:
                if further is not True:  # a refusal below, which the transport wrapped in an error of its own
                    raise further from None
            raise
        finally:
            answer.clear()

    del send.__wrapped__
    return send


def codes() -> Mapping[str, Any]:
    """The code objects of the entry points, by the layer they stand in (all closures of one share it)."""
    makers = {"call": calling, "sign": signing, "send": sending}
    return {layer: _inner(maker) for layer, maker in makers.items()}


def _inner(maker: Callable[..., Any]) -> Any:
    return next(c for c in maker.__code__.co_consts if hasattr(c, "co_code"))
