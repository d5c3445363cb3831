"""Control calls to a sandbox in another process."""

from __future__ import annotations

import http.client
import json
from typing import Any
from urllib.parse import urlsplit


class RemoteError(RuntimeError):
    """The sandbox refused a control call, or is not there; the text says which."""


def control(endpoint_url: str, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """Make a control call (deploy.sandbox.control.Control lists them) and return its answer."""
    address = urlsplit(endpoint_url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=120)
    try:
        text = json.dumps(body) if body is not None else None
        connection.request(method, path, body=text, headers={"Content-Type": "application/json"})
        response = connection.getresponse()
        answer = json.loads(response.read() or b"{}")
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise RemoteError(f"the sandbox at {endpoint_url} does not answer: {error}") from error
    finally:
        connection.close()
    if response.status != 200:
        raise RemoteError(str(answer.get("error", f"the sandbox answered {response.status}")))
    return dict(answer)
