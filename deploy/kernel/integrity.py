"""The guard's entry points in botocore, and the watch over them.

An entry point asks the guard and only then calls what it replaced. It holds no decision: whoever replaces it,
reaches the original behind it or copies it meets the next layer. `EntryPoints.changed` compares, in a few
microseconds, what carries a judged request with what was put there; `changed_anywhere` looks further, once a cell.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from deploy.kernel.held import Point, hold, module_points
from deploy.kernel.refusals import GuardTampered

# Files that must not be run a second time: a fresh copy would come without entry points.
_PROTECTED_MODULES = (
    "botocore.auth",
    "botocore.client",
    "botocore.endpoint",
    "botocore.httpsession",
    "botocore.signers",
    "deploy.kernel.body",
    "deploy.kernel.departure",
    "deploy.kernel.entry",
    "deploy.kernel.guard",
    "deploy.kernel.held",
    "deploy.kernel.integrity",
    "deploy.kernel.network",
    "deploy.kernel.operations",
    "deploy.kernel.outgoing",
    "deploy.kernel.refusals",
    "deploy.kernel.sealed",
    "deploy.kernel.wire",
    "http.client",
)

# What hands a call on until it is signed.
_ASKING: Mapping[str, Mapping[str, str]] = {
    "botocore.client": {"BaseClient": "_make_api_call _make_request _convert_to_request_dict"},
    "botocore.endpoint": {
        "Endpoint": "make_request create_request prepare_request _send_request _get_response _do_get_response "
        "_send"
    },
    "botocore.signers": {"RequestSigner": "handler sign get_auth_instance generate_presigned_url"},
}

# What is looked at each time a request leaves.
_OFTEN: Mapping[str, Mapping[str, str]] = {
    "botocore.client": {"BaseClient": "_make_api_call"},
    "botocore.httpsession": {"URLLib3Session": "send"},
    "http.client": {"HTTPConnection": "send"},
}

_CONNECTION = "connect send request putrequest putheader endheaders _send_output close"

# What carries an allowed request to the socket: changed, it could put another in its place.
_CARRYING: Mapping[str, Mapping[str, str]] = {
    "botocore.awsrequest": {
        "AWSHTTPConnection": f"{_CONNECTION} _send_message_body _send_request _encode_request _new_conn",
        "AWSHTTPSConnection": f"{_CONNECTION} _send_message_body _send_request _encode_request _new_conn",
        "AWSHTTPConnectionPool": "urlopen _make_request _get_conn _new_conn ConnectionCls",
        "AWSHTTPSConnectionPool": "urlopen _make_request _get_conn _new_conn ConnectionCls",
    },
    "botocore.httpsession": {"URLLib3Session": "send _get_connection_manager _get_request_target _chunked"},
    "http.client": {"HTTPConnection": _CONNECTION, "HTTPSConnection": "connect send"},
    "urllib3.connection": {"HTTPConnection": _CONNECTION, "HTTPSConnection": "connect send request"},
    "urllib3.connectionpool": {"HTTPConnectionPool": "urlopen _make_request _get_conn _new_conn"},
}

# Below them: what a connection is made of. Looked at after each cell.
_BELOW: Mapping[str, Mapping[str, str]] = {
    "socket": {"socket": "connect send sendall"},
    "ssl": {"SSLContext": "wrap_socket", "SSLSocket": "connect send sendall write"},
}
_BELOW_FUNCTIONS: Mapping[str, str] = {
    "socket": "create_connection getaddrinfo",
    "urllib3.util.connection": "create_connection",
    "urllib3.util.ssl_": "ssl_wrap_socket",
}

# Fields that a request carries itself: a property of that name on its class would answer in their place.
_FIELDS = ("method", "url", "headers", "body", "stream_output", "context", "__getattribute__")

ONCE = "{name} is held by the write guard and is not loaded a second time in this kernel. Nothing was written."
# Modules that start another interpreter in this process: an audit hook is not inherited by it.
_OTHER_INTERPRETERS = frozenset({"_xxsubinterpreters", "_interpreters", "_interpqueues", "_interpchannels"})
_LOOKS = (
    "cpython.PyInterpreterState_New",
    "gc.get_objects",
    "gc.get_referents",
    "gc.get_referrers",
    "sys._current_frames",
    "sys.monitoring.register_callback",
)
NO_LOOK = "{event} is refused in this kernel: it reaches into the write guard. Nothing was written."


@dataclass(frozen=True, slots=True)
class EntryPoints:
    """What was put in place, and what must stay as it is."""

    codes: Mapping[str, Any]
    """The code objects that may ask the guard, by layer."""
    changed_here: Callable[[], str | None]
    """The first of the entry points that is not as it was put; None if all are: asked of each request."""
    changed: Callable[[], str | None]
    """The same of all that hands on and carries a request: asked of each connection, and of each step of a run."""
    changed_anywhere: Callable[[], str | None]
    """The same over everything that is watched, the guard's own modules too."""
    _functions: frozenset[int]
    _code_ids: frozenset[int]
    _files: Mapping[str, str]

    def watches(self) -> Mapping[str, Callable[..., None]]:
        """Audit events by which somebody would take an entry point apart."""
        functions, codes, files = self._functions, self._code_ids, self._files

        def set_attribute(target: Any, name: str, *_: Any) -> None:
            if id(target) in functions:
                raise GuardTampered(NO_LOOK.format(event=f"Setting {name} of a guarded function"))

        def run_code(code: Any) -> None:
            name = files.get(getattr(code, "co_filename", ""))
            if name is not None and code.co_name == "<module>":
                raise GuardTampered(ONCE.format(name=name))

        def new_function(code: Any) -> None:
            if id(code) in codes:
                raise GuardTampered(NO_LOOK.format(event="Copying a guarded function"))

        def look(event: str) -> Callable[..., None]:
            def refuse(*_: Any) -> None:
                raise GuardTampered(NO_LOOK.format(event=event))

            return refuse

        def imported(module: str, *_: Any) -> None:
            if module in _OTHER_INTERPRETERS:
                raise ImportError(
                    f"{module} is not available in this kernel: it starts interpreters without a guard"
                )
            if module == "awscrt" or module.startswith("awscrt."):
                # botocore asks for it and does without: its sockets are written in C, out of the guard's sight
                raise ImportError(
                    "awscrt is not available in this kernel: its connections pass by the write guard"
                )

        return {
            "object.__setattr__": set_attribute,
            "object.__delattr__": set_attribute,
            "exec": run_code,
            "function.__new__": new_function,
            "import": imported,
            **{event: look(event) for event in _LOOKS},
        }


