"""The write guard: in this kernel no AWS operation that is not a read passes, but for the step being applied.

It stands in four places, each holding by itself what gets round the one above:

1. `BaseClient._make_api_call`: every call of every client, resource, waiter and paginator, by name and parameters;
2. `add_auth` of every signer in botocore: a request is signed only if it is the call of (1), or a read by its
   bytes (this is where presigned URLs and hand-made requests end);
3. `URLLib3Session.send`: the same question of a copy of the request, and the copy is what leaves;
4. an audit hook of the interpreter (PEP 578) on sockets and http.client: nothing else in the process reaches AWS.

The decision itself lives in the closure of that audit hook. Python has no call that removes one, the entry points
above only ask it (`sys.audit`), and the code it runs is a private copy (`sealed.py`), so replacing any of them can
make calls fail but not pass. Each time a request leaves, the hook looks whether what carries it is still in place;
if not, nothing reaches AWS until the kernel is restarted.
What a determined author of a cell can still do is told in docs/guide/kernel.md: IAM is the boundary.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple, NoReturn

from deploy.kernel.body import plain, says
from deploy.kernel.departure import carrier_codes, is_carried, is_part_of
from deploy.kernel.integrity import EntryPoints, install_entry_points
from deploy.kernel.network import is_aws_host, is_metadata_host, looks_like_aws, spelled
from deploy.kernel.outgoing import copied
from deploy.kernel.refusals import GuardTampered, WriteRefused
from deploy.kernel.wire import Expected, Models, agrees, is_read_request, place, read_request

CALL, SIGN, SEND = (f"ecs_deploy.guard.{name}" for name in ("call", "sign", "send"))

TAMPERED = (
    "{what} was changed in this kernel, so the write guard can no longer vouch for anything: no AWS call is made "
    "until the kernel is restarted. Nothing was written."
)
WATCHED = (
    "A debugger or profiler is active in this thread, which could change a request on its way: AWS is not called "
    "while it is. Nothing was written."
)
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
IN_RUN = "The call was not made and the run stopped there: %rollback takes the run back."
HINT = "Nothing was written. Writes are made only by %apply, step by step, from an approved bundle."

# What a session's own credential chain may call to get or renew credentials.
_CHAIN = frozenset(
    {
        ("sts", "AssumeRole"),
        ("sts", "AssumeRoleWithSAML"),
        ("sts", "AssumeRoleWithWebIdentity"),
        ("sso", "GetRoleCredentials"),
        ("sso-oidc", "CreateToken"),
        ("signin", "CreateOAuth2Token"),
    }
)


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
    is_running: Callable[[], bool]
    """Whether a run is open in this thread."""
    control: Callable[[], Any]
    """A context manager: inside it, in this thread, a sandbox on loopback may be told to let time pass."""
    remember_endpoint: Callable[[str, int], None]
    """Say that (host, port) stands for AWS: a sandbox. Endpoints of clients are remembered by themselves."""
    status: Callable[[], str | None]
    """None while the guard is whole, otherwise what was changed."""


class _Thread:
    """What is under way in one thread. An entry ends when the entry point empties its `answer`."""

    __slots__ = ("calls", "control", "permits", "sending")

    def __init__(self) -> None:
        self.calls: list[_Call] = []
        self.permits: list[_Permit] = []
        self.sending: list[list[Any]] = []
        self.control = 0

    def call(self) -> _Call | None:
        """The innermost client call under way."""
        while self.calls:
            if self.calls[-1].answer:
                return self.calls[-1]
            self.calls.pop()
        return None

    def request(self) -> list[Any] | None:
        """The answer of the innermost request that is being sent: first of it the request itself."""
        while self.sending:
            if self.sending[-1]:
                return self.sending[-1]
            self.sending.pop()
        return None


class _Call(NamedTuple):
    """A client call that was let through."""

    answer: list[Any]
    wanted: Expected
    asked: Mapping[str, Any] | None
    """A step's parameters as they were judged; None for a read."""


class _Holding:
    """A context manager over one thread's state, of nothing that a cell could patch."""

    __slots__ = ("_enter", "_leave")

    def __init__(self, enter: Callable[[], None], leave: Callable[[], None]) -> None:
        self._enter, self._leave = enter, leave

    def __enter__(self) -> None:
        self._enter()

    def __exit__(self, *_: object) -> None:
        self._leave()


