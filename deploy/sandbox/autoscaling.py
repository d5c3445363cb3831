"""Auto Scaling groups over moto's: zones kept in balance, the types of a mixed-instances policy, draining.

moto launches every instance of a group in one zone with the template's type and terminates at once. Here
instances spread over the group's zones, take the type of the policy's overrides, and leave an ECS cluster
only when they are empty (managed draining), as on AWS.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

from moto.autoscaling.models import ASG_NAME_TAG, FakeAutoScalingGroup, InstanceState
from moto.autoscaling.responses import AutoScalingResponse
from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult

from deploy.sandbox.ecs.instances import Instances
from deploy.sandbox.world import current

WAITING = "Terminating:Wait"


class LaunchedInstance(InstanceState):
    """An instance of a group, which remembers the template it was launched from."""

    def __init__(self, instance: Any, protected_from_scale_in: bool | None) -> None:
        super().__init__(instance, protected_from_scale_in=protected_from_scale_in)
        self._launched_from = super().launch_template

    @property
    def launch_template(self) -> dict[str, Any] | None:
        return self._launched_from


class AutoScalingError(ServiceException):
    """An error as Auto Scaling answers it: (code, message)."""


class SandboxGroup(FakeAutoScalingGroup):
    """Replaces `moto.autoscaling.models.FakeAutoScalingGroup` (see deploy.sandbox.patches)."""

    at_once = False
    """Set while the group is being deleted: instances are terminated without draining."""

    @property
    def instances_of_ecs(self) -> Instances | None:
        """The ECS side of this Region, once ECS was used there."""
        ecs = current().ecs.get(self.region)
        return ecs.instances if ecs is not None else None

    @property
    def overrides(self) -> list[dict[str, Any]]:
        template = (self.mixed_instances_policy or {}).get("LaunchTemplate") or {}
        return list(template.get("Overrides") or [])

    @property
    def launch_type(self) -> str:
        """The type the next instance has: the first override (AWS's "prioritized"), else the template's."""
        named = [override["InstanceType"] for override in self.overrides if override.get("InstanceType")]
        return str(named[0] if named else self.instance_type)

    @property
    def weight(self) -> int:
        """Capacity units one instance counts for (WeightedCapacity of the first override)."""
        weights = [int(override.get("WeightedCapacity") or 1) for override in self.overrides]
        return max(1, weights[0]) if weights else 1

    def update(self, **given: Any) -> None:  # type: ignore[override]
        """As moto, but a mixed-instances policy is kept where no other way to launch is named."""
        if not (given.get("launch_template") or given.get("launch_config_name")):
            given["mixed_instances_policy"] = given.get("mixed_instances_policy") or self.mixed_instances_policy
        super().update(**given)

    def set_desired_capacity(self, new_capacity: int | None) -> None:
        self.desired_capacity = self.min_size if new_capacity is None else new_capacity
        wanted = math.ceil((self.desired_capacity or 0) / self.weight)
        missing = wanted - len(self.active_instances())
        if missing > 0:
            self.replace_autoscaling_group_instances(missing, self.get_propagated_tags())
        for _ in range(-missing):
            state = self._next_to_leave()
            if state is not None:
                self._retire(state)
        if self.name in self.autoscaling_backend.autoscaling_groups:
            self.autoscaling_backend.update_attached_elbs(self.name)
            self.autoscaling_backend.update_attached_target_groups(self.name)

    def replace_autoscaling_group_instances(self, count_needed: int, propagated_tags: dict[str, str]) -> None:
        """Launch instances one by one, each in the zone of the group that has the fewest."""
        tags = {**propagated_tags, ASG_NAME_TAG: self.name, **self.instance_tags}
        subnets = self._subnets()
        for _ in range(count_needed):
            zone = self._emptiest_zone()
            reservation = self.ec2_backend.run_instances(
                self.image_id,
                1,
                self.user_data,
                self.security_groups,
                instance_type=self.launch_type,
                tags={"instance": tags},
                placement=zone,
                launch_config=self.launch_config,
                is_instance_type_default=False,
                associate_public_ip=None,
                subnet_id=subnets.get(zone),
            )
            for instance in reservation.instances:
                instance.autoscaling_group = self  # type: ignore[attr-defined]
                protected = self.new_instances_protected_from_scale_in
                self.instance_states.append(LaunchedInstance(instance, protected))

    def _subnets(self) -> dict[str, str]:
        """The group's subnet of each zone."""
        if not self.vpc_zone_identifier:
            return {}
        found = self.ec2_backend.describe_subnets(subnet_ids=self.vpc_zone_identifier.split(","))
        return {subnet.availability_zone: subnet.id for subnet in found}

    def _emptiest_zone(self) -> str:
        counts = Counter(state.instance.placement.zone for state in self.active_instances())
        zones = sorted(set(self.availability_zones))
        return min(zones, key=lambda zone: (counts[zone], zone))

    def _next_to_leave(self) -> InstanceState | None:
        """The unprotected instance AWS's default policy would take: of the fullest zone, the oldest."""
        candidates = [s for s in self.active_instances() if not s.protected_from_scale_in]
        if not candidates:
            return None
        counts = Counter(state.instance.placement.zone for state in self.active_instances())
        return min(candidates, key=lambda s: -counts[s.instance.placement.zone])

    def retire(self, ec2_id: str) -> None:
        """Take one named instance out and lower the desired capacity with it."""
        for state in self.active_instances():
            if state.instance.id == ec2_id:
                self.desired_capacity = max(0, (self.desired_capacity or 0) - self.weight)
                self._retire(state)

    def _retire(self, state: InstanceState) -> None:
        """Terminate an instance; one in an ECS cluster with managed draining is drained first."""
        state.lifecycle_state = WAITING
        ecs = self.instances_of_ecs
        provider = ecs.provider_of(self.name) if ecs is not None else None
        drains = provider is not None and provider.settings.get("managedDraining") != "DISABLED"
        if self.at_once or ecs is None or not drains or not ecs.drain_ec2(state.instance.id):
            self.finish_termination(state.instance.id)

    def finish_termination(self, ec2_id: str) -> None:
        """Terminate an instance that was waiting to be drained."""
        gone = [s for s in self.instance_states if s.instance.id == ec2_id and s.lifecycle_state == WAITING]
        if not gone:
            return
        self.instance_states = [s for s in self.instance_states if s not in gone]
        self.ec2_backend.terminate_instances([ec2_id])
        if self.instances_of_ecs is not None:
            self.instances_of_ecs.look_at_groups()


class SandboxAutoScaling(AutoScalingResponse):
    """moto's API with the checks of capacity that AWS makes."""

    def _group(self, name: str) -> SandboxGroup:
        group = self.autoscaling_backend.autoscaling_groups.get(name)
        if group is None:
            raise AutoScalingError("ValidationError", "AutoScalingGroup name not found - null")
        assert isinstance(group, SandboxGroup)
        return group

    def set_desired_capacity(self) -> Any:
        group = self._group(self._get_param("AutoScalingGroupName"))
        wanted = int(self._get_param("DesiredCapacity"))
        for limit, size, wrong in (
            ("above max value", group.max_size, wanted > int(group.max_size or 0)),
            ("below min value", group.min_size, wanted < int(group.min_size or 0)),
        ):
            if wrong:
                raise AutoScalingError(
                    "ValidationError",
                    f"New SetDesiredCapacity value {wanted} is {limit} {size} for the AutoScalingGroup.",
                )
        return super().set_desired_capacity()

    def create_auto_scaling_group(self) -> Any:
        name = self._get_param("AutoScalingGroupName")
        if name in self.autoscaling_backend.autoscaling_groups:
            raise AutoScalingError(
                "AlreadyExists",
                f"AutoScalingGroup by this name already exists - A group with the name {name} already exists",
            )
        self._check_sizes(self._get_param("MinSize"), self._get_param("MaxSize"))
        return super().create_auto_scaling_group()

    def update_auto_scaling_group(self) -> Any:
        group = self._group(self._get_param("AutoScalingGroupName"))
        least, most = self._get_param("MinSize"), self._get_param("MaxSize")
        self._check_sizes(group.min_size if least is None else least, group.max_size if most is None else most)
        return super().update_auto_scaling_group()

    def terminate_instance_in_auto_scaling_group(self) -> Any:
        name = self._get_param("InstanceId")
        shrink = self._get_bool_param("ShouldDecrementDesiredCapacity", False)
        group = next((g for g in self._groups() if name in {s.instance.id for s in g.active_instances()}), None)
        if group is None:
            raise AutoScalingError("ValidationError", f"Instance Id not found - No managed instance found: {name}")
        size = group.desired_capacity or 0
        if shrink and size - group.weight < int(group.min_size or 0):
            raise AutoScalingError(
                "ValidationError",
                f"Currently, desiredSize equals minSize ({group.min_size}). Terminating instance without "
                "replacement will violate group's min size constraint. Either set shouldDecrement flag to false "
                "or lower group's min size.",
            )
        group.retire(name)
        if not shrink:
            group.set_desired_capacity(size)
        activity = {
            "ActivityId": name,
            "AutoScalingGroupName": group.name,
            "Cause": "At a user's request.",
            "StartTime": current().clock.now,
            "StatusCode": "InProgress",
        }
        return ActionResult({"Activity": activity})

    def _groups(self) -> list[SandboxGroup]:
        return [self._group(name) for name in self.autoscaling_backend.autoscaling_groups]

    def _check_sizes(self, least: Any, most: Any) -> None:
        if int(least) > int(most):
            raise AutoScalingError("ValidationError", "Max bound, must be greater than or equal to min bound")

    def delete_auto_scaling_group(self) -> Any:
        group = self._group(self._get_param("AutoScalingGroupName"))
        forced = str(self._get_param("ForceDelete", "false")).lower() == "true"
        if group.instance_states and not forced:
            raise AutoScalingError(
                "ResourceInUse",
                "You cannot delete an AutoScalingGroup while there are instances or pending Spot instance "
                "request(s) still in the group.",
            )
        group.at_once = True
        for state in group.instance_states:
            state.protected_from_scale_in = False
        return super().delete_auto_scaling_group()
