"""Canonical JSON: one sequence of bytes, so one SHA-256, for one meaning.

Keys sorted, no white space, UTF-8, no NaN; a document is written for people with an indent, but its
digest is always taken over the canonical form, so reformatting a file does not change what it says.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

Document = TypeVar("Document", bound="Strict")


class DocumentError(ValueError):
    """A document that cannot be used, with every problem and its path."""

    def __init__(self, name: str, problems: list[str]) -> None:
        self.name = name
        self.problems = problems
        shown = "; ".join(problems[:5]) + (f"; and {len(problems) - 5} more" if len(problems) > 5 else "")
        super().__init__(f"{name} cannot be used: {shown}")


class Strict(BaseModel):
    """A frozen value that knows its fields and refuses any other."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False, allow_inf_nan=False)


def canonical_bytes(value: Any) -> bytes:
    """The canonical form of a document or of plain JSON data; ValueError on NaN or infinity."""
    data = value.model_dump(mode="json") if isinstance(value, BaseModel) else value
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8")


def digest(value: Any) -> str:
    """SHA-256 of the canonical form, in hexadecimal."""
    return hashlib.sha256(canonical_bytes(value)).hexdigest()


def readable_text(value: Any) -> str:
    """The form that is written to files: the canonical order, indented."""
    return json.dumps(json.loads(canonical_bytes(value)), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def parse(text: str | bytes, model: type[Document], name: str) -> Document:
    """Check `text` against `model`; DocumentError lists all problems, each with its path."""
    try:
        data = json.loads(text, object_pairs_hook=_without_repeated_keys)
    except (ValueError, RecursionError) as error:
        raise DocumentError(name, [f"it is not whole JSON ({error})"]) from None
    try:
        return model.model_validate(data)
    except ValidationError as error:
        problems = [f"{_path(e['loc'])}: {e['msg']}" for e in error.errors()]
        raise DocumentError(name, problems) from None


def read(path: Path, model: type[Document]) -> Document:
    try:
        text = path.read_bytes()
    except OSError as error:
        raise DocumentError(str(path), [f"it cannot be read ({error.strerror})"]) from None
    return parse(text, model, str(path))


def write(path: Path, value: Any) -> None:
    """Replace the file whole or not at all."""
    temporary = path.with_name(path.name + ".partial")
    temporary.write_text(readable_text(value), encoding="utf-8")
    temporary.replace(path)


def _without_repeated_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # A repeated key would let two readers of one signed file see two different documents.
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"key {key!r} stands twice in one object")
        found[key] = value
    return found


def _path(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location) or "document"