def install(observe: Callable[[Observed], None], evidence: Callable[..., Allows] | None = None) -> Guard:
    """Put the guard in place for the rest of this process's life; it cannot be taken out again.

    `observe` is told of every judged call; it must be quick and must not call AWS. `evidence` judges what `run` is
    given: it raises, or returns what the run allows. Without it no write ever passes.
    """
    from deploy.kernel.sealed import sealed

    guard: Guard = sealed(__name__).decider(observe, evidence)
    return guard


def chain_allows(service: str, operation: str, _region: str, _parameters: Mapping[str, Any]) -> str | None:
    """The permit under which the credential chain runs."""
    return None if (service, operation) in _CHAIN else "is no part of getting credentials"


def decider(observe: Callable[[Observed], None], evidence: Callable[..., Allows] | None) -> Guard:
    """Install the entry points and the hook that decides; for the private copy of this module."""
    carriers = carrier_codes()  # before one of them is replaced
    return _decider(carriers, install_entry_points(), observe, evidence)


def _decider(
    carriers: frozenset[int],
    entries: EntryPoints,
    observe: Callable[[Observed], None],
    evidence: Callable[..., Allows] | None,
) -> Guard:
    threads: dict[int, _Thread] = {}
    addresses: set[tuple[str, int]] = set()
    broken: list[str] = []
    ident, frame_of, tracer, profiler = threading.get_ident, sys._getframe, sys.gettrace, sys.getprofile
    send_code, expect = entries.codes["send"], Models().expected

    def here() -> _Thread:
        me = ident()
        state = threads.get(me)
        if state is None:
            state = threads[me] = _Thread()
        return state

    def require_whole(changed: Callable[[], str | None]) -> None:
        """GuardTampered if what we stand on was changed, now or ever."""
        if not broken:
            found = changed()
            if found:
                broken.append(found)
        if broken:
            raise GuardTampered(TAMPERED.format(what=broken[0]))

    def refuse(service: str, operation: str, reason: str) -> NoReturn:
        observe(Observed(service, operation, "refused", reason))
        in_run = any(permit.verdict == "step" for permit in here().permits)
        raise WriteRefused(f"{service}:{operation} {reason}. {IN_RUN if in_run else HINT}")

    def on_call(answer: list[Any], client: Any, operation: Any, parameters: Any) -> None:
        service = client._service_model.service_name
        known = expect(service, operation) if type(service) is str and type(operation) is str else None
        if known is None:
            require_whole(entries.changed)
            refuse(str(service), str(operation), "is not in botocore's own models")
        state = here()
        if known.is_read and (known.asks is None or not asks_for(known.asks, parameters)):
            verdict, asked = "read", None
        else:
            require_whole(entries.changed)
            asked = plain(parameters) if isinstance(parameters, dict) else {}
            verdict = permitted(state, known, str(client.meta.region_name), asked)
            asked = asked if verdict == "step" else None
        observe(Observed(service, operation, verdict))
        answer.append(True)
        state.calls.append(_Call(answer, known, asked))

    def asks_for(parameter: str, parameters: Any) -> bool:
        return isinstance(parameters, dict) and bool(dict.get(parameters, parameter))

    def permitted(state: _Thread, known: Expected, region: str, asked: Mapping[str, Any]) -> str:
        """The verdict of the permit that lets the call through; WriteRefused without one."""
        reason = f"with {known.asks} hands out a secret" if known.is_read else "is not known to be a read"
        for permit in reversed(state.permits):
            against = permit.allows(known.service, known.operation, region, asked)
            if against is None:
                return permit.verdict
            reason = f"{reason} and {against}"
        refuse(known.service, known.operation, reason)

    def judge(state: _Thread, request: Any, target: Any, body: Any, signing_name: str | None) -> None:
        call = state.call()
        if call is not None:
            if not agrees(call.wanted, request.method, request.url, request.headers, target, body) or (
                call.asked is not None and not says(call.wanted, call.asked, request.url, body)
            ):
                refuse(call.wanted.service, call.wanted.operation, "was changed into another request on its way")
            return
        asked = read_request(request.method, request.url, request.headers, body)
        if is_metadata_host(asked.host) and any(p.verdict == "credentials" for p in state.permits):
            return
        if not is_read_request(asked, signing_name):
            name = asked.target or ",".join(asked.actions or ()) or f"{asked.method} {asked.path}"
            service = asked.signing_name or signing_name or asked.host
            refuse(service, name, "made without a client is not known to be a read")

    def on_sign(answer: list[Any], signer: Any, request: Any) -> None:
        headers, body = request.headers, request.data or request.params
        judge(here(), request, headers.get("X-Amz-Target"), body, getattr(signer, "_service_name", None))
        answer.append(True)

    def on_send(answer: list[Any], request: Any) -> None:
        require_whole(entries.changed_here)
        if tracer() is not None or profiler() is not None:
            raise GuardTampered(WATCHED)
        copy, target = copied(request)
        state = here()
        judge(state, copy, target, copy.body, None)
        host, port, *_ = place(copy.url)
        if (host, port) not in addresses and not is_aws_host(host):
            remember_endpoint(host, port)
        answer.append(copy)
        state.sending.append(answer)

    def leave(where: str) -> NoReturn:
        observe(Observed("network", where, "refused", "past botocore"))
        refusal = WriteRefused(
            f"A connection to {where} past boto3 is refused: in this kernel AWS is reached through boto3 clients "
            f"only, where the guard can tell reads from writes. {HINT}"
        )
        sent = here().request()
        if sent is not None:  # the transport makes an error of its own of it; the entry point raises it itself
            sent.append(refusal)
        raise refusal

    def is_ours() -> bool:
        """Whether botocore's own transport asks, for the request that is being sent."""
        return here().request() is not None and is_carried(frame_of(3), carriers, send_code)

    def on_resolve(host: Any, *_: Any) -> None:
        name = host.decode("latin-1") if isinstance(host, bytes) else host
        if isinstance(name, str) and is_aws_host(name) and not is_ours():
            leave(name)

    def on_connect(_socket: Any, address: Any) -> None:
        if not isinstance(address, tuple) or len(address) < 2:
            return
        state = here()
        host, port = spelled(str(address[0])), address[1]
        if state.request() is not None:
            if not is_ours():
                leave(f"{host}:{port}")
            require_whole(entries.changed)
        elif not (state.control and host in LOOPBACK) and (
            is_aws_host(host) or is_metadata_host(host) or (host, port) in addresses
        ):
            leave(f"{host}:{port}")

    def on_http_send(connection: Any, data: Any) -> None:
        state = here()
        host, port = spelled(str(connection.host)), connection.port
        sent = state.request()
        if sent is not None:
            if not is_part_of(sent, data):
                leave(f"{host}:{port} with another request than the one that was judged")
            return
        if state.control and host in LOOPBACK and not looks_like_aws(bytes(data)):
            return
        tunnel = getattr(connection, "_tunnel_host", None) or ""
        if is_aws_host(host) or is_aws_host(tunnel) or is_metadata_host(host) or (host, port) in addresses:
            leave(f"{host}:{port}")
        if isinstance(data, bytes | bytearray) and looks_like_aws(bytes(data)):
            leave(f"{host}:{port} with an AWS request")

    watched: Mapping[str, Callable[..., None]] = MappingProxyType(
        {
            CALL: on_call,
            SIGN: on_sign,
            SEND: on_send,
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

    def holding(permit: _Permit) -> _Holding:
        permits = here().permits
        return _Holding(lambda: permits.append(permit), lambda: permits.remove(permit))

    chain = _Permit("credentials", chain_allows)

    def run(*given: Any, **options: Any) -> Any:
        if evidence is None:
            raise WriteRefused(f"This process applies nothing. {HINT}")
        changed = status()
        if changed is not None:
            raise GuardTampered(changed)
        return holding(_Permit("step", evidence(*given, **options)))

    def is_running() -> bool:
        return any(permit.verdict == "step" for permit in here().permits)

    def control() -> _Holding:
        state = here()

        def count(by: int) -> None:
            state.control += by

        return _Holding(lambda: count(1), lambda: count(-1))

    def remember_endpoint(host: str, port: int) -> None:
        names = LOOPBACK if host in LOOPBACK else {host}
        addresses.update((name, port) for name in names)

    def status() -> str | None:
        try:
            require_whole(entries.changed_anywhere)
        except GuardTampered as error:
            return str(error)
        return None

    sys.addaudithook(hook)
    return Guard(lambda: holding(chain), run, is_running, control, remember_endpoint, status)
