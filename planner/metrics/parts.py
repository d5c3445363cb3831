"""Parquet files of the store: how rows are laid out so that one resource can be read alone, and small.

A part holds one metric of one cluster on one day, sorted by resource. Row groups end where a resource ends,
and the footer's key-value metadata says in which row group and rows each resource lies, so that reading one
service opens the file, reads one row group and nothing else. The columns are plain: any Parquet reader can
use the archive without this code.
"""

from __future__ import annotations

import io
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from planner.metrics.blocks import Rows

ROWS_PER_GROUP: Final = 8192
"""About six services at one minute: small enough to read one service, large enough to compress."""
INDEX_KEY: Final = "resources"
MILLISECONDS: Final = 1000
DICTIONARY: Final = "RLE_DICTIONARY"
KEYS: Final = ("resource", "period_s", "timestamp", "observed_at")
_TIMESTAMP = pa.timestamp("ms", "UTC")


@dataclass(frozen=True, slots=True)
class Place:
    """Where one resource lies in a part."""

    group: int
    start: int
    """Row inside the row group."""
    rows: int
    covered_s: int
    """Sum of the periods of its rows."""
    finest_s: int
    coarsest_s: int


def to_parquet(rows: Rows) -> bytes:
    """Rows, sorted by resource, as one Parquet file."""
    present = [name for name, column in rows.values.items() if not np.isnan(column).all()]
    writer = PartWriter(present)
    writer.write(rows)
    return writer.close()


class PartWriter:
    """Writes one part in pieces, each of later resources than the one before, so that a day of any size can
    be merged in little memory."""

    def __init__(self, statistics: Iterable[str]) -> None:
        self._statistics = sorted(statistics)
        self._sink = io.BytesIO()
        self._writer: Any = None
        self._index: dict[str, list[int]] = {}
        self._groups = 0
        self.newest_s = 0
        """The newest observation written."""

    def write(self, rows: Rows) -> None:
        if not len(rows):
            return
        table = self._table(rows)
        if self._writer is None:
            self._writer = self._open(table)
        groups, index = _groups(rows)
        for start, stop in groups:
            self._writer.write_table(table.slice(start, stop - start), row_group_size=stop - start)
        self._index |= {name: [place[0] + self._groups, *place[1:]] for name, place in index.items()}
        self._groups += len(groups)
        self.newest_s = max(self.newest_s, int(rows.observed_s.max()))

    def close(self) -> bytes:
        """The finished file. Raises ValueError where nothing was written."""
        if self._writer is None:
            raise ValueError("a part needs at least one row")
        self._writer.add_key_value_metadata({INDEX_KEY: orjson.dumps(self._index).decode()})
        self._writer.close()
        return self._sink.getvalue()

    def _table(self, rows: Rows) -> pa.Table:
        absent = np.full(len(rows), np.nan)
        return pa.table(
            {
                "resource": pa.DictionaryArray.from_arrays(
                    pa.array(rows.resource.astype(np.int32)), pa.array(rows.names, pa.string())
                ),
                "period_s": pa.array(rows.period_s.astype(np.int32)),
                "timestamp": pa.array(rows.timestamp_s * MILLISECONDS, _TIMESTAMP),
                "observed_at": pa.array(rows.observed_s * MILLISECONDS, _TIMESTAMP),
                **{
                    name: pa.array(rows.values.get(name, absent), pa.float64(), from_pandas=True)
                    for name in self._statistics
                },
            }
        )

    def _open(self, table: pa.Table) -> pq.ParquetWriter:
        chosen = {name: _smallest(table[name]) for name in self._statistics}
        encodings = dict.fromkeys(("period_s", "timestamp", "observed_at"), "DELTA_BINARY_PACKED")
        encodings |= {name: encoding for name, encoding in chosen.items() if encoding != DICTIONARY}
        return pq.ParquetWriter(
            self._sink,
            table.schema,
            compression="zstd",
            use_dictionary=["resource", *(n for n, encoding in chosen.items() if encoding == DICTIONARY)],
            column_encoding=encodings,
            write_statistics=False,
            store_schema=False,
        )


