"""The guard's entry points in botocore, and the watch over them.

An entry point asks the guard and only then calls what it replaced. It holds no decision: whoever replaces it,
reaches the original behind it or copies it meets the next layer. `EntryPoints.changed` compares, in a few
microseconds, everything the layers stand on with what was put there.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from operator import attrgetter, is_, itemgetter
from typing import Any

from deploy.kernel.refusals import GuardTampered

# Files that must not be run a second time: a fresh copy would come without entry points.
_PROTECTED_MODULES = (
    "botocore.auth",
    "botocore.client",
    "botocore.endpoint",
    "botocore.httpsession",
    "botocore.signers",
    "deploy.kernel.entry",
    "deploy.kernel.guard",
    "deploy.kernel.integrity",
    "deploy.kernel.network",
    "deploy.kernel.operations",
    "deploy.kernel.wire",
    "http.client",
)

# What carries an allowed request to the socket: changed, it could put another in its place.
_CARRIERS: Mapping[str, Mapping[str, str]] = {
    "botocore.awsrequest": {
        "AWSConnection": "close request _convert_to_bytes _send_output _consume_expect_response "
        "_send_message_body send _is_100_continue_status",
        "AWSHTTPConnection": "__init__",
        "AWSHTTPSConnection": "__init__",
    },
    "botocore.client": {"BaseClient": "_make_api_call _make_request _convert_to_request_dict"},
    "botocore.endpoint": {
        "Endpoint": "make_request create_request prepare_request _send_request _get_response _do_get_response "
        "_send"
    },
    "botocore.httpsession": {"URLLib3Session": "send _get_connection_manager _get_request_target _chunked"},
    "botocore.signers": {"RequestSigner": "handler sign get_auth_instance generate_presigned_url"},
    "http.client": {
        "HTTPConnection": "connect send putrequest putheader endheaders request _send_request _send_output "
        "_encode_request",
        "HTTPSConnection": "connect",
    },
    "urllib3.connection": {
        "HTTPConnection": "connect request putrequest putheader _new_conn",
        "HTTPSConnection": "connect",
    },
    "urllib3.connectionpool": {
        "HTTPConnectionPool": "urlopen _make_request _get_conn _new_conn ConnectionCls",
        "HTTPSConnectionPool": "_new_conn ConnectionCls",
    },
}

ONCE = "{name} is held by the write guard and is not loaded a second time in this kernel. Nothing was written."
NO_LOOK = "{event} is refused in this kernel: it reaches into the write guard. Nothing was written."


@dataclass(frozen=True, slots=True)
class EntryPoints:
    """What was put in place, and what must stay as it is."""

    codes: Mapping[str, Any]
    """The code objects that may ask the guard, by layer."""
    _held: Sequence[tuple[Callable[[], Iterable[Any]], tuple[Any, ...], tuple[str, ...]]]
    """For each namespace: how to read its values now, the values as they were put, and what each is called."""
    _functions: frozenset[int]
    _code_ids: frozenset[int]
    _files: Mapping[str, str]

    def changed(self) -> str | None:
        """The name of the first thing that is not as it was put; None if all is in place."""
        for read, values, labels in self._held:
            try:
                if all(map(is_, read(), values)):
                    continue
            except (KeyError, ValueError):
                pass
            return self._first_difference(read, values, labels)
        return None

    @staticmethod
    def _first_difference(
        read: Callable[[], Iterable[Any]], values: tuple[Any, ...], labels: tuple[str, ...]
    ) -> str:
        try:
            return next(label for now, then, label in zip(read(), values, labels, strict=True) if now is not then)
        except (KeyError, ValueError, StopIteration):
            return labels[0]

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
            **{event: look(event) for event in ("gc.get_objects", "gc.get_referrers", "gc.get_referents")},
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

    return EntryPoints(
        codes=entry.codes(),
        _held=tuple(_hold(placed)),
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
        if name.startswith("deploy.kernel."):
            yield from (v for v in vars(sys.modules[name]).values() if callable(v) and hasattr(v, "__code__"))


_Held = tuple[Callable[[], Iterable[Any]], tuple[Any, ...], tuple[str, ...]]


def _hold(placed: list[Any]) -> Iterator[_Held]:
    """Everything that must stay: modules, classes, their methods, and what the entry points go on to call."""
    yield _names(sys.__dict__, "sys", ("audit", "modules"))
    yield _names(sys.modules, "sys.modules", tuple(_CARRIERS))
    for module_name, classes in _CARRIERS.items():
        module = sys.modules[module_name]
        yield _names(vars(module), module_name, tuple(classes))
        for class_name, methods in classes.items():
            owner = vars(module)[class_name]
            named = tuple(name for name in methods.split() if name in vars(owner))
            if named:
                yield _names(vars(owner), f"{module_name}.{class_name}", named)
    for owner in _signers(sys.modules["botocore.auth"]):
        yield _names(vars(owner), f"botocore.auth.{owner.__name__}", ("add_auth",))
    cells = tuple(cell for replacement in placed for cell in replacement.__closure__ or ())
    contents = tuple(cell.cell_contents for cell in cells)
    yield (
        partial(map, attrgetter("cell_contents"), cells),
        contents,
        ("a guarded function's closure",) * len(cells),
    )


def _names(namespace: Mapping[str, Any], label: str, names: tuple[str, ...]) -> _Held:
    read = itemgetter(*names)
    values = read(namespace)
    if len(names) == 1:
        return partial(map, namespace.__getitem__, names), (values,), (f"{label}.{names[0]}",)
    return partial(read, namespace), values, tuple(f"{label}.{name}" for name in names)


def hold_library(packages: tuple[str, ...]) -> Callable[[], str | None]:
    """Remember every function and method of our own loaded modules; the answer names one that was changed since.

    A cell that replaced a part of `deploy` could make a step do something else: no run is opened then.
    """
    held: list[tuple[Mapping[str, Any], str, Any, str]] = []
    for name, module in sorted(sys.modules.items()):
        if name.split(".")[0] not in packages or module is None:
            continue
        held.append((sys.modules, name, module, f"sys.modules[{name!r}]"))
        for attribute, value in list(vars(module).items()):
            if callable(value) or isinstance(value, Mapping | frozenset):
                held.append((vars(module), attribute, value, f"{name}.{attribute}"))
            if isinstance(value, type) and value.__module__ == name:
                held += [
                    (vars(value), method, function, f"{name}.{attribute}.{method}")
                    for method, function in vars(value).items()
                    if callable(function)
                ]

    def changed() -> str | None:
        return next((label for space, key, value, label in held if space.get(key) is not value), None)

    return changed