def install_entry_points() -> EntryPoints:
    """Replace the three entry points in botocore; must happen before any cell runs."""
    import http.client

    import botocore.auth
    import botocore.client
    import botocore.endpoint
    import botocore.httpsession
    import botocore.signers
    import urllib3.connectionpool

    from deploy.kernel import entry

    assert http.client
    assert urllib3.connectionpool
    placed: list[Any] = []

    def place(owner: type, name: str, make: Callable[[Any], Any]) -> None:
        replacement = make(vars(owner)[name])
        placed.append(replacement)
        setattr(owner, name, replacement)

    place(botocore.client.BaseClient, "_make_api_call", entry.calling)
    place(botocore.httpsession.URLLib3Session, "send", entry.sending)
    for signer in _signers(botocore.auth):
        place(signer, "add_auth", entry.signing)

    carrying = [*module_points({**_ASKING, **_CARRYING}), *_signing_points(), *_closure_points(placed)]
    carrying += _request_points()
    return EntryPoints(
        codes=entry.codes(),
        changed_here=hold([*module_points(_OFTEN), *_closure_points(placed[:2])]),
        changed=hold(carrying),
        changed_anywhere=hold([*carrying, *_points_below(), *_own_points()]),
        _functions=frozenset(id(function) for function in (*placed, *_ours())),
        _code_ids=frozenset(id(code) for code in entry.codes().values()),
        _files={str(sys.modules[name].__file__): name for name in _PROTECTED_MODULES if name in sys.modules},
    )


def _signers(module: Any) -> Iterator[type]:
    for value in list(vars(module).values()):
        if isinstance(value, type) and issubclass(value, module.BaseSigner) and "add_auth" in vars(value):
            yield value


def _ours() -> Iterator[Any]:
    for name in _PROTECTED_MODULES:
        if name.startswith("deploy.kernel.") and name in sys.modules:
            yield from (v for v in vars(sys.modules[name]).values() if callable(v) and hasattr(v, "__code__"))


def _signing_points() -> Iterator[Point]:
    for signer in _signers(sys.modules["botocore.auth"]):
        yield Point(signer, "add_auth", f"botocore.auth.{signer.__name__}.add_auth")


def _closure_points(placed: list[Any]) -> Iterator[Point]:
    """What the entry points go on to call."""
    for replacement in placed:
        for cell in replacement.__closure__ or ():
            yield Point(cell, "cell_contents", f"the closure of {replacement.__qualname__}")


def _request_points() -> Iterator[Point]:
    """The class of a request."""
    request = sys.modules["botocore.awsrequest"].AWSPreparedRequest
    for name in _FIELDS:
        yield Point(vars(request), name, f"botocore.awsrequest.AWSPreparedRequest.{name}", is_item=True)


def _points_below() -> Iterator[Point]:
    yield from module_points(_BELOW)
    for module_name, functions in _BELOW_FUNCTIONS.items():
        for name in functions.split():
            yield Point(sys.modules[module_name], name, f"{module_name}.{name}")


def _own_points() -> Iterator[Point]:
    """Everything in the guard's own modules: the private copy does not use it, but who sets it means to."""
    for name in _PROTECTED_MODULES:
        if name.startswith("deploy.kernel.") and name in sys.modules:
            for attribute in list(vars(sys.modules[name])):
                yield Point(vars(sys.modules[name]), attribute, f"{name}.{attribute}", is_item=True)
