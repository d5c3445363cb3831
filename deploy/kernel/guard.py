"""The write guard: in this kernel no AWS operation that is not a read passes, but for the step being applied.

It stands in four places, each holding by itself what gets round the one above:

1. `BaseClient._make_api_call`: every call of every client, resource, waiter and paginator, by name and parameters;
2. `add_auth` of every signer in botocore: a request is signed only if it is the call of (1), or a read by its
   bytes (this is where presigned URLs and hand-made requests end);
3. `URLLib3Session.send`: the same question of the request that is about to leave;
4. an audit hook of the interpreter (PEP 578) on sockets and http.client: nothing else in the process reaches AWS.

The decision itself lives in the closure of that audit hook. Python has no call that removes one, and the entry
points above only ask it (`sys.audit`), so replacing them can make calls fail but not pass. Before each answer the
hook looks whether what it stands on is still in place; if not, nothing reaches AWS until the kernel is restarted.
What a determined author of a cell can still do is told in docs/guide/kernel.md: IAM is the boundary.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple, NoReturn

from deploy.kernel import integrity, network, operations, wire
from deploy.kernel.credentials import chain_allows
from deploy.kernel.refusals import GuardTampered, WriteRefused

CALL, CALLED, SIGN, SEND, SENT, STATUS = (
    f"ecs_deploy.guard.{name}" for name in ("call", "called", "sign", "send", "sent", "status")
)

TAMPERED = (
    "{what} was changed in this kernel, so the write guard can no longer vouch for anything: no AWS call is made "
    "until the kernel is restarted. Nothing was written."
)
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
IN_RUN = "The call was not made and the run stopped there: %rollback takes the run back."
HINT = "Nothing was written. Writes are made only by %apply, step by step, from an approved bundle."


class Observed(NamedTuple):
    """One AWS call as the guard judged it; what the journal records."""

    service: str
    operation: str
    verdict: str
    """read, step, credentials or refused"""
    reason: str = ""


Allows = Callable[[str, str, str, Mapping[str, Any]], str | None]
"""(service, operation, region, parameters) -> None to let a call through, or the reason against it."""


@dataclass(frozen=True, slots=True)
class _Permit:
    """What may write: judged in the thread that holds it, for as long as it does."""

    verdict: str
    allows: Allows


@dataclass(frozen=True, slots=True)
class Guard:
    """What the kernel keeps of an installed guard. Cells cannot use it: it asks for an open run of its own."""

    credentials: Callable[[], Any]
    """A context manager: inside it, in this thread, the calls that get credentials pass."""
    run: Callable[..., Any]
    """A context manager: inside it, in this thread, the steps of a run pass. Its arguments are the evidence, which
    `install`'s `evidence` judges; without good evidence it raises and nothing passes."""
    control: Callable[[], Any]
    """A context manager: inside it, in this thread, a sandbox on loopback may be told to let time pass."""
    remember_endpoint: Callable[[str, int], None]
    """Say that (host, port) stands for AWS: a sandbox. Endpoints of clients are remembered by themselves."""
    status: Callable[[], str | None]
    """None while the guard is whole, otherwise what was changed."""


class _Thread:
    """What is under way in one thread."""

    __slots__ = ("calls", "control", "permits", "sending")

    def __init__(self) -> None:
        self.calls: list[wire.Expected] = []
        self.permits: list[_Permit] = []
        self.sending = 0
        self.control = 0


def install(observe: Callable[[Observed], None], evidence: Callable[..., Allows] | None = None) -> Guard:
    """Put the guard in place for the rest of this process's life; it cannot be taken out again.

    `observe` is told of every judged call; it must be quick and must not call AWS. `evidence` judges what `run` is
    given: it raises, or returns what the run allows. Without it no write ever passes.
    """
    return _decider(integrity.install_entry_points(), observe, evidence)


