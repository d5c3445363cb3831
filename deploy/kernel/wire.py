"""Read an HTTP request as AWS will: which operation does it name, and is it the one that was let through?

A client's call is judged by name and parameters before it is serialised, but handlers that a cell registers
may change the request afterwards, and a cell may drive botocore below its clients. So the request is judged
again where it is signed and where it is sent, from its own method, URL, headers and body.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

from deploy.kernel.operations import is_read_everywhere

_FORM = "application/x-www-form-urlencoded"
_CBOR_PATH = re.compile(r"/service/[^/]+/operation/([A-Za-z0-9]+)$")


@dataclass(frozen=True, slots=True)
class Expected:
    """The shape on the wire of the one operation that was let through."""

    service: str
    operation: str
    protocols: tuple[str, ...]
    target: str | None
    """The X-Amz-Target header of the JSON protocols."""
    method: str
    path: str
    """The URI template of the REST protocols, without its query."""

    @property
    def protocols_are_rest(self) -> bool:
        return all(protocol.startswith("rest-") for protocol in self.protocols)


class Models:
    """Botocore's own models, read from its own folder: a cell may hand a client any other."""

    def __init__(self) -> None:
        import botocore.loaders

        self._loader = botocore.loaders.Loader(include_default_search_paths=False)
        self._loader.search_paths.append(self._loader.BUILTIN_DATA_PATH)
        self._shapes: dict[str, dict[str, Expected]] = {}

    def expected(self, service: str, operation: str) -> Expected | None:
        """The operation as botocore's model has it; None for a service or operation it does not know."""
        shapes = self._shapes.get(service)
        if shapes is None:
            shapes = self._shapes[service] = self._read(service)
        return shapes.get(operation)

    def _read(self, service: str) -> dict[str, Expected]:
        import botocore.exceptions

        try:
            model = self._loader.load_data_with_path(
                f"{service}/{self._loader.determine_latest_version(service, 'service-2')}/service-2"
            )[0]
        except (botocore.exceptions.DataNotFoundError, botocore.exceptions.UnknownServiceError):
            return {}
        metadata = model["metadata"]
        protocols = tuple({metadata["protocol"], *metadata.get("protocols", ())})
        prefix = metadata.get("targetPrefix")
        return {
            name: Expected(
                service=service,
                operation=name,
                protocols=protocols,
                target=f"{prefix}.{operation.get('name', name)}" if prefix else None,
                method=operation["http"].get("method", "POST"),
                path=operation["http"].get("requestUri", "/").partition("?")[0],
            )
            for name, operation in model["operations"].items()
        }


def agrees(request: Request, wanted: Expected) -> bool:
    """Whether the request asks for the expected operation and for nothing else, by every name it carries."""
    if request.actions is None or any(action != wanted.operation for action in request.actions):
        return False
    if request.target is not None:
        return request.target == wanted.target
    if request.actions:
        return not wanted.protocols_are_rest
    cbor = _CBOR_PATH.search(request.path)
    if cbor is not None and "smithy-rpc-v2-cbor" in wanted.protocols:
        return cbor.group(1) == wanted.operation
    if not wanted.protocols_are_rest or request.method != wanted.method:
        return False
    if wanted.service == "s3":  # the bucket may have moved from the path into the host's name
        return "session" not in request.query or wanted.operation == "CreateSession"
    return _template(wanted.path).search(request.path) is not None


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
    host, port, path, query = _place(url)
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
def _place(url: str) -> tuple[str, int, str, Mapping[str, list[str]]]:
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


@lru_cache(maxsize=512)
def _template(path: str) -> re.Pattern[str]:
    """`/v1/clusters/{name}` as a pattern for the end of a path (an endpoint may have a path of its own)."""
    pieces = re.split(r"(\{[^}]+\})", path.rstrip("/"))
    pattern = "".join(
        (".+" if piece.endswith("+}") else "[^/]*") if piece.startswith("{") else re.escape(piece)
        for piece in pieces
    )
    return re.compile(pattern + "/?$")
