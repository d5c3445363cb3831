"""A folder on the local disk or in S3, through one library, where a file appears whole or not at all."""

from __future__ import annotations

import hashlib
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from planner.terminal import BadInput

TEMPORARY = ".writing"
"""Marks a file that is being written; no reader looks at it, and a later write may replace it."""


@dataclass(frozen=True, slots=True)
class FileEntry:
    path: str
    """Below the root, with forward slashes."""
    size_bytes: int

    @property
    def name(self) -> str:
        return self.path.rsplit("/", 1)[-1]


class Files:
    """The files below `root`: a folder, or `s3://bucket/prefix` (pyarrow's URI options are understood)."""

    def __init__(self, root: str | Path) -> None:
        from pyarrow import fs

        self.root = str(root)
        if "://" in self.root:
            try:
                self._fs, self._base = fs.FileSystem.from_uri(self.root)
            except (ValueError, OSError) as error:
                raise BadInput(f"The store {self.root!r} cannot be opened: {error}") from None
        else:
            self._fs, self._base = fs.LocalFileSystem(), str(Path(self.root).absolute())
        self._is_local = isinstance(self._fs, fs.LocalFileSystem)

    def _full(self, path: str) -> str:
        return f"{self._base}/{path}" if path else self._base

    def entries(self, folder: str, *, recursive: bool = False) -> list[FileEntry]:
        """Finished files in `folder`, sorted; empty where there is no such folder."""
        return sorted(
            (
                FileEntry(info.path[len(self._base) :].lstrip("/"), info.size or 0)
                for info in self._infos(folder, recursive)
                if info.is_file and TEMPORARY not in info.base_name
            ),
            key=lambda entry: entry.path,
        )

    def folders(self, folder: str) -> list[str]:
        """Names of the folders in `folder`, sorted."""
        return sorted(info.base_name for info in self._infos(folder, False) if not info.is_file)

    def _infos(self, folder: str, recursive: bool) -> list[Any]:
        from pyarrow import fs

        selector = fs.FileSelector(self._full(folder), allow_not_found=True, recursive=recursive)
        return list(self._fs.get_file_info(selector))

    def write(self, path: str, content: bytes) -> None:
        """Let `path` appear with `content`: written aside, flushed to the disk, then renamed.

        On S3 an object appears when its upload is complete. Raises OSError (a full disk, no permission) and
        then leaves nothing behind that a reader would see.
        """
        full = self._full(path)
        if not self._is_local:
            with self._fs.open_output_stream(full) as stream:
                stream.write(content)
            return
        self._fs.create_dir(full.rsplit("/", 1)[0], recursive=True)
        # Two threads of one process may write the same file at once, so the thread is in the name too.
        aside = f"{full}.{threading.get_ident()}.{os.getpid()}{TEMPORARY}"
        try:
            with open(aside, "wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(aside, full)
        except BaseException:
            Path(aside).unlink(missing_ok=True)
            raise

    def read(self, path: str) -> bytes:
        """The whole file. Raises FileNotFoundError."""
        with self._fs.open_input_stream(self._full(path), compression=None) as stream:
            return bytes(stream.read())

    def open(self, path: str) -> Any:
        """A seekable pyarrow file, for reading parts. Raises FileNotFoundError."""
        return self._fs.open_input_file(self._full(path))

    def delete(self, path: str) -> None:
        """Remove a file; one that is gone already is fine."""
        try:
            self._fs.delete_file(self._full(path))
        except FileNotFoundError:
            return

    def sweep(self) -> int:
        """Remove what killed writers of this machine left half-written; returns how many files.

        S3 shows no half-written object, so there is nothing to do.
        """
        if not self._is_local:
            return 0
        left = [i for i in self._infos("", True) if i.is_file and i.base_name.endswith(TEMPORARY)]
        dead = [info for info in left if not _is_running(info.base_name)]
        for info in dead:
            self._fs.delete_file(info.path)
        return len(dead)


def _is_running(temporary_name: str) -> bool:
    """True where the process that writes a temporary file still lives."""
    number = temporary_name.removesuffix(TEMPORARY).rsplit(".", 1)[-1]
    if not number.isdigit():
        return False
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def escape(name: str) -> str:
    """A name as one path segment that reads back with `unescape`; dots and slashes cannot leave the folder."""
    return quote(name, safe="").replace(".", "%2E")


def unescape(segment: str) -> str:
    return unquote(segment)


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