def _decider(
    entries: integrity.EntryPoints, observe: Callable[[Observed], None], evidence: Callable[..., Allows] | None
) -> Guard:
    threads: dict[int, _Thread] = {}
    addresses: set[tuple[str, int]] = set()
    broken: list[str] = []
    look: Mapping[str | None, Callable[[], str | None]] = MappingProxyType(
        {None: entries.changed, "call": entries.changed_above, "sign": lambda: None, "send": entries.changed_below}
    )
    ident, frame_of = threading.get_ident, sys._getframe
    refusal_of, read_request, agrees, is_read_request, expect = (
        operations.refusal,
        wire.read_request,
        wire.agrees,
        wire.is_read_request,
        wire.Models().expected,
    )
    is_aws_host, is_metadata_host, looks_like_aws = (
        network.is_aws_host,
        network.is_metadata_host,
        network.looks_like_aws,
    )

    def here() -> _Thread:
        me = ident()
        state = threads.get(me)
        if state is None:
            state = threads[me] = _Thread()
        return state

    def whole(answer: list[Any], caller: str | None) -> bool:
        """Answer with a refusal if what we stand on was changed, or if somebody else than `caller` is asking."""
        if not broken:
            changed = look[caller]()
            if changed:
                broken.append(changed)
        if broken:
            answer.append(GuardTampered(TAMPERED.format(what=broken[0])))
            return False
        if caller is not None and frame_of(3).f_code is not entries.codes[caller]:
            answer.append(GuardTampered("Only the guard's own entry points may ask it. Nothing was written."))
            return False
        return True

    def refuse(answer: list[Any], service: str, operation: str, reason: str) -> None:
        observe(Observed(service, operation, "refused", reason))
        in_run = any(permit.verdict == "step" for permit in here().permits)
        answer.append(WriteRefused(f"{service}:{operation} {reason}. {IN_RUN if in_run else HINT}"))

    def on_call(answer: list[Any], client: Any, operation: str, parameters: Any) -> None:
        if not whole(answer, "call"):
            return
        service = str(client._service_model.service_name)
        wanted = expect(service, operation)
        if wanted is None:
            refuse(answer, service, str(operation), "is not in botocore's own models")
            return
        state = here()
        reason = refusal_of(service, operation, parameters)
        verdict = "read"
        if reason is not None:
            for permit in reversed(state.permits):
                against = permit.allows(service, operation, client.meta.region_name, parameters)
                if against is None:
                    reason, verdict = None, permit.verdict
                    break
                reason = f"{reason} and {against}"
        if reason is not None:
            refuse(answer, service, operation, reason)
            return
        observe(Observed(service, operation, verdict))
        state.calls.append(wanted)
        answer.append(True)

    def on_called(_answer: list[Any]) -> None:
        if frame_of(2).f_code is entries.codes["call"] and here().calls:
            here().calls.pop()

    def judge(answer: list[Any], request: wire.Request, signing_name: str | None) -> None:
        state = here()
        if is_metadata_host(request.host) and any(p.verdict == "credentials" for p in state.permits):
            answer.append(True)
        elif state.calls:
            if agrees(request, state.calls[-1]):
                answer.append(True)
            else:
                wanted = state.calls[-1]
                refuse(answer, wanted.service, wanted.operation, "was changed into another request on its way")
        elif is_read_request(request, signing_name):
            answer.append(True)
        else:
            name = request.target or ",".join(request.actions or ()) or f"{request.method} {request.path}"
            service = request.signing_name or signing_name or request.host
            refuse(answer, service, name, "made without a client is not known to be a read")

    def on_sign(answer: list[Any], signer: Any, request: Any) -> None:
        if whole(answer, "sign"):
            body = request.data or request.params
            asked = read_request(request.method, request.url, request.headers, body)
            judge(answer, asked, getattr(signer, "_service_name", None))

    def on_send(answer: list[Any], request: Any) -> None:
        if whole(answer, "send"):
            asked = read_request(request.method, request.url, request.headers, request.body)
            judge(answer, asked, None)
            if answer == [True]:
                here().sending += 1
                if (asked.host, asked.port) not in addresses and not is_aws_host(asked.host):
                    remember_endpoint(asked.host, asked.port)

    def on_sent(_answer: list[Any]) -> None:
        if frame_of(2).f_code is entries.codes["send"] and here().sending:
            here().sending -= 1

    def on_status(answer: list[Any]) -> None:
        whole(answer, None)

    def leave(where: str) -> NoReturn:
        observe(Observed("network", where, "refused", "past botocore"))
        raise WriteRefused(
            f"A connection to {where} past boto3 is refused: in this kernel AWS is reached through boto3 clients "
            f"only, where the guard can tell reads from writes. {HINT}"
        )

    def on_resolve(host: Any, *_: Any) -> None:
        name = host.decode("latin-1") if isinstance(host, bytes) else host
        if isinstance(name, str) and is_aws_host(name) and not here().sending:
            leave(name)

    def on_connect(_socket: Any, address: Any) -> None:
        if not isinstance(address, tuple) or len(address) < 2:
            return
        state = here()
        if state.sending:
            return
        host, port = str(address[0]), address[1]
        if state.control and host in LOOPBACK:
            return
        if is_aws_host(host) or is_metadata_host(host) or (host, port) in addresses:
            leave(f"{host}:{port}")

    def on_http_send(connection: Any, data: Any) -> None:
        if here().sending:
            return
        host, port = connection.host, connection.port
        if here().control and host in LOOPBACK and not looks_like_aws(bytes(data)):
            return
        tunnel = getattr(connection, "_tunnel_host", None) or ""
        if is_aws_host(host) or is_aws_host(tunnel) or is_metadata_host(host) or (host, port) in addresses:
            leave(f"{host}:{port}")
        if isinstance(data, bytes | bytearray) and looks_like_aws(bytes(data)):
            leave(f"{host}:{port} with an AWS request")

    watched: Mapping[str, Callable[..., None]] = MappingProxyType(
        {
            CALL: on_call,
            CALLED: on_called,
            SIGN: on_sign,
            SEND: on_send,
            SENT: on_sent,
            STATUS: on_status,
            "socket.getaddrinfo": on_resolve,
            "socket.gethostbyname": on_resolve,
            "socket.connect": on_connect,
            "socket.sendto": on_connect,
            "socket.sendmsg": on_connect,
            "http.client.send": on_http_send,
            **entries.watches(),
        }
    )

    def hook(event: str, arguments: tuple[Any, ...], get: Any = watched.get) -> None:
        handler = get(event)
        if handler is not None:
            handler(*arguments)

    @contextmanager
    def holding(permit: _Permit) -> Iterator[None]:
        state = here()
        state.permits.append(permit)
        try:
            yield
        finally:
            state.permits.remove(permit)

    chain = _Permit("credentials", chain_allows)

    def run(*given: Any, **options: Any) -> Any:
        if evidence is None:
            raise WriteRefused(f"This process applies nothing. {HINT}")
        changed = status()
        if changed is not None:
            raise GuardTampered(changed)
        return holding(_Permit("step", evidence(*given, **options)))

    @contextmanager
    def control() -> Iterator[None]:
        state = here()
        state.control += 1
        try:
            yield
        finally:
            state.control -= 1

    def remember_endpoint(host: str, port: int) -> None:
        names = LOOPBACK if host in LOOPBACK else {host}
        addresses.update((name, port) for name in names)

    def status() -> str | None:
        answer: list[Any] = []
        whole(answer, None)
        return str(answer[0]) if answer else None

    sys.addaudithook(hook)
    return Guard(lambda: holding(chain), run, control, remember_endpoint, status)
