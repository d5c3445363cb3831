"""Two cheap looks before a pull: do the service metrics have percentiles, and did a unit change?"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any, Final

from planner.aws.clients import Clients
from planner.aws.fetch import Fetcher
from planner.aws.paging import Unreadable, each
from planner.aws.slices import Call, Item
from planner.aws.wanted import ECS, PERCENTILES, UNITS, Wanted
from planner.metrics.manifest import Manifest
from planner.metrics.windows import Window, floor
from planner.units import SECONDS_PER_DAY, SECONDS_PER_HOUR

PERCENTILE_SAMPLES: Final = 5
PROBE_PERIOD_S: Final = 300
UNITS_CHECKED_AGAIN: Final = 200
"""Series of a known unit that one pull looks at again; of a larger estate others each day, all in turn."""
NO_UNIT: Final = frozenset({"", "None"})


def has_percentiles(fetcher: Fetcher, series: list[Wanted], window: Window, unreadable: Unreadable) -> bool:
    """True where CloudWatch has p50, p90 or p99 of the services' utilisation.

    Metrics that are published as statistic sets have none, but asking for them counts against the datapoint
    quota as if they had; so a few series are asked for a few hours first.
    """
    sample = [one for one in series if one.namespace == ECS and one.kind == "service"][:PERCENTILE_SAMPLES]
    if not sample:
        return False
    end = floor(window[1], PROBE_PERIOD_S)
    recent = max(floor(window[0], PROBE_PERIOD_S), end - 6 * SECONDS_PER_HOUR), end
    if recent[0] >= recent[1]:
        return False
    items = [
        Item(PROBE_PERIOD_S, recent, Wanted(s.metric, s.resource, s.namespace, s.dimensions, PERCENTILES))
        for s in sample
    ]
    outcome = unreadable.attempt(
        "percentiles of the services' metrics", lambda: fetcher.fetch(Call(tuple(items))), None
    )
    return outcome is not None and any(len(block.timestamps_s) for _, block in outcome.blocks)


def look_up_units(
    clients: Clients, series: list[Wanted], manifest: Manifest, window: Window, unreadable: Unreadable
) -> tuple[dict[Wanted, str], dict[tuple[str, str], str]]:
    """Series that must not be read because their unit changed, with the reason; and the units seen.

    GetMetricData does not tell units, GetMetricStatistics does. A metric that changed its unit would turn
    into a silent factor; here it is refused.
    """
    known = manifest.units()
    sample = _sample(series, known.keys(), window[1] // SECONDS_PER_DAY)
    client = clients.get("cloudwatch")

    def look(one: Wanted) -> frozenset[str] | None:
        return unreadable.attempt(f"the unit of {one.metric}", lambda: _units(client, one, window), None)

    refused: dict[Wanted, str] = {}
    seen: dict[tuple[str, str], str] = {}
    for one, units in zip(sample, each(look, sample), strict=True):
        found = sorted((units or frozenset()) - NO_UNIT)
        expected = known.get((one.resource, one.metric)) or UNITS.get(one.metric) or (found or [""])[0]
        wrong = [unit for unit in found if unit != expected]
        if wrong:
            refused[one] = f"its unit is {', '.join(wrong)} where {expected} is known: it is not mixed in"
        elif found:
            seen[(one.resource, one.metric)] = expected
    return refused, seen


def _sample(series: list[Wanted], known: Collection[tuple[str, str]], day: int) -> list[Wanted]:
    """Every series whose unit has not been seen, and of the others as many as one pull looks at again.

    Those take turns by day, so that each is looked at every so many days however large the estate is.
    """
    fresh = [one for one in series if (one.resource, one.metric) not in known]
    seen = [one for one in series if (one.resource, one.metric) in known]
    turns = max(1, -(-len(seen) // UNITS_CHECKED_AGAIN))
    return fresh + seen[day % turns :: turns]


def _units(client: Any, one: Wanted, window: Window) -> frozenset[str]:
    """Units of the newest day of the window that has data; one request."""
    end = floor(window[1], SECONDS_PER_HOUR) + SECONDS_PER_HOUR
    start = max(floor(window[0], SECONDS_PER_HOUR), end - SECONDS_PER_DAY)
    answer = client.get_metric_statistics(
        Namespace=one.namespace,
        MetricName=one.metric,
        Dimensions=[{"Name": n, "Value": v} for n, v in one.dimensions],
        StartTime=_moment(start),
        EndTime=_moment(end),
        Period=SECONDS_PER_HOUR,
        Statistics=["SampleCount"],
    )
    return frozenset(str(point.get("Unit", "")) for point in answer["Datapoints"])


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
