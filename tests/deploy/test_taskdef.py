"""A new revision is its base with another size, image or architecture, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from deploy.taskdef import content_digest, derived, image_of, registrable, repository
from planner.model import Rejection


def base(**changed: Any) -> dict[str, Any]:
    definition: dict[str, Any] = {
        "taskDefinitionArn": "arn:aws:ecs:eu-west-2:1:task-definition/web:7",
        "family": "web",
        "revision": 7,
        "status": "ACTIVE",
        "cpu": "1024",
        "memory": "2048",
        "requiresAttributes": [{"name": "x"}],
        "containerDefinitions": [
            {
                "name": "app",
                "image": "repo/web:1",
                "cpu": 960,
                "memory": 1920,
                "environment": [{"name": "A", "value": "s3cret"}],
            },
            {"name": "log", "image": "repo/log:1", "cpu": 64, "memory": 128},
        ],
    }
    return {**definition, **changed}


def made(request: dict[str, Any], **changed: Any) -> dict[str, Any]:
    found = derived(base(**changed), request)
    assert not isinstance(found, Rejection)
    return found


def test_a_change_of_size_goes_to_the_largest_container() -> None:
    definition = made({"cpu": "512", "memory": "1024"})

    assert (definition["cpu"], definition["memory"]) == ("512", "1024")
    app, log = definition["containerDefinitions"]
    assert (app["cpu"], app["memory"]) == (448, 896)  # 960 - 512, 1,920 - 1,024
    assert (log["cpu"], log["memory"]) == (64, 128)


def test_a_definition_with_sizes_on_its_containers_only_keeps_them_there() -> None:
    definition = made({"cpu": "512", "memory": "1024"}, cpu=None, memory=None)

    assert "cpu" not in definition
    assert sum(c["cpu"] for c in definition["containerDefinitions"]) == 512
    assert sum(c["memory"] for c in definition["containerDefinitions"]) == 1024


def test_a_size_that_its_sidecars_leave_no_room_for_is_rejected() -> None:
    found = derived(base(), {"memory": "128"})

    assert isinstance(found, Rejection)
    assert "leave 0 to app" in found.reason


def test_the_image_goes_to_the_container_of_the_same_repository() -> None:
    definition = made({"$image": "repo/log@sha256:" + "0" * 64})

    assert [c["image"] for c in definition["containerDefinitions"]] == [
        "repo/web:1",
        "repo/log@sha256:" + "0" * 64,
    ]


def test_an_image_that_no_container_has_is_rejected() -> None:
    assert isinstance(derived(base(), {"$image": "other/thing:2"}), Rejection)


@pytest.mark.parametrize(
    ("platform", "wanted", "expected"),
    [
        (None, "X86_64", None),
        (None, "ARM64", {"operatingSystemFamily": "LINUX", "cpuArchitecture": "ARM64"}),
        (
            {"cpuArchitecture": "X86_64", "operatingSystemFamily": "LINUX"},
            "ARM64",
            {"operatingSystemFamily": "LINUX", "cpuArchitecture": "ARM64"},
        ),
    ],
)
def test_the_architecture_is_written_only_where_it_changes(platform: Any, wanted: str, expected: Any) -> None:
    definition = made({"runtimePlatform": {"cpuArchitecture": wanted}}, runtimePlatform=platform)

    assert definition.get("runtimePlatform") == expected


def test_a_request_for_nothing_gives_an_equal_definition() -> None:
    assert content_digest(made({})) == content_digest(base())


def test_what_aws_tells_beside_the_definition_does_not_count() -> None:
    other = base(
        taskDefinitionArn="x", revision=8, registeredAt="now", requiresAttributes=[], cpu="1 vCPU", memory="2 GB"
    )

    assert content_digest(other) == content_digest(base())


def test_an_environment_value_counts_but_is_not_shown() -> None:
    other = base()
    other["containerDefinitions"][0]["environment"][0]["value"] = "other"

    assert content_digest(other) != content_digest(base())
    assert "s3cret" not in str(image_of(base()))
    assert registrable(base())["containerDefinitions"][0]["environment"][0]["value"] == "s3cret"


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("web", "web"),
        ("web:1", "web"),
        ("registry:5000/team/web", "registry:5000/team/web"),
        ("registry:5000/team/web:1@sha256:abc", "registry:5000/team/web"),
    ],
)
def test_a_repository_is_an_image_without_tag_and_digest(image: str, name: str) -> None:
    assert repository(image) == name
