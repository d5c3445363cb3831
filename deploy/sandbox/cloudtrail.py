"""CloudTrail's memory of who changed what: LookupEvents over the sandbox's own record of its calls."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from moto.cloudtrail.responses import CloudTrailResponse

from deploy.sandbox.world import current

MOST_PER_PAGE = 50
READS = ("Describe", "List", "Get", "BatchGet", "Lookup")


@dataclass(frozen=True, slots=True)
class Event:
    """One call that changed something and was answered."""

    at: datetime
    service: str
    operation: str
    user: str
    request: str
    """The call's body, as it was sent."""


class SandboxTrail(CloudTrailResponse):
    """Events of management calls, newest first, by one attribute: EventName or Username."""

    def lookup_events(self) -> str:
        asked = json.loads(self.body)
        wanted = {a["AttributeKey"]: a["AttributeValue"] for a in asked.get("LookupAttributes", [])}
        found = [
            _told(number, event)
            for number, event in reversed(list(enumerate(current().trail)))
            if wanted.get("EventName", event.operation) == event.operation
            and wanted.get("Username", event.user) == event.user
            and float(asked.get("StartTime", 0)) <= event.at.timestamp() <= float(asked.get("EndTime", 1e12))
        ]
        start = int(asked.get("NextToken") or 0)
        size = min(int(asked.get("MaxResults") or MOST_PER_PAGE), MOST_PER_PAGE)
        more = {"NextToken": str(start + size)} if start + size < len(found) else {}
        return json.dumps({"Events": found[start : start + size], **more})


def record(service: str, operation: str, user: str, body: bytes) -> None:
    """Keep a call, unless it only reads."""
    world = current()
    if not operation.startswith(READS):
        world.trail.append(Event(world.clock.now, service, operation, user, body.decode(errors="replace")))


def _told(number: int, event: Event) -> dict[str, Any]:
    source = f"{event.service}.amazonaws.com"
    text = {
        "eventTime": event.at.astimezone(UTC).isoformat(),
        "eventName": event.operation,
        "eventSource": source,
        "userIdentity": {"userName": event.user},
        "requestParameters": _parameters(event.request),
    }
    return {
        "EventId": str(UUID(int=number)),
        "EventName": event.operation,
        "EventTime": event.at.timestamp(),
        "EventSource": source,
        "Username": event.user,
        "CloudTrailEvent": json.dumps(text),
    }


def _parameters(body: str) -> Any:
    from urllib.parse import parse_qsl

    try:
        return json.loads(body)
    except ValueError:
        return dict(parse_qsl(body))
