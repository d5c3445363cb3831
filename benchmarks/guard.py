"""What the write guard costs a call, against the same call without it and against a guard by an event handler.

Each variant runs in a process of its own (the guard cannot be taken out again). The transport is replaced by one
that answers at once, so that what is measured is botocore and the guard, nothing of a network. The figure is the
least of the rounds, which the variants run in turn, in process time: other work on the machine only adds.

    python benchmarks/guard.py
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "docs" / "benchmarks" / "guard.md"
ROUNDS, CALLS = 60, 50
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


def canned(body: bytes) -> Any:
    """A transport that answers every request at once."""
    from botocore.awsrequest import AWSResponse

    def send(_self: Any, request: Any) -> Any:
        response = AWSResponse(request.url, 200, {"Content-Length": str(len(body))}, None)
        response._content = body
        return response

    return send


def child(variant: str) -> None:
    """For each name on standard input measure one round of that call, and answer with microseconds a call."""
    import botocore.httpsession

    answers: dict[str, bytes] = {"body": b""}
    send: Any = lambda _self, request: canned(answers["body"])(_self, request)  # noqa: E731
    setattr(botocore.httpsession.URLLib3Session, "send", send)  # noqa: B010
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
        rows.append((name, protocol, plain, event - plain, guarded - plain, guarded / plain))
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
    """The least of all rounds, by variant and call; the variants take turns on the same machine."""
    children = {variant: _start(variant) for variant in VARIANTS}
    best = {variant: dict.fromkeys(READS, float("inf")) for variant in VARIANTS}
    for _ in range(ROUNDS):
        for name in READS:
            for variant, process in children.items():
                process.stdin.write(f"{name}\n")
                process.stdin.flush()
                best[variant][name] = min(best[variant][name], float(process.stdout.readline()))
    for process in children.values():
        process.communicate()
    return best


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
            "the least mean; the transport answers at once, so no network is in these figures. The limit is",
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
