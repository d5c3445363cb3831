"""Whatever is there and whatever is asked for: applying leads there, rolling back restores, twice is once."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.apply import apply
from deploy.diff import diff
from deploy.emit import config_from_plan
from deploy.normalise import normalise
from deploy.observe import observe
from deploy.rollback import rollback
from deploy.steps import plan_steps
from planner.documents import ConfigDocument, PlanDocument
from planner.documents.config import ResourceType
from tests.deploy import small
from tests.deploy.estate import Person, person, plan_for
from tests.deploy.fakes import FakeCloud

RANGES = st.tuples(st.integers(0, 9), st.integers(9, 40))
SERVICE_PLANS = st.fixed_dictionaries(
    {
        "task": st.sampled_from(
            [{"cpu_units": c, "memory_mib": m} for c in (256, 1024, 2048) for m in (1024, 2048)]
        ),
        "placement": st.sampled_from([[], [{"type": "random"}], [{"type": "binpack", "field": "cpu"}]]),
        "minimum_healthy_percent": st.integers(0, 100),
        "maximum_percent": st.integers(101, 200),
        "range": st.none() | RANGES,
        "moves": st.booleans(),
        "schedules": st.lists(st.sampled_from(["office", "night", "weekend"]), unique=True, max_size=3),
    }
)
LIVE = st.fixed_dictionaries(
    {"range": st.none() | RANGES, "desired": st.integers(0, 12), "percent": st.integers(0, 100)}
)


def bundle(choice: dict[str, Any]) -> ConfigDocument:
    """small.bundle() for another plan of `web`."""
    data = plan_for(("web",)).model_dump(mode="json")
    service = data["services"][0]
    service |= {k: choice[k] for k in ("task", "placement", "minimum_healthy_percent", "maximum_percent")}
    if not choice["moves"]:
        service["capacity_providers"] = []
        data["retired"] = []
    if choice["range"] is None:
        service["scaling"] = None
    else:
        low, high = choice["range"]
        limits = {"min_capacity": low, "max_capacity": high}
        named = [
            {"name": name, "cron": "cron(0 7 * * ? *)", "timezone": "UTC", **limits}
            for name in choice["schedules"]
        ]
        service["scaling"] |= {**limits, "schedules": named}
    with patch(
        "tests.deploy.small.config_from_plan", lambda _plan: config_from_plan(PlanDocument.model_validate(data))
    ):
        return small.bundle(("web",))


def cloud(choice: dict[str, Any]) -> FakeCloud:
    fake = small.cloud(with_scaling=choice["range"] is not None)
    service = dict(fake.state["service/web"] or {})
    deployment = {**service["deploymentConfiguration"], "minimumHealthyPercent": choice["percent"]}
    fake.state["service/web"] = {
        **service,
        "desiredCount": choice["desired"],
        "deploymentConfiguration": deployment,
    }
    if choice["range"] is not None:
        low, high = choice["range"]
        limits = {"MinCapacity": low, "MaxCapacity": high}
        fake.state["scalable-target/web"] = normalise(ResourceType.SCALABLE_TARGET, limits)
        desired = min(max(choice["desired"], low), high)
        fake.state["service/web"] = {**(fake.state["service/web"] or {}), "desiredCount": desired}
    return fake


KEYS: list[Person] = []


def maria() -> Person:
    if not KEYS:
        KEYS.append(person(Path(tempfile.mkdtemp())))
    return KEYS[0]


@settings(max_examples=60, deadline=None)
@given(live=LIVE, plan=SERVICE_PLANS)
def test_applying_leads_there_and_rolling_back_restores_the_start(
    live: dict[str, Any], plan: dict[str, Any]
) -> None:
    fake, config = cloud(live), bundle(plan)
    before = small.visible(fake)
    approval, approvers = small.approved(config, fake, maria())
    with tempfile.TemporaryDirectory() as folder, patch("os.fsync"):
        outcome = apply(config, approval, approvers, small.world(fake), Path(folder))
        assert outcome.succeeded, outcome.failure
        after = observe(config, fake)
        assert diff(after.live, after.wanted, config).is_empty
        assert not plan_steps(small.move(config, after))  # to plan again is nothing to do
        target = fake.state.get("scalable-target/web")
        desired = (fake.state["service/web"] or {})["desiredCount"]
        if target is not None:
            assert target["MinCapacity"] <= desired <= target["MaxCapacity"]
            assert not any(target["SuspendedState"].values())

        back = rollback(Path(outcome.journal), small.world(fake), approvers=approvers)
        assert back.succeeded, (back.failure, back.notes)
    assert small.visible(fake) == before
