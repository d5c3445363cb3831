"""Rehearse a bad Monday: the sandbox's estate through a working day, with a zone lost in the middle of it.

Only a sandbox is drilled. The zone is lost by a process of its own (`python -m deploy.kernel.drill`), because this
kernel makes no AWS write, not even to a sandbox; what is shown is read back through boto3 in the kernel.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from deploy.clock import SandboxClock
from deploy.kernel.refusals import KernelRefusal

STEP = timedelta(minutes=5)
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
CHILD_TIMEOUT_S = 120


@dataclass(frozen=True, slots=True)
class Drill:
    """Which day of the sandbox's estate, in local time, and what is lost when."""

    day: str
    begins: int
    """Hour of the day"""
    hours: int
    zone: str
    lost_at: int
    """Hour of the day"""
    timezone: str


@dataclass(frozen=True, slots=True)
class Hour:
    """One hour of one service: the worst of its samples."""

    at: datetime
    service: str
    desired: int
    running_least: int
    short_samples: int
    """Samples (of 12) with fewer tasks running than desired"""
    cpu_percent_most: float | None
    """Highest CPUUtilization of the hour (used / reserved), None where CloudWatch has none"""


Show = Callable[[list[Hour], int | None], None]


def next_day(now: datetime, drill: Drill) -> datetime:
    """The first instant of the drill: the next such day at its hour, in the drill's time zone."""
    if drill.day.lower() not in DAYS:
        raise KernelRefusal(f"--day {drill.day!r} is no day of the week: write monday. Nothing was done.")
    local = now.astimezone(ZoneInfo(drill.timezone))
    ahead = (DAYS.index(drill.day.lower()) - local.weekday()) % 7
    start = (local + timedelta(days=ahead)).replace(hour=drill.begins, minute=0, second=0, microsecond=0)
    return start if start > local else start + timedelta(days=7)


def run(
    cloud: Any,
    clock: SandboxClock,
    services: list[str],
    drill: Drill,
    show: Callable[[list[Hour], int | None], None],
) -> tuple[Hour, ...]:
    """Let the day pass and lose the zone; `show` gets the hours so far and how many instances were lost."""
    if not drill.begins <= drill.lost_at < drill.begins + drill.hours:
        raise KernelRefusal(
            "The zone has to be lost within the hours of the drill: change --lost-at. Nothing was done."
        )
    at = next_day(clock.sandbox_now(), drill)
    clock.sleep((at - clock.sandbox_now()).total_seconds())
    hours: list[Hour] = []
    lost: int | None = None
    for number in range(drill.hours):
        if drill.begins + number == drill.lost_at:
            lost = lose_zone(clock.endpoint_url, cloud.calls.region, drill.zone)
        hours += _hour(cloud, clock, services, at + timedelta(hours=number))
        show(hours, lost)
    return tuple(hours)


def _hour(cloud: Any, clock: SandboxClock, services: list[str], at: datetime) -> list[Hour]:
    least = dict.fromkeys(services, sys.maxsize)
    desired, short = dict.fromkeys(services, 0), dict.fromkeys(services, 0)
    for _ in range(int(timedelta(hours=1) / STEP)):
        clock.sleep(STEP.total_seconds())
        for service in services:
            counts = cloud.service_counts(service)
            if counts is None:
                raise KernelRefusal(f"Service {service} is not there any more: look at %drift.")
            desired[service] = max(desired[service], counts.desired)
            least[service] = min(least[service], counts.running)
            short[service] += counts.running < counts.desired
    return [
        Hour(at, s, desired[s], least[s], short[s], _cpu(cloud, s, at, at + timedelta(hours=1))) for s in services
    ]


def _cpu(cloud: Any, service: str, start: datetime, end: datetime) -> float | None:
    answer = cloud.calls(
        "cloudwatch",
        "GetMetricStatistics",
        Namespace="AWS/ECS",
        MetricName="CPUUtilization",
        Dimensions=[{"Name": "ClusterName", "Value": cloud.cluster}, {"Name": "ServiceName", "Value": service}],
        StartTime=start,
        EndTime=end,
        Period=3600,
        Statistics=["Maximum"],
    )
    return max((point["Maximum"] for point in answer.get("Datapoints", [])), default=None)


def lose_zone(endpoint_url: str, region: str, zone: str) -> int:
    """End every instance of the zone in the sandbox, and let groups start new ones in the other zones only.

    Returns how many instances ran there.
    """
    asked = json.dumps({"endpoint_url": endpoint_url, "region": region, "zone": zone})
    command = [sys.executable, "-m", "deploy.kernel.drill"]
    done = subprocess.run(
        command, input=asked, capture_output=True, text=True, check=False, timeout=CHILD_TIMEOUT_S
    )
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise KernelRefusal(f"The zone {zone} could not be lost in the sandbox: {reason}")
    return int(json.loads(done.stdout)["instances"])


def _lose_zone(endpoint_url: str, region: str, zone: str) -> None:
    import boto3

    from deploy.sandbox.sandbox import CREDENTIALS

    key, secret = CREDENTIALS["aws_access_key_id"], CREDENTIALS["aws_secret_access_key"]
    session: Any = boto3.Session(key, secret, region_name=region)
    ec2, scaling = (session.client(name, endpoint_url=endpoint_url) for name in ("ec2", "autoscaling"))
    in_zone = [{"Name": "availability-zone", "Values": [zone]}]
    subnets = {subnet["SubnetId"] for subnet in ec2.describe_subnets(Filters=in_zone)["Subnets"]}
    for group in scaling.describe_auto_scaling_groups()["AutoScalingGroups"]:
        kept = [s for s in group["VPCZoneIdentifier"].split(",") if s not in subnets]
        if kept:
            scaling.update_auto_scaling_group(
                AutoScalingGroupName=group["AutoScalingGroupName"], VPCZoneIdentifier=",".join(kept)
            )
    running = [*in_zone, {"Name": "instance-state-name", "Values": ["running"]}]
    found = ec2.describe_instances(Filters=running)["Reservations"]
    ids = [instance["InstanceId"] for reservation in found for instance in reservation["Instances"]]
    if ids:
        ec2.terminate_instances(InstanceIds=ids)
    print(json.dumps({"instances": len(ids)}))


if __name__ == "__main__":
    _lose_zone(**json.load(sys.stdin))
