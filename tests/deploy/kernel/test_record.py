"""The record: an altered or removed line is found, secrets are not in it."""

from __future__ import annotations

import itertools
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.kernel.guard import Observed
from deploy.kernel.record import Record, RecordAltered, read_record, redact


def record_in(folder: Path) -> Record:
    ticks = itertools.count()
    start = datetime(2026, 5, 13, tzinfo=UTC)
    record = Record(lambda: start + timedelta(seconds=next(ticks)), "kernel")
    record.append("cell", {"text": "%plan", "sha256": "0"})
    record.keep_in(folder)
    record.observe(Observed("ecs", "ListClusters", "read"))
    record.observe(Observed("ecs", "ListClusters", "read"))
    record.observe(Observed("ecs", "CreateCluster", "refused", "is not known to be a read"))
    record.append("decision", {"by": "Maria"})
    return record


def test_reads_are_counted_and_refusals_are_lines_of_their_own(tmp_path: Path) -> None:
    lines = record_in(tmp_path).lines

    assert [(line.kind, line.body.get("call"), line.body.get("times")) for line in lines] == [
        ("cell", None, None),
        ("call", "ecs:ListClusters", 2),
        ("call", "ecs:CreateCluster", None),
        ("decision", None, None),
    ]


def test_an_untouched_record_is_read_back_whole(tmp_path: Path) -> None:
    record = record_in(tmp_path)
    assert record.path is not None

    assert read_record(record.path, record.head) == record.lines


@settings(deadline=None, max_examples=60)
@given(line=st.integers(0, 3), change=st.sampled_from(["remove", "swap", "word", "time"]))
def test_any_altered_removed_or_moved_line_is_found(
    tmp_path_factory: pytest.TempPathFactory, line: int, change: str
) -> None:
    record = record_in(tmp_path_factory.mktemp("record"))
    assert record.path is not None
    lines = record.path.read_bytes().splitlines(keepends=True)
    data = json.loads(lines[line])
    match change:
        case "remove":
            del lines[line]
        case "swap":
            lines[line], lines[line - 1] = lines[line - 1], lines[line]
        case "word":
            data["body"]["put in"] = "afterwards"
            lines[line] = json.dumps(data).encode() + b"\n"
        case "time":
            data["at"] = "2026-05-13T09:00:00+00:00"
            lines[line] = json.dumps(data).encode() + b"\n"
    record.path.write_bytes(b"".join(lines))

    with pytest.raises(RecordAltered):
        read_record(record.path, record.head)


SECRETS = [
    "AKIAIOSFODNN7EXAMPLE",
    "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl",
    "glpat-abcdefghij0123456789",
]


@pytest.mark.parametrize("secret", SECRETS)
def test_known_forms_of_secrets_are_redacted(secret: str) -> None:
    assert secret not in redact(f"client({secret!r})")


@pytest.mark.parametrize(
    "cell", ["password = 'hunter2'", 'API_KEY: "hunter2"', "token='''hunter2\n'''", "connect(secret=hunter2)"]
)
def test_what_is_assigned_to_a_telling_name_is_redacted(cell: str) -> None:
    assert "hunter2" not in redact(cell)


def test_an_ordinary_cell_is_kept_as_it_is() -> None:
    cell = '%plan "runs/plan/config.json" --journal runs/journal\nfor service in services:\n    print(service)'

    assert redact(cell) == cell
