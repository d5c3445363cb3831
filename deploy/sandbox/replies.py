"""Which AWS call a request is, and how an error is answered in that call's protocol."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

from deploy.sandbox.cbor import error_body

BOTO_NAMES: Final = {
    "monitoring": "cloudwatch",
    "elasticloadbalancing": "elbv2",
    "states": "stepfunctions",
    "email": "ses",
}
"""Signing names that differ from the names boto3 gives its clients."""


@dataclass(frozen=True, slots=True)
class Call:
    """One AWS call: boto3's client name, the operation, the Region and the wire protocol."""

    service: str
    operation: str
    region: str
    protocol: str


Reply = tuple[int, dict[str, str], bytes]


def identify(environ: dict[str, Any], body: bytes) -> Call:
    """Read the call from the signature's scope and from where its protocol carries the operation."""
    scope = re.search(r"Credential=[^/]+/\d+/([^/]+)/([^/]+)/aws4", environ.get("HTTP_AUTHORIZATION", ""))
    region, signing_name = scope.groups() if scope else ("", "unsigned")
    service = BOTO_NAMES.get(signing_name, signing_name)
    content_type = environ.get("CONTENT_TYPE", "")
    path, target = environ.get("PATH_INFO", "/"), environ.get("HTTP_X_AMZ_TARGET", "")
    over_cbor = re.match(r"^/service/[^/]+/operation/([^/]+)$", path)
    if over_cbor:
        return Call(service, over_cbor[1], region, "cbor")
    if target:
        return Call(service, target.rpartition(".")[2], region, "json")
    form = body.decode(errors="replace") if "urlencoded" in content_type else environ.get("QUERY_STRING", "")
    action = parse_qs(form).get("Action")
    if action:
        return Call(service, action[0], region, "ec2" if service == "ec2" else "query")
    return Call(service, _rest_operation(environ, service, path), region, "xml" if service == "s3" else "rest")


def caller(environ: dict[str, Any]) -> str:
    """Who signed the call: the access key's identifier, as any key is taken."""
    found = re.search(r"Credential=([^/]+)/", environ.get("HTTP_AUTHORIZATION", ""))
    return found[1] if found else "anonymous"


def _rest_operation(environ: dict[str, Any], service: str, path: str) -> str:
    """A REST call's operation from its method and path; the two themselves where no model tells."""
    from moto.core.request import Request
    from moto.core.routing import get_service_router

    try:
        operation, _ = get_service_router(service).match(Request({**environ, "wsgi.input": None}))
    except Exception:  # noqa: BLE001 - a name for the record only; the call itself goes on
        return f"{environ.get('REQUEST_METHOD', 'GET')} {path}"
    return str(operation.name)


def error_reply(call: Call, code: str, message: str, status: int) -> Reply:
    """An error in the call's protocol, as the SDKs read it."""
    if call.protocol == "cbor":
        headers = {
            "Content-Type": "application/cbor",
            "smithy-protocol": "rpc-v2-cbor",
            "x-amzn-query-error": f"{code};{'Sender' if status < 500 else 'Receiver'}",
        }
        return status, headers, error_body(code, message)
    if call.protocol in ("json", "rest"):
        headers = {"Content-Type": "application/x-amz-json-1.1", "x-amzn-ErrorType": code}
        return status, headers, json.dumps({"__type": code, "message": message}).encode()
    error = f"<Code>{escape(code)}</Code><Message>{escape(message)}</Message>"
    if call.protocol == "ec2":
        text = f"<Response><Errors><Error>{error}</Error></Errors><RequestID>sandbox</RequestID></Response>"
    elif call.protocol == "xml":
        text = f"<Error>{error}<RequestId>sandbox</RequestId></Error>"
    else:
        kind = "Sender" if status < 500 else "Receiver"
        text = (
            f"<ErrorResponse><Error><Type>{kind}</Type>{error}</Error>"
            "<RequestId>sandbox</RequestId></ErrorResponse>"
        )
    return status, {"Content-Type": "text/xml"}, text.encode()
