"""Instances register what their type has; groups grow, shrink and drain; tasks go where they fit."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.deploy.sandbox.conftest import CLUSTER, GROUP, Estate


def attribute(instance: dict[str, Any], name: str) -> str:
    return next(str(a["value"]) for a in instance["attributes"] if a["name"] == name)


def resource(instance: dict[str, Any], name: str, kind: str = "registeredResources") -> int:
    return next(int(r["integerValue"]) for r in instance[kind] if r["name"] == name)


def zones(estate: Estate) -> Counter[str]:
    return Counter(attribute(i, "ecs.availability-zone") for i in estate.instances())


def test_instances_register_after_their_boot_spread_over_the_zones(estate: Estate) -> None:
    estate.add_group(6)
    estate.sandbox.advance(60)
    assert estate.instances() == []
    estate.sandbox.advance(40)

    instance = estate.instances()[0]
    assert sorted(zones(estate).values()) == [2, 2, 2]
    assert resource(instance, "CPU") == 2 * 1024  # m5.large: 2 vCPU
    assert 7700 <= resource(instance, "MEMORY") < 8192  # less than the advertised 8 GiB
    assert attribute(instance, "ecs.instance-type") == "m5.large"


def test_a_group_that_grows_adds_instances_and_one_that_shrinks_drains_them_first(fleet: Estate) -> None:
    fleet.create(count=6)
    fleet.sandbox.advance(120)
    fleet.groups.set_desired_capacity(AutoScalingGroupName=GROUP, DesiredCapacity=3)

    for _ in range(20):
        fleet.sandbox.advance(10)
        assert fleet.service()["runningCount"] >= 6  # a drained task stops once its successor is healthy

    assert len(fleet.instances()) == 3
    assert sorted(zones(fleet).values()) == [1, 1, 1]
    assert fleet.counts() == (6, 0)
    fleet.groups.set_desired_capacity(AutoScalingGroupName=GROUP, DesiredCapacity=5)
    fleet.sandbox.advance(100)
    assert len(fleet.instances()) == 5


def test_the_overrides_of_a_mixed_instances_policy_set_the_type(estate: Estate) -> None:
    estate.add_group(
        2,
        MixedInstancesPolicy={
            "LaunchTemplate": {
                "LaunchTemplateSpecification": {"LaunchTemplateName": "template", "Version": "$Latest"},
                "Overrides": [{"InstanceType": "c7g.xlarge"}, {"InstanceType": "c6g.xlarge"}],
            }
        },
    )
    estate.sandbox.advance(100)

    assert {attribute(i, "ecs.instance-type") for i in estate.instances()} == {"c7g.xlarge"}
    assert {attribute(i, "ecs.cpu-architecture") for i in estate.instances()} == {"arm64"}


def test_capacity_outside_the_group_s_limits_is_refused(fleet: Estate) -> None:
    with pytest.raises(ClientError, match="above max value 20"):
        fleet.groups.set_desired_capacity(AutoScalingGroupName=GROUP, DesiredCapacity=21)


def test_a_task_that_fits_nowhere_waits_and_an_event_says_why(fleet: Estate) -> None:
    fleet.create(count=1, definition=fleet.definition(cpu=4096, memory=512))

    assert fleet.counts() == (0, 0)
    assert "no container instance met all of its requirements" in fleet.service()["events"][0]["message"]


def test_room_that_becomes_free_is_taken_at_once(fleet: Estate) -> None:
    whole = fleet.definition(family="whole", cpu=2048)
    fleet.create("big", 6, whole)
    fleet.sandbox.advance(120)
    fleet.create("late", 1, whole)
    assert fleet.counts("late") == (0, 0)

    fleet.update("big", desiredCount=5)
    fleet.sandbox.advance(60)

    assert fleet.counts("late") == (1, 0)


def test_awsvpc_tasks_are_limited_by_the_network_interfaces_of_the_type(fleet: Estate) -> None:
    made = fleet.ecs.register_task_definition(
        family="eni", networkMode="awsvpc", cpu="128", memory="128",
        containerDefinitions=[{"name": "app", "image": "i"}],
    )  # fmt: skip
    network = {"awsvpcConfiguration": {"subnets": ["subnet-1"]}}
    fleet.create("eni", 20, made["taskDefinition"]["taskDefinitionArn"], networkConfiguration=network)
    fleet.sandbox.advance(120)

    assert fleet.counts("eni")[0] == 12  # six m5.large with 3 interfaces each, one of them its own


def test_trunking_raises_that_limit_for_instances_that_register_later(estate: Estate) -> None:
    estate.ecs.put_account_setting(name="awsvpcTrunking", value="enabled")
    estate.add_provider(estate.add_group(1))
    estate.sandbox.advance(100)
    made = estate.ecs.register_task_definition(
        family="eni", networkMode="awsvpc", cpu="128", memory="128",
        containerDefinitions=[{"name": "app", "image": "i"}],
    )  # fmt: skip
    network = {"awsvpcConfiguration": {"subnets": ["subnet-1"]}}
    estate.create("eni", 20, made["taskDefinition"]["taskDefinitionArn"], networkConfiguration=network)
    estate.sandbox.advance(120)

    assert estate.counts("eni")[0] == 10  # an m5.large with trunking takes 10


def test_fixed_host_ports_and_distinct_instance_allow_one_task_an_instance(fleet: Estate) -> None:
    fixed = fleet.definition(family="fixed", portMappings=[{"containerPort": 80, "hostPort": 80}])
    fleet.create("fixed", 9, fixed)
    fleet.create("apart", 9, placementConstraints=[{"type": "distinctInstance"}])
    fleet.sandbox.advance(120)

    assert fleet.counts("fixed")[0] == 6
    assert fleet.counts("apart")[0] == 6


def test_member_of_keeps_tasks_to_the_instances_it_names(fleet: Estate) -> None:
    expression = "attribute:ecs.availability-zone == eu-west-2b"
    fleet.create(count=4, placementConstraints=[{"type": "memberOf", "expression": expression}])
    fleet.sandbox.advance(120)

    assert {task["availabilityZone"] for task in fleet.tasks()} == {"eu-west-2b"}


def test_binpack_fills_one_instance_and_spread_uses_every_zone(fleet: Estate) -> None:
    fleet.create("packed", 4, placementStrategy=[{"type": "binpack", "field": "memory"}])
    fleet.create("spread", 6, placementStrategy=[{"type": "spread", "field": "attribute:ecs.availability-zone"}])
    fleet.sandbox.advance(120)

    assert len({task["containerInstanceArn"] for task in fleet.tasks("packed")}) == 1
    assert sorted(Counter(t["availabilityZone"] for t in fleet.tasks("spread")).values()) == [2, 2, 2]


def test_a_daemon_runs_once_on_every_instance_that_comes_and_goes(fleet: Estate) -> None:
    fleet.create("agent", definition=fleet.definition(family="agent"), schedulingStrategy="DAEMON")
    fleet.sandbox.advance(120)
    assert fleet.service("agent")["desiredCount"] == 6
    assert len({task["containerInstanceArn"] for task in fleet.tasks("agent")}) == 6

    fleet.groups.set_desired_capacity(AutoScalingGroupName=GROUP, DesiredCapacity=8)
    fleet.sandbox.advance(200)
    assert fleet.counts("agent") == (8, 0)

    fleet.groups.set_desired_capacity(AutoScalingGroupName=GROUP, DesiredCapacity=2)
    fleet.sandbox.advance(200)
    assert fleet.counts("agent") == (2, 0)
    assert len(fleet.instances()) == 2


def test_draining_an_instance_by_hand_moves_its_tasks(fleet: Estate) -> None:
    fleet.create(count=6)
    fleet.sandbox.advance(120)
    busy = next(i for i in fleet.instances() if i["runningTasksCount"])

    fleet.ecs.update_container_instances_state(
        cluster=CLUSTER, containerInstances=[busy["containerInstanceArn"]], status="DRAINING"
    )
    fleet.sandbox.advance(200)

    assert fleet.counts() == (6, 0)
    assert all(task["containerInstanceArn"] != busy["containerInstanceArn"] for task in fleet.tasks())


def test_run_task_places_tells_what_did_not_fit_and_stops(fleet: Estate) -> None:
    answer = fleet.ecs.run_task(cluster=CLUSTER, taskDefinition=fleet.definition(), count=2, launchType="EC2")
    assert (len(answer["tasks"]), answer["failures"]) == (2, [])
    too_big = fleet.ecs.run_task(
        cluster=CLUSTER, taskDefinition=fleet.definition(family="big", cpu=4096), launchType="EC2"
    )
    assert (too_big["tasks"], too_big["failures"][0]["reason"]) == ([], "RESOURCE:CPU")

    fleet.sandbox.advance(30)
    arn = answer["tasks"][0]["taskArn"]
    fleet.ecs.stop_task(cluster=CLUSTER, task=arn, reason="done")
    fleet.sandbox.advance(30)
    task = fleet.ecs.describe_tasks(cluster=CLUSTER, tasks=[arn])["tasks"][0]
    assert (task["lastStatus"], task["stoppedReason"]) == ("STOPPED", "done")


def test_a_fargate_service_needs_no_instances(estate: Estate) -> None:
    made = estate.ecs.register_task_definition(
        family="f", requiresCompatibilities=["FARGATE"], networkMode="awsvpc", cpu="256", memory="512",
        containerDefinitions=[{"name": "app", "image": "i"}],
    )  # fmt: skip
    estate.create(
        "f", 3, made["taskDefinition"]["taskDefinitionArn"], launchType="FARGATE",
        networkConfiguration={"awsvpcConfiguration": {"subnets": ["subnet-1"]}},
    )  # fmt: skip
    estate.sandbox.advance(120)

    assert estate.counts("f") == (3, 0)
