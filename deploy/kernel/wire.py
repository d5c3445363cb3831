"""Read an HTTP request as AWS will: which operation does it name, and is it the one that was let through?

A client's call is judged by name and parameters before it is serialised, but handlers that a cell registers
may change the request afterwards, and a cell may drive botocore below its clients. So the request is judged
again where it is signed and where it is sent, from its own method, URL, headers and body.
"""

from __future__ import annotations

import _json
import os
import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from json import JSONDecoder
from types import MappingProxyType
from typing import Any, NamedTuple, cast
from urllib.parse import parse_qs, urlsplit

from deploy.kernel.operations import SECRET_WHEN, is_read, is_read_everywhere

_FORM = "application/x-www-form-urlencoded"
_CBOR_PATH = re.compile(r"/service/[^/]+/operation/([A-Za-z0-9]+)$")
# A form that names its Action first, and then parameters whose names need no decoding and are not Action again.
_PLAIN_FORM = re.compile(rb"Action=([A-Za-z0-9]+)(?:&(?!Action=)[A-Za-z0-9._-]+=[^&;]*)*\Z")
_READ_JSON: Any = _json.make_scanner(
    cast(Any, JSONDecoder())
)  # a name in `json` could be given another meaning; this is C


@dataclass(frozen=True, slots=True)
class Expected:
    """One operation of botocore's models: whether it is a read, and its shape on the wire."""

    service: str
    operation: str
    is_read: bool
    asks: str | None
    """The parameter with which a read hands out a secret; None for most."""
    protocols: tuple[str, ...]
    target: str | None
    """The X-Amz-Target header of the JSON protocols."""
    method: str
    path: str
    """The URI template of the REST protocols, without its query."""
    action: str | None
    """The value of Action in the query protocols; None for other protocols."""
    is_rest: bool


class Models:
    """Botocore's own models, read from its own folder: a cell may hand a client any other."""

    def __init__(self) -> None:
        import botocore

        self._folder = f"{os.path.dirname(str(botocore.__file__))}/data"
        self._services = frozenset(os.listdir(self._folder))
        self._known: dict[tuple[str, str], Expected] = {}
        self._read: set[str] = set()

    def expected(self, service: str, operation: str) -> Expected | None:
        """The operation as botocore's model has it; None for a service or operation it does not know."""
        if service not in self._read and service in self._services:
            for shape in self._shapes(service):
                self._known[service, shape.operation] = shape
            self._read.add(service)
        return self._known.get((service, operation))

    def _shapes(self, service: str) -> Iterator[Expected]:
        for version in sorted(os.listdir(f"{self._folder}/{service}"), reverse=True):
            model = _model(f"{self._folder}/{service}/{version}/service-2.json")
            if model is not None:
                break
        else:
            return
        metadata = model["metadata"]
        protocols = tuple({metadata["protocol"], *metadata.get("protocols", ())})
        prefix = metadata.get("targetPrefix")
        is_query = not {"query", "ec2"}.isdisjoint(protocols)
        for name, operation in model["operations"].items():
            yield Expected(
                service=service,
                operation=name,
                is_read=is_read(service, name),
                asks=SECRET_WHEN.get((service, name)),
                protocols=protocols,
                target=f"{prefix}.{operation.get('name', name)}" if prefix else None,
                method=operation["http"].get("method", "POST"),
                path=operation["http"].get("requestUri", "/").partition("?")[0],
                action=name if is_query else None,
                is_rest=all(protocol.startswith("rest-") for protocol in protocols),
            )


def _model(path: str) -> Any:
    try:
        with open(f"{path}.gz", "rb") as file:
            text = zlib.decompress(file.read(), 31)  # 31: gzip's header
    except FileNotFoundError:
        try:
            with open(path, "rb") as file:
                text = file.read()
        except (FileNotFoundError, NotADirectoryError):
            return None
    except NotADirectoryError:
        return None
    return _READ_JSON(text.decode().strip(), 0)[0]


def agrees(wanted: Expected, method: Any, url: Any, headers: Mapping[str, Any], target: Any, body: Any) -> bool:
    """Whether a request asks for the expected operation and for nothing else, by every name it carries.

    The usual request of each protocol is recognised by a few comparisons; whatever differs is taken apart.
    `target` is the X-Amz-Target among `headers`, None without one.
    """
    if type(url) is str and "?" not in url and wanted.asks is None:
        kind = type(body)
        if target is None:
            if wanted.action is not None:
                if kind is dict:
                    named = body.get("Action")
                    return type(named) is str and named == wanted.operation
                plain = _PLAIN_FORM.match(body) if kind is bytes else None
                if plain is not None:
                    return plain.group(1).decode() == wanted.action
            elif not body and type(method) is str and wanted.is_rest:
                return method == wanted.method and (wanted.service == "s3" or _fits(url, wanted.path))
        elif type(target) is str and kind is bytes and b"=" not in body:
            return target == wanted.target
    return _agrees(read_request(method, url, headers, body), wanted, body)


@lru_cache(maxsize=4096)
def _fits(url: str, template: str) -> bool:
    return fits_template(place(url)[2], template)


