"""Inside a run: does the request on the wire say what was asked for when the call was judged?

A step's call is judged by its parameters, but handlers run between that and the signature, and any of them may
put other values into the request. So the body is read again and compared, value by value, before it is signed and
again before it is sent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from deploy.kernel.wire import Expected, read_json

# What botocore adds to a call by itself: a token by which AWS knows a call that is made twice.
_ADDED = frozenset({"clientToken", "ClientToken", "ClientRequestToken"})


def plain(value: Any) -> Any:
    """A copy of parameters that nothing else holds: dictionaries, lists and what cannot be changed."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, bytearray | memoryview):
        return bytes(value)
    return value


def says(wanted: Expected, asked: Mapping[str, Any], url: str, body: Any) -> bool:
    """Whether the body, and in S3 the path, carries the parameters `asked` and nothing else."""
    if wanted.service == "s3":
        return _says_object(asked, url, body)
    if wanted.target is not None:
        given = read_json(body)
        return isinstance(given, dict) and _same(
            {key: value for key, value in given.items() if key not in _ADDED or key in asked}, asked
        )
    if wanted.action is not None:
        return _says_form(asked, body)
    return False


def _same(given: Any, asked: Any) -> bool:
    if isinstance(asked, dict):
        here = {key: value for key, value in asked.items() if value is not None}
        return (
            isinstance(given, dict) and given.keys() == here.keys() and all(_same(given[k], here[k]) for k in here)
        )
    if isinstance(asked, list):
        return (
            isinstance(given, list)
            and len(given) == len(asked)
            and all(_same(*pair) for pair in zip(given, asked, strict=True))
        )
    if isinstance(asked, datetime):
        return isinstance(given, int | float) and abs(given - asked.timestamp()) < 1
    if isinstance(asked, bool) or isinstance(given, bool):
        return given is asked
    return bool(given == asked) or str(given) == str(asked)


def _says_form(asked: Mapping[str, Any], body: Any) -> bool:
    """Query protocols flatten parameters: the same values, whatever their numbered names."""
    if isinstance(body, Mapping):
        pairs = [(str(key), str(value)) for key, value in body.items()]
    else:
        text = body.decode("latin-1") if isinstance(body, bytes | bytearray) else str(body or "")
        pairs = parse_qsl(text, keep_blank_values=True)
    added = {"Action", "Version", *_ADDED} - asked.keys()
    given = [value for key, value in pairs if key not in added and value != ""]
    return sorted(given) == sorted(_leaves(asked))


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for item in value.values():
            yield from _leaves(item)
    elif isinstance(value, list):
        for item in value:
            yield from _leaves(item)
    elif isinstance(value, bool):
        yield "true" if value else "false"
    elif value is not None and value != "":
        yield str(value)


def _says_object(asked: Mapping[str, Any], url: str, body: Any) -> bool:
    parts = urlsplit(url)
    bucket, key = str(asked.get("Bucket")), str(asked.get("Key"))
    path = unquote(parts.path).lstrip("/")
    is_its = path == f"{bucket}/{key}" or (path == key and (parts.hostname or "").startswith(f"{bucket}."))
    wanted = asked.get("Body", b"")
    wanted = wanted.encode() if isinstance(wanted, str) else wanted
    return is_its and (body or b"") == (wanted or b"")
