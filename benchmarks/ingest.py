"""Decoding, pulling, storing and reading CloudWatch history, against botocore and plain Parquet in the same run.

python benchmarks/ingest.py [--services 100,1000] [--days 14] [--month-services 1000] [--seed 0]
                            [--write docs/benchmarks/ingest.md]

The pull talks to a server on loopback, in a process of its own, that answers GetMetricData with the bytes
of the JSON or CBOR wire form. The token buckets are opened wide, so that the client's own speed is seen;
the share of a core at CloudWatch's quota follows from it.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import shutil
import struct
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np

from planner.aws.buckets import DATAPOINT_QUOTAS, Quota, TokenBucket
from planner.metrics.blocks import Block
from planner.metrics.store import MetricStore
from planner.model import Estate, Service, TaskDefinition
from planner.units import SECONDS_PER_DAY, SECONDS_PER_MINUTE, CpuUnits, MiB

NOW = datetime(2026, 5, 13, 12, tzinfo=UTC)
QUOTA_POINTS_PER_S = DATAPOINT_QUOTAS["older datapoints"].refill_per_s
REPEATS = 5
VARIANTS = 16
"""Different series the server serves, so that the store does not compress one series a thousand times."""
STATISTICS = ("Average", "Maximum", "SampleCount")
KINDS = ("two decimals", "single precision", "full doubles")


def best_cpu_seconds(run: Callable[[], object], repeats: int = REPEATS) -> float:
    """Least CPU time of the repeats: other work on the machine only ever adds."""
    found = []
    for _ in range(repeats):
        start = time.process_time()
        run()
        found.append(time.process_time() - start)
    return min(found)


def series(rng: np.random.Generator, count: int, statistic: str, kind: str) -> np.ndarray:
    """A utilisation with a daily wave and noise; a task count that moves now and then."""
    minutes = np.arange(count)
    if statistic == "SampleCount":
        return np.round(4 + 2 * np.sin(minutes / 229) + rng.integers(0, 9))
    wave = rng.uniform(5, 60) * (1 + 0.3 * np.sin(minutes / 229)) + rng.normal(0, 2, count)
    values = np.abs(wave) * (1.3 if statistic == "Maximum" else 1.0)
    if kind == "two decimals":
        return np.round(values, 2)
    return values.astype(np.float32).astype(np.float64) if kind == "single precision" else values


# The server


def serve(port: Any, form: str, seed: int, kind: str) -> None:
    """Answer every GetMetricData call with whole windows at one minute, from prepared bytes."""
    rng = np.random.default_rng(seed)
    longest = 16 * SECONDS_PER_DAY // SECONDS_PER_MINUTE
    prepared = {
        statistic: [_encoded(series(rng, longest, statistic, kind), form) for _ in range(VARIANTS)]
        for statistic in STATISTICS
    }
    times: dict[tuple[int, int], bytes] = {}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            return

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            operation = self.headers["X-Amz-Target"].rsplit(".", 1)[-1]
            answer = b'{"Metrics":[],"Datapoints":[]}'
            if operation == "GetMetricData":
                answer = _answer(json.loads(body), prepared, times, form)
            self.send_response(200)
            is_cbor = operation == "GetMetricData" and form == "cbor"
            self.send_header("Content-Type", "application/cbor" if is_cbor else "application/x-amz-json-1.0")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    port.value = server.server_address[1]
    server.serve_forever()


def _encoded(values: np.ndarray, form: str, *, time_tag: bool = False) -> list[bytes]:
    """Each number in the wire form, so that any window is a join of a slice."""
    if form == "json":
        return [repr(value).encode() for value in values.tolist()]
    tag = b"\xc1" if time_tag else b""
    return [tag + b"\xfb" + struct.pack(">d", value) for value in values.tolist()]


def _answer(
    request: dict[str, Any],
    prepared: dict[str, list[list[bytes]]],
    times: dict[tuple[int, int], bytes],
    form: str,
) -> bytes:
    start, end = int(request["StartTime"]), int(request["EndTime"])
    stats = [query["MetricStat"] for query in request["MetricDataQueries"]]
    at_a_minute = all(stat["Period"] == SECONDS_PER_MINUTE for stat in stats)
    count = (end - start) // SECONDS_PER_MINUTE if at_a_minute else 0
    glue = b"," if form == "json" else b""
    if (start, count) not in times:
        moments = start + SECONDS_PER_MINUTE * np.arange(count)
        numbers = moments if form == "json" else moments.astype(np.float64)
        times[(start, count)] = glue.join(_encoded(numbers, form, time_tag=True))
    results = []
    for query, stat in zip(request["MetricDataQueries"], stats, strict=True):
        name = stat["Metric"]["Dimensions"][-1]["Value"] + stat["Metric"]["MetricName"]
        variants = prepared.get(stat["Stat"])
        values = glue.join(variants[hash(name) % VARIANTS][:count]) if variants and count else b""
        moments_bytes = times[(start, count)] if values else b""
        results.append(_result(query["Id"].encode(), moments_bytes, values, count if values else 0, form))
    if form == "json":
        return b'{"MetricDataResults":[' + b",".join(results) + b'],"Messages":[]}'
    key = _text(b"MetricDataResults")
    return b"\xa1" + key + b"\x99" + struct.pack(">H", len(results)) + b"".join(results)


def _result(query_id: bytes, times: bytes, values: bytes, count: int, form: str) -> bytes:
    if form == "json":
        head = b'{"Id":"%s","Label":"label","StatusCode":"Complete","Timestamps":[' % query_id
        return head + times + b'],"Values":[' + values + b"]}"
    array = b"\x9a" + struct.pack(">I", count)
    pairs = (_text(b"Id"), _text(query_id), _text(b"StatusCode"), _text(b"Complete"))
    return b"\xa4" + b"".join(pairs) + _text(b"Timestamps") + array + times + _text(b"Values") + array + values


def _text(text: bytes) -> bytes:
    return bytes([0x60 | len(text)]) + text


# What is measured


@dataclass(frozen=True)
class PullFigures:
    form: str
    services: int
    points: int
    cpu_s: float
    wall_s: float
    peak_mib: float
    bytes_per_point: float

    @property
    def cores_at_quota(self) -> float:
        return self.cpu_s / self.points * QUOTA_POINTS_PER_S


def decode_rows(seed: int) -> list[tuple[str, str, float, float]]:
    """(form, kind, our datapoints/s, botocore's datapoints/s) on one answer of 100,800 datapoints."""
    import botocore.parsers
    import botocore.session

    from planner.aws.decode import decode

    operation = botocore.session.get_session().get_service_model("cloudwatch").operation_model("GetMetricData")
    found = []
    for form, content in (("json", "application/x-amz-json-1.0"), ("cbor", "application/cbor")):
        for kind in KINDS:
            rng = np.random.default_rng(seed)
            prepared = {"Average": [_encoded(series(rng, 20_160, "Average", kind), form)] * VARIANTS}
            body = _answer(_request(5, 14), prepared, {}, form)
            parser = botocore.parsers.create_parser("json" if form == "json" else "smithy-rpc-v2-cbor")
            headers = {"content-type": content, "smithy-protocol": "rpc-v2-cbor"}
            raw = {"status_code": 200, "headers": headers, "body": body}
            decode(body, content)  # compiles the loop
            ours = best_cpu_seconds(lambda b=body, c=content: decode(b, c))  # type: ignore[misc]
            theirs = best_cpu_seconds(
                lambda p=parser, r=raw: p.parse(r, operation.output_shape),  # type: ignore[misc]
                2,
            )
            found.append((form, kind, 100_800 / ours, 100_800 / theirs))
    return found


def _request(metrics: int, days: int) -> dict[str, Any]:
    end = int(NOW.timestamp())
    stat = {"Period": 60, "Stat": "Average", "Metric": {"MetricName": "m", "Dimensions": [{"Value": "s"}]}}
    queries = [{"Id": f"q{n}", "MetricStat": stat} for n in range(metrics)]
    return {"StartTime": end - days * SECONDS_PER_DAY, "EndTime": end, "MetricDataQueries": queries}


def pull_once(form: str, services: int, days: int, seed: int, kind: str, folder: str, results: Any) -> None:
    """One pull in a process of its own, so that its peak memory is its own."""
    import boto3

    from planner.aws.clients import Clients
    from planner.aws.transfer import pull

    port = multiprocessing.get_context("spawn").Value("i", 0)
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(port, form, seed, kind), daemon=True)
    server.start()
    while port.value == 0:
        time.sleep(0.01)
    session = boto3.Session("benchmark", "benchmark", region_name="eu-west-2")
    clients = Clients(session, "eu-west-2", f"http://127.0.0.1:{port.value}")
    clients.buckets = {name: TokenBucket(Quota(1e15, 1e15)) for name in clients.buckets}
    store = MetricStore(folder)
    cpu, wall = time.process_time(), time.perf_counter()
    report = pull(clients, estate(services), store, NOW - timedelta(days=days), NOW, as_of=NOW, insights=False)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    server.terminate()
    size = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    results.put(PullFigures(form, services, report.datapoints, cpu, wall, peak, size / report.datapoints))


