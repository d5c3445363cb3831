"""What the write guard costs a call, against the same call without it and against a guard by an event handler.

Each variant runs in a process of its own (the guard cannot be taken out again). The socket is replaced by one that
answers at once, so that what is measured is botocore, http.client and the guard, nothing of a network. The
variants take turns, in process time; a variant's share is the median of its differences to botocore alone, round
by round, so that other work on the machine strikes both sides.

    python benchmarks/guard.py
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "docs" / "benchmarks" / "guard.md"
ROUNDS, CALLS = 200, 20
VARIANTS = {
    "plain": "botocore alone",
    "event": "a handler on botocore's before-call event, by operation name only",
    "guarded": "the kernel's write guard, all layers, with the record",
}
READS = {
    "ecs:ListClusters": ("json", "ecs", "list_clusters", {}, b'{"clusterArns": []}'),
    "ec2:DescribeVpcs": ("ec2 query", "ec2", "describe_vpcs", {}, b"<DescribeVpcsResponse/>"),
    "s3:HeadObject": ("rest-xml", "s3", "head_object", {"Bucket": "bucket", "Key": "key"}, b""),
}
LIMIT_US = 50.0


class Answering:
    """A connected socket that answers each request at once: everything but the network is measured."""

    def __init__(self, answers: dict[str, bytes]) -> None:
        self._answers = answers
        self._here, self._there = socket.socketpair()

    def sendall(self, data: bytes) -> None:
        if b" HTTP/1.1\r\n" in data[:4096]:  # the head of a request; its body may follow by itself
            body = self._answers["body"]
            self._there.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._here, name)


def child(variant: str) -> None:
    """For each name on standard input measure one round of that call, and answer with microseconds a call."""
    import urllib3.util.connection

    answers: dict[str, bytes] = {"body": b""}
    connect: Any = lambda *_, **__: Answering(answers)  # noqa: E731
    setattr(urllib3.util.connection, "create_connection", connect)  # noqa: B010
    flush = _install_guard() if variant == "guarded" else lambda: None
    calls = {name: _client_method(name, variant) for name in READS}
    for line in sys.stdin:
        name = line.strip()
        _, _, _, arguments, answers["body"] = READS[name]
        calls[name](**arguments)
        began = time.process_time()
        for _ in range(CALLS):
            calls[name](**arguments)
        print((time.process_time() - began) / CALLS * 1e6, flush=True)
        flush()


def _install_guard() -> Any:
    from datetime import UTC, datetime

    from deploy.kernel import guard
    from deploy.kernel.record import Record

    record = Record(lambda: datetime.now(UTC), "benchmark")
    guard.install(record.observe)
    return record.flush


def _client_method(name: str, variant: str) -> Any:
    import boto3

    _, service, method, _, _ = READS[name]
    session = boto3.session.Session()
    if variant == "event":
        session.events.register("before-call.*.*", _by_name)
    client = session.client(
        service,
        region_name="eu-west-2",
        aws_access_key_id="a",
        aws_secret_access_key="b",
        endpoint_url="http://127.0.0.1:1",
    )
    return getattr(client, method)


def _by_name(model: Any, **_: Any) -> None:
    if not model.name.startswith(("Get", "List", "Describe", "Head")):
        raise PermissionError(model.name)


def main() -> None:
    measured = _measure()
    rows = []
    for name, (protocol, *_) in READS.items():
        plain, event, guarded = (measured[variant][name] for variant in VARIANTS)
        rows.append((name, protocol, plain, event, guarded, 1 + guarded / plain))
    table = [
        "| call | protocol | botocore alone | event handler adds | guard adds | guarded / alone |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
        *(f"| {n} | {p} | {a:.0f} µs | {e:.1f} µs | {g:.1f} µs | {r:.3f} |" for n, p, a, e, g, r in rows),
    ]
    worst = max(row[4] for row in rows)
    print("\n".join(table))
    TABLE.parent.mkdir(parents=True, exist_ok=True)
    TABLE.write_text(_page(table, worst), encoding="utf-8")
    if worst > LIMIT_US:
        sys.exit(f"the guard adds {worst:.1f} µs, over the limit of {LIMIT_US:.0f} µs")


def _measure() -> dict[str, dict[str, float]]:
    """Microseconds a call of botocore alone, and what the other variants add, by variant and call."""
    children = {variant: _start(variant) for variant in VARIANTS}
    rounds: dict[str, dict[str, list[float]]] = {v: {name: [] for name in READS} for v in VARIANTS}
    for _ in range(ROUNDS):
        for name in READS:
            for variant, process in children.items():
                process.stdin.write(f"{name}\n")
                process.stdin.flush()
                rounds[variant][name].append(float(process.stdout.readline()))
    for process in children.values():
        process.communicate()
    alone = rounds["plain"]
    added = {
        variant: {name: median(a - b for a, b in zip(of[name], alone[name], strict=True)) for name in READS}
        for variant, of in rounds.items()
    }
    return {**added, "plain": {name: median(alone[name]) for name in READS}}


def _start(variant: str) -> Any:
    command = [sys.executable, __file__, "--child", variant]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=ROOT, env=_environment())


def _environment() -> dict[str, str]:
    import os

    return {**os.environ, "PYTHONPATH": str(ROOT), "AWS_EC2_METADATA_DISABLED": "true"}


def _page(table: list[str], worst: float) -> str:
    return "\n".join(
        [
            "# What the write guard costs",
            "",
            f"`python benchmarks/guard.py`: {ROUNDS} rounds of {CALLS} calls, the variants in turn, process time,",
            "medians; the socket answers at once, so no network is in these figures. The limit is",
            f"{LIMIT_US:.0f} µs a call; the most the guard added here is {worst:.1f} µs.",
            "",
            *table,
            "",
            "The event handler is the usual guard: it judges the operation's name once. Presigned URLs, requests",
            "that botocore signs for other libraries, handlers that change the request afterwards and every other",
            "way past a client pass it by. The guard judges a call by name and parameters, and its request again",
            "when it is signed and when it is sent, and looks each time whether it is still in place.",
            "",
        ]
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2])
    else:
        main()
