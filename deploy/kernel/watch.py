"""What is shown while one waits: deployments with their task counts, ECS's own events, and alarms that are on."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from deploy.kernel import render
from deploy.kernel.session import Session, told
from deploy.model import ResourceRef
from deploy.ports import CallFailed, Clock
from planner.documents.config import ResourceType

EVERY_S = 10.0
KEPT_EVENTS = 40
UNDER_WAY = frozenset({"PENDING", "IN_PROGRESS", "STOP_REQUESTED", "ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS"})


def service_row(cloud: Any, service: str) -> tuple[tuple[Any, ...], bool]:
    """A row of `render.deployments`, and whether a deployment is under way."""
    counts, known = cloud.service_counts(service), cloud.deployments(service)
    if counts is None:
        return (service, "-", "-", "-", "the service is not there", "-", ""), False
    if not known:
        return (service, counts.desired, counts.running, counts.pending, "none listed", "-", ""), False
    newest = known[0]
    row = (
        service,
        counts.desired,
        counts.running,
        counts.pending,
        newest.status,
        newest.failed,
        newest.reason or newest.task_definition,
    )
    return row, newest.status in UNDER_WAY


def alarms_on(cloud: Any, cluster: str) -> str:
    """Names of the cluster's scaling alarms that are in ALARM, as a remark; says so where it cannot be read."""
    try:
        answer = cloud.calls(
            "cloudwatch",
            "DescribeAlarms",
            AlarmNamePrefix=f"TargetTracking-service/{cluster}/",
            StateValue="ALARM",
            MaxRecords=100,
        )
    except CallFailed as error:
        return f"Alarms could not be read ({error.code})."
    names = [alarm["AlarmName"] for alarm in answer.get("MetricAlarms", [])]
    return f"In alarm: {', '.join(names)}." if names else "No scaling alarm is on."


def watch(session: Session, seconds: float, show: Callable[[render.Shown], None]) -> None:
    """Show the bundle's services until their deployments have ended, or for so many seconds."""
    config, clock = session.config, session.clock()
    with told():
        cloud = session.cloud(config, clock=clock)
        services = [r.name for r in config.resources if r.type is ResourceType.SERVICE]
        until = clock.now() + timedelta(seconds=seconds)
        while True:
            rows, moving = [], False
            for service in services:
                row, under_way = service_row(cloud, service)
                rows.append(row)
                moving = moving or under_way
            show(render.deployments(rows, alarms_on(cloud, config.scope.cluster)))
            if (seconds and clock.now() >= until) or (not seconds and not moving):
                return
            clock.sleep(EVERY_S)


class LiveRun:
    """The display of a run under way: its last events, and the service whose deployment is waited for."""

    def __init__(self, title: str, clock: Clock) -> None:
        from deploy.kernel.ipython import display

        self._title = title
        self._clock = clock
        self._lines: deque[tuple[str, str]] = deque(maxlen=KEPT_EVENTS)
        self._counts: Sequence[Sequence[Any]] = ()
        self._seen: set[str] = set()
        self._handle = display(self._shown(), display_id=True)
        self.cloud: Any = None

    def say(self, text: str) -> None:
        self._lines.append((f"{self._clock.now():%H:%M:%S}", render.text_of(text)))
        self._update()

    def look(self) -> None:
        """Read what ECS says of the service that the running step waits for."""
        from deploy.authorise import current_step

        step = current_step()
        if step is None or self.cloud is None:
            return
        ref = ResourceRef.parse(step.resource_id)
        if ref.type is not ResourceType.SERVICE:
            return
        try:
            self._counts = [service_row(self.cloud, ref.name)[0]]
            for event in reversed(self._events(ref.name)):
                self.say(event)
        except CallFailed as error:
            self.say(f"{ref.name} could not be read: {error}")
        self._update()

    def _events(self, service: str) -> list[str]:
        described = self.cloud.ecs.describe_service(service) or {}
        new = [e for e in described.get("events", [])[:5] if e.get("id") not in self._seen]
        self._seen |= {str(event.get("id")) for event in new}
        return [str(event.get("message", "")) for event in new]

    def _shown(self) -> render.Shown:
        return render.progress(f"{self._title} is under way", tuple(self._lines), self._counts)

    def _update(self) -> None:
        if self._handle is not None:
            self._handle.update(self._shown())