def estate(services: int) -> Estate:
    definition = TaskDefinition("arn", "web", 1, (), CpuUnits(512), MiB(1024))
    names = [f"team-{n % 40:02}-service-{n:04}" for n in range(services)]
    return Estate(
        "111122223333",
        "eu-west-2",
        "prod",
        NOW,
        tuple(Service(name, name, definition, 2, 2) for name in sorted(names)),
        (),
        (),
    )


def pull_figures(form: str, services: int, days: int, seed: int, kind: str) -> PullFigures:
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    folder = tempfile.mkdtemp(prefix="ingest-")
    process = context.Process(target=pull_once, args=(form, services, days, seed, kind, folder, results))
    process.start()
    found: PullFigures = results.get()
    process.join()
    shutil.rmtree(folder)
    return found


@dataclass(frozen=True)
class MonthFigures:
    kind: str
    bytes_per_point: float
    plain_bytes_per_point: float
    read_wall_ms: float
    read_cpu_ms: float
    plain_read_wall_ms: float


def month_figures(services: int, seed: int, kind: str) -> MonthFigures:
    """Thirty days of one metric stored, and one service read from a newly opened store."""
    folder = Path(tempfile.mkdtemp(prefix="month-"))
    rng = np.random.default_rng(seed)
    store = MetricStore(folder / "ours")
    start_s = int((NOW - timedelta(days=30)).timestamp()) // SECONDS_PER_DAY * SECONDS_PER_DAY
    minutes = 30 * SECONDS_PER_DAY // SECONDS_PER_MINUTE
    times = start_s + SECONDS_PER_MINUTE * np.arange(minutes)
    names = [one.name for one in estate(services).services]
    for first in range(0, services, 50):
        blocks = [
            Block(f"service/{name}", 60, times, {s: series(rng, minutes, s, kind) for s in STATISTICS})
            for name in names[first : first + 50]
        ]
        store.append_blocks("prod", "CPUUtilization", blocks, int(NOW.timestamp()))
    store.compact("prod", before=NOW + timedelta(days=1))
    size = sum(path.stat().st_size for path in folder.rglob("*.parquet"))
    chosen, start = f"service/{names[services // 2]}", datetime.fromtimestamp(start_s, UTC)

    def read() -> object:
        opened = MetricStore(folder / "ours")
        return opened.read("prod", resource=chosen, start=start, end=start + timedelta(days=30))

    wall = min(_wall(read) for _ in range(REPEATS))
    cpu = best_cpu_seconds(read)
    plain_size, plain_read = _plain_parquet(store, folder, chosen, start)
    shutil.rmtree(folder)
    points = services * minutes * len(STATISTICS)
    return MonthFigures(kind, size / points, plain_size, wall * 1000, cpu * 1000, plain_read * 1000)


