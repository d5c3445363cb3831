"""Three renderings of one bundle mean the same: each is read back to the one document they come from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.emit import (
    Request,
    config_from_plan,
    contract_values,
    main_tf,
    read_main_tf,
    read_requests,
    read_template,
    request_problems,
    requests_from_config,
    template,
    write_requests,
)
from deploy.emit.terraform import escaped, unescaped
from planner.documents import ConfigDocument, PlanDocument
from planner.documents.config import ResourceType
from tests.deploy.estate import in_place, plan_for, routed_plan

NASTY = 'we"b\n${env.HOME}%{if}'


def requests_of(config: ConfigDocument) -> dict[str, Any]:
    return {resource.id: resource.request for resource in config.resources}


def named(name: str, schedule: str = "office") -> PlanDocument:
    """The plan of estate.py with another name for its first service and schedule."""
    data = plan_for(("web", "api")).model_dump(mode="json")
    data["services"][0]["service"] = name
    data["services"][0]["scaling"]["schedules"][0]["name"] = schedule
    return PlanDocument.model_validate(data)


def on_requests() -> PlanDocument:
    """The plan of estate.py with its first service scaled on requests per target."""
    data = plan_for(("web", "api")).model_dump(mode="json")
    data["services"][0]["scaling"]["target_tracking"] = {
        "metric": "ALBRequestCountPerTarget",
        "target": 412.5,
        "resource_label": "app/web/50dc6c495c0c9188/targetgroup/web/943f017f100becff",
    }
    return PlanDocument.model_validate(data)


def on_fast_metrics() -> PlanDocument:
    """The plan of estate.py with its first service scaled on 20-second metrics."""
    data = plan_for(("web", "api")).model_dump(mode="json")
    tracking = data["services"][0]["scaling"]["target_tracking"]
    tracking["metric"] = "ECSServiceAverageMemoryUtilizationHighResolution"
    return PlanDocument.model_validate(data)


@pytest.mark.parametrize(
    "plan",
    [plan_for(), routed_plan(), in_place(), on_requests()],
    ids=["moved", "routed", "replaced", "on requests"],
)
def test_the_three_renderings_normalise_to_one_document(plan: PlanDocument, tmp_path: Path) -> None:
    config = config_from_plan(plan)
    requests = requests_from_config(config)
    files = [json.loads(path.read_text()) for path in write_requests(requests, tmp_path)]
    from_files = [
        Request(request.resource_id, file["service"], file["operation"], file["request"])
        for request, file in zip(requests, files, strict=True)
    ]

    assert read_requests(from_files) == requests_of(config)
    assert read_main_tf(main_tf(config)) == requests_of(config)
    assert read_template(template(config)) == requests_of(config)


@settings(max_examples=40, deadline=None)
@given(name=st.text(min_size=1, max_size=40), schedule=st.text(min_size=1, max_size=40))
def test_any_name_survives_every_rendering(name: str, schedule: str) -> None:
    plan = named(name if name != "api" else "apis", schedule)
    config = config_from_plan(plan)

    for rendered, read in ((main_tf(config), read_main_tf), (template(config), read_template)):
        assert read(json.loads(json.dumps(rendered))) == requests_of(config)


def test_an_expression_in_a_name_is_escaped_in_terraform() -> None:
    service = next(
        block
        for block in main_tf(config_from_plan(named(NASTY)))["resource"]["aws_ecs_service"].values()
        if "HOME" in block["name"]
    )

    assert service["name"] == 'we"b\n$${env.HOME}%%{if}'
    assert unescaped(escaped(NASTY)) == NASTY


def test_terraform_never_writes_a_desired_count_and_ignores_it() -> None:
    rendered = main_tf(config_from_plan(plan_for()))

    for service in rendered["resource"]["aws_ecs_service"].values():
        assert "desired_count" not in service
        assert service["lifecycle"] == [{"ignore_changes": ["desired_count"]}]
    assert "desired" not in json.dumps(contract_values(config_from_plan(plan_for())))


def test_the_contract_has_sizes_ranges_thresholds_schedules_and_instance_types() -> None:
    values = contract_values(config_from_plan(plan_for(("web",))))

    assert values == {
        "planner_services": {
            "web": {
                "cpu": 512,
                "memory": 1024,
                "min_capacity": 3,
                "max_capacity": 20,
                "target_metric": "ECSServiceAverageCPUUtilization",
                "target_value": 60.0,
                "schedules": {
                    "office": {
                        "cron": "cron(0 7 ? * MON-FRI *)",
                        "timezone": "Europe/London",
                        "min_capacity": 6,
                        "max_capacity": 20,
                    }
                },
            }
        },
        "planner_fleet": {
            "new": {"min_size": 3, "max_size": 30, "instance_type": "m5.large"},
            "old": {"min_size": 0, "max_size": 0},
        },
    }


def test_every_request_fits_the_service_model_of_botocore() -> None:
    for plan in (plan_for(), routed_plan(), in_place(), on_fast_metrics()):
        for request in requests_from_config(config_from_plan(plan)):
            assert request_problems(request) == []


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [("MinCapacity", "three", "MinCapacity"), ("Minimum", 3, 'Unknown parameter in input: "Minimum"')],
)
def test_a_wrong_field_is_named(field: str, value: Any, told: str) -> None:
    request = next(
        r for r in requests_from_config(config_from_plan(plan_for())) if r.operation == "RegisterScalableTarget"
    )
    request.parameters[field] = value

    assert any(told in problem for problem in request_problems(request))


@pytest.mark.slow
def test_the_template_is_clean_for_cfn_lint(tmp_path: Path) -> None:
    from cfnlint.api import ManualArgs, lint

    for plan in (plan_for(), routed_plan(), in_place(), on_fast_metrics()):
        config = config_from_plan(plan)
        matches = lint(json.dumps(template(config)), config=ManualArgs(regions=[config.scope.region]))
        assert [str(match) for match in matches if match.rule.id[0] in "EW"] == []


def test_the_bundle_has_no_environment_value() -> None:
    text = json.dumps(requests_of(config_from_plan(plan_for())))

    assert "environment" not in text
    assert "containerDefinitions" not in text


def test_emission_is_deterministic() -> None:
    assert config_from_plan(plan_for()) == config_from_plan(plan_for())


def test_every_type_of_resource_is_rendered() -> None:
    assert {r.type for r in config_from_plan(routed_plan()).resources} == set(ResourceType)
