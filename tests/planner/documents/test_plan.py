"""plan.json: canonical, checked whole, every problem told with its path."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from planner.documents import DocumentError, digest, dump_plan, load_plan
from planner.documents.canonical import canonical_bytes
from tests.plans import plan, plan_values


def test_a_plan_survives_the_round_trip_through_a_file(tmp_path: Path) -> None:
    told = dump_plan(plan(), tmp_path / "plan.json")

    assert load_plan(tmp_path / "plan.json") == plan()
    assert told == digest(plan())


def test_reformatting_the_file_changes_no_digest(tmp_path: Path) -> None:
    dump_plan(plan(), tmp_path / "plan.json")
    data = json.loads((tmp_path / "plan.json").read_text())
    (tmp_path / "other.json").write_text(json.dumps(dict(reversed(data.items())), indent=7))

    assert digest(load_plan(tmp_path / "other.json")) == digest(plan())


def test_every_changed_value_changes_the_digest() -> None:
    dearer = plan_values()
    dearer["cost"]["plan_usd_per_hour"] = 0.41

    assert digest(type(plan()).model_validate(dearer)) != digest(plan())


def test_canonical_form_refuses_nan() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        canonical_bytes({"usd": float("nan")})


def test_a_truncated_plan_is_one_error_that_says_so(tmp_path: Path) -> None:
    dump_plan(plan(), tmp_path / "plan.json")
    whole = (tmp_path / "plan.json").read_text()
    (tmp_path / "cut.json").write_text(whole[: len(whole) // 2])

    with pytest.raises(DocumentError, match="not whole JSON"):
        load_plan(tmp_path / "cut.json")


def test_all_problems_are_told_each_with_its_path(tmp_path: Path) -> None:
    values = plan_values()
    values["services"][0]["scaling"]["min_capacity"] = 99
    values["fleet"][0]["usd_per_hour"] = -1
    values["surprise"] = True
    (tmp_path / "bad.json").write_text(json.dumps(values, default=str))

    with pytest.raises(DocumentError) as refused:
        load_plan(tmp_path / "bad.json")

    assert len(refused.value.problems) == 3
    assert any("services.0.scaling" in p and "99 is above max_capacity 9" in p for p in refused.value.problems)
    assert any(p.startswith("fleet.0.usd_per_hour") for p in refused.value.problems)
    assert any(p.startswith("surprise") for p in refused.value.problems)


def test_a_key_that_stands_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "twice.json").write_text('{"kind": "plan", "kind": "config"}')

    with pytest.raises(DocumentError, match="stands twice"):
        load_plan(tmp_path / "twice.json")


def test_a_service_on_a_provider_that_the_fleet_lacks_is_refused() -> None:
    values = plan_values()
    values["services"][0]["capacity_providers"][0]["capacity_provider"] = "elsewhere"

    with pytest.raises(ValueError, match="elsewhere, which the fleet does not have"):
        type(plan()).model_validate(values)


def test_the_same_service_twice_is_refused() -> None:
    values = plan_values()
    values["services"] *= 2

    with pytest.raises(ValueError, match="services has web twice"):
        type(plan()).model_validate(values)


def test_a_missing_file_says_which(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match=r"absent\.json cannot be used: it cannot be read"):
        load_plan(tmp_path / "absent.json")


def test_a_plan_from_before_the_certificate_keeps_its_bytes() -> None:
    written = json.loads(canonical_bytes(plan()))

    assert "certificate" not in written["packing"]
    assert not {"busiest_size", "max_size_reason"} & set(written["fleet"][0])
    assert digest(type(plan()).model_validate(written)) == digest(plan())


def test_a_field_that_came_later_is_written_where_it_is_set() -> None:
    values = plan_values()
    values["fleet"][0]["busiest_size"] = 7
    written = json.loads(canonical_bytes(type(plan()).model_validate(values)))

    assert written["fleet"][0]["busiest_size"] == 7