def _smallest(column: Any) -> str:
    """The encoding that makes the column's first row group smallest: counts and rounded values are few and
    want a dictionary, single-precision values have empty bytes to split off, the rest is left as it is."""
    sample = pa.table({"value": column.slice(0, ROWS_PER_GROUP)})
    sizes = {}
    for encoding in (DICTIONARY, "BYTE_STREAM_SPLIT", "PLAIN"):
        sink = io.BytesIO()
        options: dict[str, Any] = (
            {"use_dictionary": True}
            if encoding == DICTIONARY
            else {"use_dictionary": False, "column_encoding": {"value": encoding}}
        )
        pq.write_table(sample, sink, compression="zstd", write_statistics=False, store_schema=False, **options)
        sizes[encoding] = sink.tell()
    return min(sizes, key=lambda encoding: sizes[encoding])


def _groups(rows: Rows) -> tuple[list[tuple[int, int]], dict[str, list[int]]]:
    """Row groups as (start, stop), and resource -> [group, start in it, rows, covered s, finest, coarsest]."""
    starts = np.flatnonzero(np.diff(rows.resource, prepend=-1)) if len(rows) else np.empty(0, np.int64)
    stops = np.append(starts[1:], len(rows)).astype(int)
    groups: list[tuple[int, int]] = []
    index: dict[str, list[int]] = {}
    opened = 0
    for start, stop in zip(starts.tolist(), stops.tolist(), strict=True):
        if start > opened and stop - opened > ROWS_PER_GROUP:
            groups.append((opened, start))
            opened = start
        periods = rows.period_s[start:stop]
        index[rows.names[int(rows.resource[start])]] = [
            len(groups),
            start - opened,
            stop - start,
            int(periods.sum()),
            int(periods.min()),
            int(periods.max()),
        ]
    if len(rows) > opened:
        groups.append((opened, len(rows)))
    return groups, index


class Part:
    """An opened part: its footer and its index; a part never changes, so both can be kept."""

    def __init__(self, source: Any) -> None:
        metadata = pq.read_metadata(source)
        self._metadata = metadata
        raw = (metadata.metadata or {}).get(INDEX_KEY.encode(), b"{}")
        self.index: dict[str, list[int]] = orjson.loads(raw)
        self.row_count: int = metadata.num_rows
        self.statistics = [name for name in metadata.schema.names if name not in KEYS]

    def place(self, resource: str) -> Place | None:
        found = self.index.get(resource)
        return Place(*found) if found else None

    def read(self, source: Any, resources: Collection[str] | None) -> Rows:
        """All rows, or those of `resources` without reading the row groups of the others."""
        file = pq.ParquetFile(source, metadata=self._metadata)
        columns = ["period_s", "timestamp", "observed_at", *self.statistics]
        if resources is None:
            names = sorted(self.index)
            table = file.read(columns, use_threads=False)
            counts = [self.index[name][2] for name in names]
            return _rows(names, counts, table, self.statistics)
        names = sorted(set(resources) & set(self.index))
        if not names:
            return _rows([], [], file.schema_arrow.empty_table(), self.statistics)
        places = [Place(*self.index[name]) for name in names]
        wanted = sorted({place.group for place in places})
        table = file.read_row_groups(wanted, columns, use_threads=False)
        sizes = [self._metadata.row_group(group).num_rows for group in wanted]
        before = dict(zip(wanted, np.cumsum([0, *sizes[:-1]]).tolist(), strict=True))
        table = pa.concat_tables(table.slice(before[p.group] + p.start, p.rows) for p in places)
        return _rows(names, [place.rows for place in places], table, self.statistics)


def _rows(names: list[str], counts: Sequence[int], table: pa.Table, statistics: list[str]) -> Rows:
    def whole(name: str) -> Any:
        return table[name].to_numpy()

    return Rows(
        names,
        np.repeat(np.arange(len(names), dtype=np.int64), counts),
        whole("period_s").astype(np.int64),
        whole("timestamp").astype("datetime64[s]").view(np.int64),
        whole("observed_at").astype("datetime64[s]").view(np.int64),
        {name: np.array(whole(name), dtype=np.float64) for name in statistics},
    )
