"""The archive of metrics: Parquet files by cluster, metric and day, on a local disk or in S3.

    cluster=<c>/metric=<m>/day=<YYYY-MM-DD>/<observed>-<digest>.parquet   the points (planner.metrics.parts)
    cluster=<c>/_fetched/<observed>-<digest>.parquet                      what was read (planner.metrics.manifest)
    cluster=<c>/_estate/<observed>.json.gz                                the estate as it stood

Files only ever appear whole, and none is changed: an append adds files, a compaction adds one and then
removes those that it holds. A reader, a second pull and a kill at any point therefore see a store that is
readable; the merge rule of planner.metrics.blocks makes the order of events invisible.
"""

from __future__ import annotations

import gzip
from collections import Counter, OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final, TypeVar

import numpy as np
import pandas as pd

from planner.metrics import manifest
from planner.metrics.blocks import (
    Block,
    Rows,
    collapse,
    concatenate,
    from_blocks,
    from_points,
    to_points,
    without_superseded,
)
from planner.metrics.coverage import Held, StoreStatus, held_by, held_in, metric_status
from planner.metrics.files import FileEntry, Files, digest, escape, unescape
from planner.metrics.history import with_known_deployments
from planner.metrics.manifest import Fetched, Manifest
from planner.metrics.parts import Part, PartWriter, to_parquet
from planner.model import Estate
from planner.terminal import BadInput
from planner.units import SECONDS_PER_DAY

T = TypeVar("T")

READERS: Final = 4
RETRIES: Final = 5
"""A compaction may remove a file between listing and opening it; the reader then lists again."""
CACHED_ENTRIES: Final = 200_000
"""Index entries of opened parts kept in memory, about 40 MB."""
ROWS_MERGED: Final = 300_000
"""Rows held at once while parts are merged, about 20 MB."""
PARTS_PER_DAY: Final = 4
"""More parts than this in one metric and day are merged by `compact`."""