def _agrees(request: Request, wanted: Expected, body: Any) -> bool:
    if request.actions is None or any(action != wanted.operation for action in request.actions):
        return False
    if wanted.asks is not None and _asks(request, wanted.asks, body):
        return False
    if request.target is not None:
        return request.target == wanted.target
    if request.actions:
        return not wanted.is_rest
    cbor = _CBOR_PATH.search(request.path)
    if cbor is not None and "smithy-rpc-v2-cbor" in wanted.protocols:
        return cbor.group(1) == wanted.operation
    if not wanted.is_rest or request.method != wanted.method:
        return False
    if wanted.service == "s3":  # the bucket may have moved from the path into the host's name
        return "session" not in request.query or wanted.operation == "CreateSession"
    return fits_template(request.path, wanted.path)


def _asks(request: Request, parameter: str, body: Any) -> bool:
    """Whether the request itself asks for the secret, in query or JSON body; unreadable counts as asking."""
    if any(value.lower() != "false" for value in request.query.get(parameter, ())):
        return True
    if not body:
        return False
    given = read_json(body)
    return not isinstance(given, dict) or bool(given.get(parameter))


def read_json(body: Any) -> Any:
    """A JSON body as AWS reads it; None for what is none."""
    try:
        text = body.decode() if isinstance(body, bytes | bytearray) else body
        value, end = _READ_JSON(text, 0)
    except (StopIteration, ValueError, TypeError, AttributeError):
        return None
    return value if not text[end:].strip() else None


@lru_cache(maxsize=4096)
def fits_template(path: str, template: str) -> bool:
    """Whether a path ends as `/v1/clusters/{name}` says (an endpoint may have a path of its own before it)."""
    given, wanted = path.rstrip("/").split("/"), template.strip("/").split("/")
    while wanted:
        label = wanted.pop()
        if label.endswith("+}"):  # takes up slashes; what stands before it must still follow from the start
            return _starts(given, wanted)
        if not given:
            return False
        piece = given.pop()
        if not label.startswith("{") and piece != label:
            return False
    return True


def _starts(given: list[str], wanted: list[str]) -> bool:
    """Whether the wanted labels stand somewhere in the path with at least one piece after them."""
    for start in range(len(given) - len(wanted)):
        pairs = zip(given[start:], wanted, strict=False)
        if all(label.startswith("{") or piece == label for piece, label in pairs):
            return True
    return False


class Request(NamedTuple):
    """What decides about a request, taken out of it once."""

    method: str
    host: str
    port: int
    path: str
    query: Mapping[str, list[str]]
    target: str | None
    actions: tuple[str, ...] | None
    """Every value of Action in the query string and a form body; None if the body cannot be read."""
    headers: Mapping[str, Any]

    @property
    def signing_name(self) -> str | None:
        """For which service the signature says it is; None without one."""
        scope = (self.query.get("X-Amz-Credential") or [""])[0] or _text(self.headers.get("Authorization")) or ""
        parts = scope.partition("Credential=")[2] or scope
        named = parts.partition(",")[0].split("/")
        return named[3] if len(named) >= 5 else None


def read_request(method: str, url: str, headers: Mapping[str, Any], body: Any) -> Request:
    """Take apart an AWSRequest, an AWSPreparedRequest or anything with the same four fields."""
    host, port, path, query = place(url)
    return Request(
        method=method.upper(),
        host=host,
        port=port,
        path=path,
        query=query,
        target=_text(headers.get("X-Amz-Target")),
        actions=_actions(query, headers, body),
        headers=headers,
    )


@lru_cache(maxsize=1024)
def place(url: str) -> tuple[str, int, str, Mapping[str, list[str]]]:
    """Host, port, path and query of a URL."""
    parts = urlsplit(url)
    query = parse_qs(parts.query, keep_blank_values=True) if parts.query else {}
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return (parts.hostname or "").lower(), port, parts.path or "/", MappingProxyType(query)


def is_read_request(request: Request, signing_name: str | None) -> bool:
    """Whether a request made without a client is positively a read.

    Only requests that name their operation, and S3's GET and HEAD, can be known; all others are refused.
    """
    if request.actions is None:
        return False
    if request.target is not None:
        return not request.actions and is_read_everywhere(request.target.rpartition(".")[2])
    if request.actions:
        return all(is_read_everywhere(action) for action in request.actions)
    by_s3 = (request.signing_name or signing_name) in {"s3", "s3express"}
    return by_s3 and request.method in {"GET", "HEAD"} and "session" not in request.query


def _text(value: Any) -> str | None:
    if value is None:
        return None
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _actions(query: Mapping[str, list[str]], headers: Mapping[str, Any], body: Any) -> tuple[str, ...] | None:
    named = list(query.get("Action", ()))
    if isinstance(body, Mapping):  # a query request before it is prepared
        named += [str(body["Action"])] if "Action" in body else []
    elif body and _may_be_form(body) and _FORM in (_text(headers.get("Content-Type")) or ""):
        if not isinstance(body, bytes | bytearray | str):
            return None
        text = body if isinstance(body, str) else bytes(body).decode("latin-1")
        named += parse_qs(text, keep_blank_values=True).get("Action", [])
    return tuple(named)


def _may_be_form(body: Any) -> bool:
    """Whether it could name an Action: a form has an equals sign, most JSON has none."""
    if type(body) is bytes:
        return b"=" in body
    return "=" in body if type(body) is str else True
