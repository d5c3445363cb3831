"""The policy file: what is read back, and what is refused with which words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from planner.scaling import PolicyError, parse_policy, policy_schema, print_policy
from planner.scaling.policies import CPU, CooldownFrom

ROOT = Path(__file__).resolve().parents[3]

FULL: dict[str, Any] = {
    "task_vcpu": 0.5,
    "task_memory_mib": 1024,
    "min": 2,
    "max": 40,
    "initial": 3,
    "target_tracking": [
        {"metric": "cpu", "target": 60},
        {"metric": "memory", "target": 70, "disable_scale_in": True},
    ],
    "step": [{"threshold": 90, "steps": [{"lower": 0, "adjustment": 5}]}],
    "scheduled": [{"schedule": "cron(0 7 ? * MON-FRI *)", "timezone": "Europe/London", "min": 4}],
    "predictive": {"target": 50},
    "delays": {"task_start_s": {"kind": "lognormal", "value_s": 23, "sigma": 0.4}, "seed": 7},
    "capacity_provider": {"tasks_per_instance": 4, "target_capacity": 90, "usd_per_hour": 0.1},
    "deployments": [{"start": "2026-01-01T00:00:00Z", "end": "2026-01-01T00:20:00Z"}],
}


def test_a_policy_survives_printing_and_parsing() -> None:
    policy = parse_policy(FULL)

    assert parse_policy(print_policy(policy)) == policy


def test_one_policy_may_stand_without_a_list_and_with_the_api_s_names() -> None:
    short = parse_policy({"task_vcpu": 1, "min": 1, "max": 9, "target_tracking": {"target": 50}})
    api = {"TargetValue": 50, "PredefinedMetricType": CPU, "ScaleOutCooldown": 300, "ScaleInCooldown": 300}

    assert parse_policy({"task_vcpu": 1, "min": 1, "max": 9, "target_tracking": [api]}) == short


def test_defaults_are_the_documented_ones() -> None:
    policy = parse_policy({"task_vcpu": 1, "min": 1, "max": 9, "target_tracking": {"target": 50}})
    tracking = policy.target_tracking[0]

    assert (tracking.high_datapoints, tracking.low_datapoints, tracking.low_alarm_factor) == (3, 15, 0.9)
    assert (tracking.scale_out_cooldown_s, tracking.scale_in_cooldown_s) == (300, 300)
    assert (policy.delays.metric_publishing_s.value_s, policy.delays.task_start_s.value_s) == (150, 23)
    assert tracking.cooldown_from is CooldownFrom.DECISION


def test_high_resolution_metrics_have_a_period_of_twenty_seconds() -> None:
    policy = parse_policy(
        {"task_vcpu": 1, "min": 1, "max": 9, "target_tracking": {"target": 50, "metric": CPU + "HighResolution"}}
    )

    assert (policy.target_tracking[0].period_s, policy.target_tracking[0].low_datapoints) == (20, 45)


def changed(**changes: Any) -> dict[str, Any]:
    return {"task_vcpu": 1, "min": 1, "max": 9, **changes}


@pytest.mark.parametrize(
    ("document", "path", "words"),
    [
        (changed(min=10), "policy", "min 10 is above max 9"),
        (changed(target_tracking={"target": 0}), "target_tracking[0]", "a target of 0 is not possible"),
        (changed(target_tracking={"target": 101}), "target_tracking[0]", "at most 100"),
        (changed(target_tracking={"target": 50, "metric": "cpuu"}), "target_tracking[0].metric", "not known"),
        (
            changed(
                step={
                    "threshold": 1,
                    "steps": [{"lower": 0, "upper": 9, "adjustment": 1}, {"lower": 5, "adjustment": 2}],
                }
            ),
            "step[0]",
            "steps overlap between 5 and 9",
        ),
        (
            changed(
                step={
                    "threshold": 1,
                    "steps": [{"lower": 0, "upper": 5, "adjustment": 1}, {"lower": 9, "adjustment": 2}],
                }
            ),
            "step[0]",
            "steps leave a gap from 5 to 9",
        ),
        (changed(step={"threshold": 1, "steps": [{"lower": 0, "upper": 5, "adjustment": 1}]}), "step[0]", "open"),
        (changed(scheduled={"schedule": "cron(61 * ? * * *)", "min": 1}), "scheduled[0]", "minutes"),
        (changed(scheduled={"schedule": "cron(0 7 * * MON *)", "min": 1}), "scheduled[0]", "must be ?"),
        (
            changed(scheduled={"schedule": "cron(0 7 ? * MON *)", "timezone": "Mars/Base", "min": 1}),
            "scheduled[0]",
            "IANA",
        ),
        (changed(scheduled={"schedule": "cron(0 7 ? * MON *)"}), "scheduled[0]", "min, max or both"),
        (
            changed(scheduled={"schedule": "rate(1 hour)", "min": 5, "max": 2}),
            "scheduled[0]",
            "min 5 is above max 2",
        ),
        (changed(capacity_provider={"tasks_per_instance": 0}), "capacity_provider.tasks_per_instance", "1"),
        (changed(task_vcpu=float("nan")), "task_vcpu", "finite"),
        (changed(colour="red"), "colour", "this key is not known"),
        ({"min": 1, "max": 2}, "task_vcpu", "required"),
        (changed(target_tracking={"target": 50, "metric": "memory"}), "policy", "task_memory_mib"),
        (
            changed(delays={"task_start_s": {"kind": "uniform", "low_s": 9, "high_s": 1}}),
            "delays.task_start_s",
            "above",
        ),
        ([], "policy", "object"),
    ],
)
def test_a_bad_policy_is_refused_with_its_path(document: Any, path: str, words: str) -> None:
    with pytest.raises(PolicyError) as refused:
        parse_policy(document)

    assert [(p, words in text) for p, text in refused.value.problems if p == path] == [(path, True)]


def test_all_problems_are_reported_at_once() -> None:
    with pytest.raises(PolicyError) as refused:
        parse_policy({"task_vcpu": -1, "min": 1, "max": 2, "x": 1, "target_tracking": {"target": 0}})

    assert {path for path, _ in refused.value.problems} == {"task_vcpu", "x", "target_tracking[0]"}


def test_the_schema_names_every_key() -> None:
    properties = policy_schema()["properties"]

    assert set(FULL) <= set(properties)


def test_the_published_schema_is_the_code_s() -> None:
    """A differing file is refreshed by writing json.dumps(policy_schema(), indent=2, sort_keys=True) to it."""
    published = ROOT / "docs" / "guide" / "scaling-policy.schema.json"

    assert json.loads(published.read_text(encoding="utf-8")) == policy_schema()


def test_the_schema_accepts_a_full_policy() -> None:
    jsonschema.validate(print_policy(parse_policy(FULL)), policy_schema())