class MetricStore:
    """The archive below `root`: a folder or `s3://bucket/prefix`.

    Safe for several writers and readers at once, in threads and in processes.
    """

    def __init__(self, root: str | Path) -> None:
        self._files = Files(root)
        self._parts: OrderedDict[str, Part] = OrderedDict()
        self._cached = 0

    @property
    def root(self) -> str:
        return self._files.root

    def clusters(self) -> list[str]:
        return [_value(name) for name in self._files.folders("") if name.startswith("cluster=")]

    # Writing

    def append(self, cluster: str, points: pd.DataFrame, *, observed_at: datetime) -> None:
        """Add METRIC_POINTS observed at one moment; points of a later observation win over earlier ones."""
        observed_s = int(observed_at.timestamp())
        for metric, rows in from_points(points, observed_s).items():
            self._write(cluster, metric, rows)

    def append_blocks(self, cluster: str, metric: str, blocks: Sequence[Block], observed_s: int) -> None:
        """Add what a pull decoded, without building a table first."""
        if blocks:
            self._write(cluster, metric, from_blocks(blocks, observed_s))

    def _write(self, cluster: str, metric: str, rows: Rows) -> None:
        days = rows.timestamp_s // SECONDS_PER_DAY
        for day in np.unique(days).tolist():
            of_day = without_superseded(rows.take(np.flatnonzero(days == day)))
            self._put(_folder(cluster, metric, int(day)), of_day)

    def _put(self, folder: str, rows: Rows) -> str:
        content = to_parquet(rows)
        path = f"{folder}/{int(rows.observed_s.max()):012}-{digest(content)}.parquet"
        self._files.write(path, content)
        return path

    def record(self, cluster: str, records: Sequence[Fetched]) -> None:
        """Note what was read in full, or refused; call it after the points are appended."""
        if records:
            content = manifest.to_parquet(sorted(records))
            newest = max(record.observed_s for record in records)
            self._files.write(f"{_fetched(cluster)}/{newest:012}-{digest(content)}.parquet", content)

    def save_estate(self, estate: Estate) -> None:
        """Keep the estate with all deployments known so far, one file a day.

        Task sizes of the past thereby stay known after ECS has forgotten them.
        """
        from pydantic import TypeAdapter

        known = self._files.entries(_estates(estate.cluster))
        before = [self._estate(known[-1].path)] if known else []
        content = TypeAdapter(Estate).dump_json(with_known_deployments([*before, estate]))
        path = f"{_estates(estate.cluster)}/{_stamp(estate.observed_at)}.json.gz"
        self._files.write(path, gzip.compress(content, mtime=0))
        day = int(estate.observed_at.timestamp()) // SECONDS_PER_DAY
        for entry in known:
            if entry.path < path and int(entry.name.split(".")[0]) // SECONDS_PER_DAY == day:
                self._files.delete(entry.path)

    def _estate(self, path: str) -> Estate:
        from pydantic import TypeAdapter

        return TypeAdapter(Estate).validate_json(gzip.decompress(self._files.read(path)))

    def compact(self, cluster: str, *, before: datetime | None = None) -> int:
        """Merge days of many parts into one part each; returns how many parts were merged.

        Days that ended before `before` are merged as soon as they have a second part.
        """
        merged = 0
        settled_day = int(before.timestamp()) // SECONDS_PER_DAY if before else 0
        for metric in self.metrics(cluster):
            for day in self._days(cluster, metric):
                parts = self._files.entries(_folder(cluster, metric, day))
                if len(parts) > (1 if day < settled_day else PARTS_PER_DAY):
                    merged += self._merge(_folder(cluster, metric, day), parts)
        self._compact_manifest(cluster)
        self._files.sweep()
        return merged

    def _merge(self, folder: str, entries: Sequence[FileEntry]) -> int:
        """One part in place of several, some resources at a time; returns how many parts there were."""
        try:
            parts = {entry.path: self._part(entry.path) for entry in entries}
            writer = PartWriter({name for part in parts.values() for name in part.statistics})
            for resources in _portions(parts.values()):
                rows = concatenate(self._read_part(path, resources) for path in parts)
                writer.write(without_superseded(rows))
        except FileNotFoundError:
            return 0  # another compaction was faster
        content = writer.close()
        merged = f"{folder}/{writer.newest_s:012}-{digest(content)}.parquet"
        self._files.write(merged, content)
        for entry in entries:
            if entry.path != merged:
                self._files.delete(entry.path)
        return len(entries)

    def _compact_manifest(self, cluster: str) -> None:
        entries = self._files.entries(_fetched(cluster))
        if len(entries) <= PARTS_PER_DAY:
            return
        try:
            records = [r for e in entries for r in manifest.from_parquet(self._files.read(e.path))]
        except FileNotFoundError:
            return
        content = manifest.to_parquet(manifest.compacted(records))
        newest = max(record.observed_s for record in records)
        path = f"{_fetched(cluster)}/{newest:012}-{digest(content)}.parquet"
        self._files.write(path, content)
        for entry in entries:
            if entry.path != path:
                self._files.delete(entry.path)

    # Reading

    def metrics(self, cluster: str) -> list[str]:
        folders = self._files.folders(_cluster(cluster))
        return [_value(name) for name in folders if name.startswith("metric=")]

    def read(
        self,
        cluster: str,
        *,
        resource: str | Collection[str] | None = None,
        metrics: Iterable[str] | None = None,
        statistics: Mapping[str, Collection[str]] | None = None,
        start: datetime,
        end: datetime,
    ) -> pd.DataFrame:
        """METRIC_POINTS with start <= timestamp < end, in the order of the table's key.

        `resource` (one name or several) reads only what belongs to them, `statistics` (by metric) only those
        columns of the metrics it names. Points of several periods are all returned; `planner.metrics.clean`
        keeps the finest. Raises BadInput for a cluster not in the store.
        """
        self._known(cluster)
        resources = [resource] if isinstance(resource, str) else resource
        wanted = self.metrics(cluster) if metrics is None else sorted(set(metrics))
        window = int(start.timestamp()), int(end.timestamp())
        by_metric = {metric: self._rows(cluster, metric, resources, window) for metric in wanted}
        for metric, names in (statistics or {}).items():
            if metric in by_metric:
                by_metric[metric] = by_metric[metric].only(names)
        return to_points(by_metric)

    def _rows(self, cluster: str, metric: str, resources: Collection[str] | None, window: tuple[int, int]) -> Rows:
        first, last = window[0] // SECONDS_PER_DAY, (window[1] - 1) // SECONDS_PER_DAY
        folders = [
            f"{_metric(cluster, metric)}/{name}" for name in self._day_folders(cluster, metric, first, last)
        ]

        def of_day(folder: str) -> Rows:
            return _again(
                lambda: concatenate([self._read_part(e.path, resources) for e in self._files.entries(folder)])
            )

        with ThreadPoolExecutor(READERS) as pool:
            rows = collapse(concatenate(pool.map(of_day, folders)))
        inside = (rows.timestamp_s >= window[0]) & (rows.timestamp_s < window[1])
        return rows if inside.all() else rows.take(np.flatnonzero(inside))

    def _part(self, path: str) -> Part:
        known = self._parts.get(path)
        if known is None:
            with self._files.open(path) as source:
                known = Part(source)
            self._parts[path] = known
            self._cached += len(known.index)
            while self._cached > CACHED_ENTRIES and len(self._parts) > 1:
                _, oldest = self._parts.popitem(last=False)
                self._cached -= len(oldest.index)
        return known

    def _read_part(self, path: str, resources: Collection[str] | None) -> Rows:
        part = self._part(path)
        if resources is not None and not any(name in part.index for name in resources):
            return concatenate([])
        with self._files.open(path) as source:
            return part.read(source, resources)

    def manifest(self, cluster: str) -> Manifest:
        """Everything that was ever read of a cluster."""

        def read() -> Manifest:
            entries = self._files.entries(_fetched(cluster))
            return Manifest([r for e in entries for r in manifest.from_parquet(self._files.read(e.path))])

        return _again(read)

    def latest_estate(self, cluster: str) -> Estate:
        """The newest estate, with every deployment ever seen; BadInput where none was kept."""
        self._known(cluster)

        def read() -> Estate | None:
            found = self._files.entries(_estates(cluster))
            return self._estate(found[-1].path) if found else None

        newest = _again(read)
        if newest is None:
            raise BadInput(f"The store {self.root!r} holds no estate of {cluster!r}: run `planner pull` first.")
        return newest

    # Coverage

    def coverage(self, cluster: str) -> pd.DataFrame:
        """One row a resource, metric and day: how much of the day the store holds.

        Columns: resource, metric, day (YYYY-MM-DD), rows, covered (share of the day, 0 to 1), finest_s and
        coarsest_s (periods of the points; they differ on a day with a seam).
        """
        self._known(cluster)
        found = [
            (resource, metric, _date(day), held.rows, held.share, held.finest_s, held.coarsest_s)
            for metric in self.metrics(cluster)
            for day in self._days(cluster, metric)
            for resource, held in sorted(self._held(cluster, metric, day).items())
        ]
        columns = ["resource", "metric", "day", "rows", "covered", "finest_s", "coarsest_s"]
        return pd.DataFrame(found, columns=columns)

    def _held(self, cluster: str, metric: str, day: int) -> dict[str, Held]:
        """What each resource has of a day, from footers alone where one part and one period hold it."""

        def parts() -> list[Part]:
            return [self._part(entry.path) for entry in self._files.entries(_folder(cluster, metric, day))]

        found, several = held_by(_again(parts))
        if several:
            window = day * SECONDS_PER_DAY, (day + 1) * SECONDS_PER_DAY
            found |= held_in(self._rows(cluster, metric, several, window))
        return found

    def status(self, cluster: str) -> StoreStatus:
        """What the store holds of a cluster, by metric, and what could not be read."""
        held = self.coverage(cluster)
        sizes = {
            metric: sum(e.size_bytes for e in self._files.entries(_metric(cluster, metric), recursive=True))
            for metric in self.metrics(cluster)
        }
        refusals = self.manifest(cluster).refusals()
        return StoreStatus(
            cluster,
            tuple(
                metric_status(str(name), of_metric, sizes.get(str(name), 0))
                for name, of_metric in held.groupby("metric", sort=True)
            ),
            tuple((resource, metric, reason) for (resource, metric), reason in refusals.items()),
        )

    def _known(self, cluster: str) -> None:
        known = self.clusters()
        if cluster not in known:
            there = f"it holds {', '.join(known)}" if known else "it is empty"
            raise BadInput(
                f"The store {self.root!r} holds no cluster {cluster!r}: {there}; run `planner pull` first."
            )

    def _days(self, cluster: str, metric: str) -> list[int]:
        return [_day_number(name) for name in self._day_folders(cluster, metric)]

    def _day_folders(
        self, cluster: str, metric: str, first: int | None = None, last: int | None = None
    ) -> list[str]:
        names = [n for n in self._files.folders(_metric(cluster, metric)) if n.startswith("day=")]
        low = f"day={_date(first)}" if first is not None else ""
        high = f"day={_date(last)}" if last is not None else "day=~"
        return [name for name in names if low <= name <= high]