def _plain_parquet(store: MetricStore, folder: Path, chosen: str, start: datetime) -> tuple[float, float]:
    """The same points as a plain table, as pandas writes and filters it: bytes a point, and seconds to read
    one service (one day measured, times 30)."""
    import pandas as pd

    table = store.read("prod", start=start, end=start + timedelta(days=1))
    path = folder / "plain.parquet"
    table.to_parquet(path)
    read = min(_wall(lambda: pd.read_parquet(path, filters=[("resource", "==", chosen)])) for _ in range(3))
    return path.stat().st_size / len(table), read * 30


def _wall(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def report(arguments: argparse.Namespace) -> str:
    return "\n".join(
        [
            "# Ingest",
            "",
            f"`python benchmarks/ingest.py`, seed {arguments.seed}. Times are CPU seconds of the process, the",
            "least of the repeats, unless they are marked as wall time.",
            "",
            *decode_table(arguments.seed),
            *pull_table(arguments.services, arguments.days, arguments.seed),
            *month_table(arguments.month_services, arguments.seed),
            *(real_table(arguments.real) if arguments.real else []),
        ]
    )


def decode_table(seed: int) -> list[str]:
    rows = [
        f"| {form} | {kind} | {ours / 1e6:.1f} M | {theirs / 1e3:.0f} k | {ours / theirs:.0f} x |"
        for form, kind, ours, theirs in decode_rows(seed)
    ]
    return [
        "## Decoding one answer of 100,800 datapoints, against botocore on the same bytes",
        "",
        "| wire form | values | datapoints/s per core | botocore | ratio |",
        "|---|---|---|---|---|",
        *rows,
        "",
    ]


def pull_table(services: list[int], days: int, seed: int) -> list[str]:
    rows = []
    for form in ("json", "cbor"):
        for count in services:
            one = pull_figures(form, count, days, seed, "full doubles")
            rows.append(
                f"| {form} | {count:,} | {one.points:,} | {one.cpu_s:.1f} | "
                f"{one.points / one.cpu_s / 1e6:.2f} M | {one.cores_at_quota:.2f} | "
                f"{one.peak_mib:,.0f} MiB | {one.wall_s:.0f} |"
            )
            print(rows[-1], file=sys.stderr)
    return [
        f"## Pulling {days} days at one minute over loopback: two metrics of each service, three statistics each",
        "",
        "CPU is all of the client's: requests, decoding, writing, compaction and the loading of libraries.",
        "",
        "| wire form | services | datapoints | CPU s | per core | cores at 396,000/s | peak memory | wall s |",
        "|---|---|---|---|---|---|---|---|",
        *rows,
        "",
    ]


def month_table(services: int, seed: int) -> list[str]:
    rows = []
    for kind in KINDS:
        one = month_figures(services, seed, kind)
        rows.append(
            f"| {kind} | {one.bytes_per_point:.2f} | {one.plain_bytes_per_point:.2f} | "
            f"{one.read_wall_ms:.0f} ms | {one.read_cpu_ms:.0f} ms | {one.plain_read_wall_ms:,.0f} ms |"
        )
        print(rows[-1], file=sys.stderr)
    return [
        f"## Storing and reading: 30 days of {services:,} services, one metric with three statistics",
        "",
        "Read is one service's month from a newly opened store. The rival is the same table as pandas writes",
        "it, filtered by pyarrow (one day measured, times 30).",
        "",
        "| values | bytes a point | plain Parquet | read, wall | read, CPU | plain Parquet, wall |",
        "|---|---|---|---|---|---|",
        *rows,
        "",
    ]


def real_table(folder: Path) -> list[str]:
    """Real CloudWatch series (timestamp,value files), each as one resource's only statistic, nothing repeated."""
    import pandas as pd

    from planner.metrics.blocks import Block, from_blocks
    from planner.metrics.parts import to_parquet

    rows, total_bytes, total_points = [], 0, 0
    for path in sorted(folder.glob("*.csv")):
        table = pd.read_csv(path, parse_dates=["timestamp"]).drop_duplicates("timestamp").sort_values("timestamp")
        seconds = table["timestamp"].astype("datetime64[s]").astype("int64").to_numpy()
        values = table["value"].to_numpy(float)
        written = len(
            to_parquet(from_blocks([Block(path.stem, 300, seconds, {"Average": values})], int(seconds[-1])))
        )
        digits = max(len(repr(value).replace(".", "").strip("0")) for value in values.tolist())
        total_bytes, total_points = total_bytes + written, total_points + len(values)
        rows.append(f"| {path.stem} | {len(values):,} | {digits} | {written / len(values):.2f} |")
    return [
        "## Storing real series: what CloudWatch really answers with",
        "",
        "Each series alone in a file, with its footer and its index, so that nothing is repeated or shared.",
        "",
        "| series | points | most digits of a value | bytes a point |",
        "|---|---|---|---|",
        *rows,
        f"| all | {total_points:,} | | {total_bytes / total_points:.2f} |",
        "",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--services", type=lambda text: [int(n) for n in text.split(",")], default=[100, 1000])
    parser.add_argument("--days", type=int, default=14)
    parser.add_argument("--month-services", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--real", type=Path, help="folder of real series as timestamp,value files")
    parser.add_argument("--write", type=Path)
    arguments = parser.parse_args()
    text = report(arguments)
    print(text)
    if arguments.write:
        arguments.write.parent.mkdir(parents=True, exist_ok=True)
        arguments.write.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
