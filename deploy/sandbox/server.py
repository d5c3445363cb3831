"""The WSGI server: moto's dispatcher with the sandbox's services in front of it, on loopback only."""

from __future__ import annotations

import io
import socket
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC
from email.utils import format_datetime
from http import HTTPStatus
from threading import Thread
from typing import Any, Final

from moto.moto_server.werkzeug_app import (
    BackendRequest,
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import BaseWSGIServer, make_server
from werkzeug.wrappers import Response

from deploy.sandbox.cloudtrail import record
from deploy.sandbox.faults import Faults, refusal
from deploy.sandbox.patches import warm_up
from deploy.sandbox.replies import Call, Reply, caller, error_reply, identify
from deploy.sandbox.world import World, current

LOOPBACK: Final = "127.0.0.1"
Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Wsgi = Callable[[Environ, StartResponse], Iterable[bytes]]


@dataclass(frozen=True, slots=True)
class Recorded:
    """One call that was made: boto3's client name, the operation, the Region and the HTTP status."""

    service: str
    operation: str
    region: str
    status: int
    """0: the connection was dropped before the call had an effect."""


class ServiceApp:
    """One of the sandbox's own services, answered by its moto response class."""

    def __init__(self, response_class: Any) -> None:
        self.response_class = response_class

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        from moto.core.request import normalize_request

        request = normalize_request(BackendRequest(environ))
        status, headers, body = self.response_class.dispatch(request, request.raw_url, dict(request.headers))
        return Response(body, status=status, headers=headers)(environ, start_response)


def create_app(service: Any) -> Any:
    """The application of one service: the sandbox's where it has one, else moto's."""
    from deploy.sandbox.services import own_services

    own = own_services().get(service)
    app = ServiceApp(own) if own is not None else create_backend_app(service)
    warm_up(service, current())
    return app


class Application:
    """Answers every request: control calls, then faults, then the service, one at a time."""

    def __init__(self, world: World, faults: Faults, control: Callable[[str, str, bytes], Reply]) -> None:
        self.world, self.faults, self.control = world, faults, control
        self.calls: list[Recorded] = []
        self._services = DomainDispatcherApplication(create_app)
        self._last_request = time.monotonic()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        self._last_request = time.monotonic()
        body = _body(environ)
        if environ.get("PATH_INFO", "").startswith("/sandbox/"):
            return _send(self._controlled(environ, body), environ, start_response)
        with self.world.lock:
            return self._answer(environ, body, start_response)

    @property
    def idle_s(self) -> float:
        return time.monotonic() - self._last_request

    def _controlled(self, environ: Environ, body: bytes) -> Reply:
        """Control calls are refused unless they name a loopback host (a web page cannot forge that)."""
        host = environ.get("HTTP_HOST", "").rpartition(":")[0]
        if host not in (LOOPBACK, "localhost"):
            return 403, {"Content-Type": "text/plain"}, b"the sandbox is controlled from this machine only\n"
        return self.control(environ.get("REQUEST_METHOD", "GET"), environ["PATH_INFO"], body)

    def _answer(self, environ: Environ, body: bytes, start_response: StartResponse) -> Iterable[bytes]:
        self.world.clock.catch_up()
        call = identify(environ, body)
        kind = self.faults.strike(call)
        if kind == "drop":
            self._record(call, 0)
            raise _hang_up(environ)
        struck = kind in ("throttle", "error", "deny")
        reply = refusal(call, kind) if struck and kind else self._served(environ, call)
        self.world.settle(call.service)
        self._record(call, reply[0])
        if reply[0] < HTTPStatus.BAD_REQUEST:
            record(call.service, call.operation, caller(environ), body)
        if kind == "lose-answer":
            raise _hang_up(environ)
        return _send(self._dated(reply), environ, start_response)

    def _dated(self, reply: Reply) -> Reply:
        """The reply with the time of the sandbox's own clock, by which a client knows AWS's present."""
        status, headers, body = reply
        kept = {name: value for name, value in headers.items() if name.lower() != "date"}
        return status, {**kept, "Date": format_datetime(self.world.clock.now.astimezone(UTC), usegmt=True)}, body

    def _served(self, environ: Environ, call: Call) -> Reply:
        """The service's reply; what moto lacks is refused by name instead of failing as a server error."""
        caught: list[Any] = []

        def start(status: str, headers: list[tuple[str, str]], _error: Any = None) -> Any:
            caught[:] = [int(status.split()[0]), dict(headers)]

        try:
            body = b"".join(self._services(environ, start))
        except NotImplementedError:
            return self._not_imitated(call)
        except Exception as error:  # noqa: BLE001 - a defect of the sandbox or moto: told, never a hung client
            if call.service not in _known_services():
                return self._not_imitated(call)
            print(f"sandbox: {call.service} {call.operation} failed: {error!r}", file=sys.stderr)
            return error_reply(call, "InternalFailure", f"The sandbox failed: {error!r}", 500)
        return caught[0], caught[1], body

    def _not_imitated(self, call: Call) -> Reply:
        text = f"The sandbox does not imitate {call.service} {call.operation} (see docs/guide/sandbox.md)."
        return error_reply(call, "NotImitatedInSandbox", text, 400)

    def _record(self, call: Call, status: int) -> None:
        self.calls.append(Recorded(call.service, call.operation, call.region, status))


def _known_services() -> set[str]:
    from moto.backends import list_of_moto_modules

    return {name.replace("awslambda", "lambda") for name in list_of_moto_modules()} | {
        "application-autoscaling",
        "resource-groups-tagging-api",
    }


def _body(environ: Environ) -> bytes:
    """Read the request's body and put it back for whoever reads it next."""
    length = environ.get("CONTENT_LENGTH")
    stream = environ["wsgi.input"]
    body: bytes = b""
    if length:
        body = stream.read(int(length))
    elif environ.get("wsgi.input_terminated"):
        body = stream.read()
        environ["CONTENT_LENGTH"] = str(len(body))
    environ["wsgi.input"] = io.BytesIO(body)
    return body


def _send(reply: Reply, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    status, headers, body = reply
    return Response(body, status=status, headers=headers)(environ, start_response)


def _hang_up(environ: Environ) -> ConnectionError:
    """Close the client's connection without a word; werkzeug takes the error as a dropped connection."""
    connection = environ.get("werkzeug.socket")
    if isinstance(connection, socket.socket):
        connection.shutdown(socket.SHUT_RDWR)
    return ConnectionAbortedError("dropped by an injected fault")


class _QuietHandler(MotoRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:
        """No line per request."""

    def send_response(self, code: int | HTTPStatus, message: str | None = None) -> None:
        """Without a Date of this machine's clock beside the sandbox's."""
        self.send_response_only(code, message)


class Server:
    """The application on a port of 127.0.0.1; port 0 takes a free one."""

    def __init__(self, application: Wsgi, port: int = 0) -> None:
        self._server: BaseWSGIServer = make_server(
            LOOPBACK, port, application, threaded=True, request_handler=_QuietHandler
        )
        self._server.daemon_threads = True  # type: ignore[attr-defined]
        self._server.block_on_close = False  # type: ignore[attr-defined]
        self._thread = Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