def _portions(parts: Iterable[Part]) -> Iterator[list[str]]:
    """All resources of some parts in order, as many at a time as have about ROWS_MERGED rows."""
    rows: Counter[str] = Counter()
    for part in parts:
        rows.update({resource: place[2] for resource, place in part.index.items()})
    portion: list[str] = []
    held = 0
    for resource in sorted(rows):
        if portion and held + rows[resource] > ROWS_MERGED:
            yield portion
            portion, held = [], 0
        portion.append(resource)
        held += rows[resource]
    if portion:
        yield portion


def _again(read: Callable[[], T]) -> T:
    """`read()`, once more where a compaction removed a file between listing and opening it."""
    for _ in range(RETRIES):
        try:
            return read()
        except FileNotFoundError:
            continue
    return read()


def _cluster(cluster: str) -> str:
    return f"cluster={escape(cluster)}"


def _metric(cluster: str, metric: str) -> str:
    return f"{_cluster(cluster)}/metric={escape(metric)}"


def _folder(cluster: str, metric: str, day: int) -> str:
    return f"{_metric(cluster, metric)}/day={_date(day)}"


def _fetched(cluster: str) -> str:
    return f"{_cluster(cluster)}/_fetched"


def _estates(cluster: str) -> str:
    return f"{_cluster(cluster)}/_estate"


def _stamp(moment: datetime) -> str:
    """A moment as a name that sorts by time."""
    return f"{int(moment.timestamp()):012}"


def _value(folder: str) -> str:
    return unescape(folder.split("=", 1)[1])


def _date(day: int) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=day)).date().isoformat()


def _day_number(folder: str) -> int:
    return (date.fromisoformat(folder.split("=", 1)[1]) - date(1970, 1, 1)).days
