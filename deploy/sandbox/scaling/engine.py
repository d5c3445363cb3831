"""The imitated Application Auto Scaling of one Region: ECS services as scalable targets."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from deploy.sandbox.ecs.paging import page
from deploy.sandbox.ecs.requests import without
from deploy.sandbox.scaling import alarms, schedule
from deploy.sandbox.scaling.state import DIMENSION, Document, Policy, ScalingError, ScheduledAction, Target
from deploy.sandbox.scaling.tracking import Tracking
from planner.model import FAST_S

if TYPE_CHECKING:
    from deploy.sandbox.ecs.state import Cluster, Service
    from deploy.sandbox.world import World

POLICY_KINDS: Final = {
    "TargetTrackingScaling": "TargetTrackingScalingPolicyConfiguration",
    "StepScaling": "StepScalingPolicyConfiguration",
    "PredictiveScaling": "PredictiveScalingPolicyConfiguration",
}
NOT_SUSPENDED: Final = {
    "DynamicScalingInSuspended": False,
    "DynamicScalingOutSuspended": False,
    "ScheduledScalingSuspended": False,
}


class Scaling:
    """Methods named like the API's operations (snake case) take a request and return its answer."""

    def __init__(self, world: World, region: str, account_id: str) -> None:
        self.world, self.region, self.account_id = world, region, account_id
        self.targets: dict[str, Target] = {}
        self.tracking = Tracking(self)

    @property
    def now(self) -> datetime:
        return self.world.clock.now

    def uuid(self) -> str:
        from moto.moto_api._internal import mock_random

        return str(mock_random.uuid4())

    # the ECS side

    def service(self, target: Target) -> tuple[Cluster, Service] | None:
        """The target's cluster and service, while they are there."""
        cluster = self.world.ecs_of(self.region).by_name.get(target.cluster)
        service = cluster.services.get(target.service) if cluster else None
        if cluster is None or service is None or service.status != "ACTIVE":
            return None
        return cluster, service

    def set_capacity(self, target: Target, wanted: int, cause: str) -> bool:
        """Set the desired count within the target's limits and note the activity; False if it is that."""
        found = self.service(target)
        capacity = max(target.minimum, min(target.maximum, wanted))
        if found is None or found[1].desired == capacity:
            return False
        self.world.ecs_of(self.region).services.scale(*found, capacity)
        target.activities.insert(
            0,
            {
                "ActivityId": self.uuid(),
                "ServiceNamespace": "ecs",
                "ResourceId": target.resource_id,
                "ScalableDimension": DIMENSION,
                "Description": f"Setting desired count to {capacity}.",
                "Cause": cause,
                "StartTime": self.now,
                "EndTime": self.now,
                "StatusCode": "Successful",
                "StatusMessage": f"Successfully set desired count to {capacity}. Change successfully "
                "fulfilled by ecs.",
            },
        )
        return True

    # targets

    def register_scalable_target(self, given: Document) -> Document:
        check_namespace(given)
        resource_id = given["ResourceId"]
        if resource_id.count("/") != 2 or not resource_id.startswith("service/"):
            raise ScalingError(
                "ValidationException", "The ResourceId of an ECS service has the form service/cluster/service."
            )
        known = self.targets.get(resource_id)
        least = given.get("MinCapacity", known.minimum if known else None)
        most = given.get("MaxCapacity", known.maximum if known else None)
        if least is None or most is None:
            raise ScalingError(
                "ValidationException", "MinCapacity and MaxCapacity must be specified for a new scalable target."
            )
        if least > most:
            raise ScalingError("ValidationException", "Maximum capacity cannot be less than minimum capacity")
        target = known or self._new_target(resource_id, given)
        target.minimum, target.maximum = int(least), int(most)
        target.suspended = {**target.suspended, **(given.get("SuspendedState") or {})}
        if given.get("Tags"):
            target.tags.update(given["Tags"])
        self.keep_limits(target, f"minimum capacity was set to {least} and maximum capacity was set to {most}")
        return {"ScalableTargetARN": target.arn}

    def _new_target(self, resource_id: str, given: Document) -> Target:
        arn = f"arn:aws:application-autoscaling:{self.region}:{self.account_id}:scalable-target/{self.uuid()}"
        role = given.get("RoleARN") or (
            f"arn:aws:iam::{self.account_id}:role/aws-service-role/ecs.application-autoscaling.amazonaws.com/"
            "AWSServiceRoleForApplicationAutoScaling_ECSService"
        )
        target = Target(resource_id, arn, 0, 0, role, self.now, dict(NOT_SUSPENDED))
        if self.service(target) is None:
            raise ScalingError("ValidationException", f"ECS service doesn't exist: {resource_id}")
        self.targets[resource_id] = target
        self.world.every_minute("scaling " + self.region, self.tracking.minute)
        self.world.every(FAST_S, "scaling " + self.region, self.tracking.between_minutes)
        return target

    def keep_limits(self, target: Target, cause: str) -> None:
        """Bring the desired count within the target's limits."""
        found = self.service(target)
        if found is not None:
            self.set_capacity(target, found[1].desired, cause)

    def find(self, given: Document) -> Target:
        check_namespace(given)
        target = self.targets.get(given["ResourceId"])
        if target is None:
            raise ScalingError(
                "ObjectNotFoundException",
                f"No scalable target found for service namespace: ecs, resource ID: {given['ResourceId']}, "
                f"scalable dimension: {DIMENSION}",
            )
        return target

    def describe_scalable_targets(self, given: Document) -> Document:
        check_namespace(given)
        wanted = given.get("ResourceIds")
        found = [
            {
                "ServiceNamespace": "ecs",
                "ResourceId": target.resource_id,
                "ScalableDimension": DIMENSION,
                "MinCapacity": target.minimum,
                "MaxCapacity": target.maximum,
                "RoleARN": target.role_arn,
                "CreationTime": target.created_at,
                "SuspendedState": target.suspended,
                "ScalableTargetARN": target.arn,
            }
            for _, target in sorted(self.targets.items())
            if not wanted or target.resource_id in wanted
        ]
        return paged(given, "ScalableTargets", found)

    def deregister_scalable_target(self, given: Document) -> Document:
        target = self.find(given)
        for name in list(target.policies):
            self._drop_policy(target, name)
        for name in list(target.actions):
            self._drop_action(target, name)
        del self.targets[target.resource_id]
        return {}

    # policies

    def put_scaling_policy(self, given: Document) -> Document:
        target, name = self.find(given), given["PolicyName"]
        known = target.policies.get(name)
        kind = given.get("PolicyType") or (known.kind if known else "StepScaling")
        if kind not in POLICY_KINDS:
            raise ScalingError("ValidationException", f"{kind} is not a policy type.")
        configuration = given.get(POLICY_KINDS[kind])
        if not configuration:
            raise ScalingError("ValidationException", f"{POLICY_KINDS[kind]} is required for {kind}.")
        if known is not None and known.kind != kind:
            raise ScalingError("ValidationException", "The type of a scaling policy cannot be changed.")
        arn = (
            known.arn
            if known
            else (
                f"arn:aws:autoscaling:{self.region}:{self.account_id}:scalingPolicy:{self.uuid()}:resource/ecs/"
                f"{target.resource_id}:policyName/{name}"
            )
        )
        policy = Policy(name, arn, kind, configuration, known.created_at if known else self.now)
        if kind == "TargetTrackingScaling":
            alarms.metric_of(target, configuration)
            if known is not None:
                alarms.delete(self, known.alarms)
            policy.alarms = alarms.create(self, target, arn, configuration)
        target.policies[name] = policy
        return {"PolicyARN": arn, "Alarms": policy.alarms}

    def describe_scaling_policies(self, given: Document) -> Document:
        check_namespace(given)
        names = given.get("PolicyNames")
        found = [
            {
                "PolicyARN": policy.arn,
                "PolicyName": policy.name,
                "ServiceNamespace": "ecs",
                "ResourceId": target.resource_id,
                "ScalableDimension": DIMENSION,
                "PolicyType": policy.kind,
                POLICY_KINDS[policy.kind]: policy.configuration,
                "Alarms": policy.alarms,
                "CreationTime": policy.created_at,
            }
            for _, target in sorted(self.targets.items())
            for _, policy in sorted(target.policies.items())
            if given.get("ResourceId") in (None, target.resource_id) and (not names or policy.name in names)
        ]
        return paged(given, "ScalingPolicies", found)

    def delete_scaling_policy(self, given: Document) -> Document:
        target = self.find(given)
        if given["PolicyName"] not in target.policies:
            raise ScalingError(
                "ObjectNotFoundException", f"No scaling policy found with name {given['PolicyName']}."
            )
        self._drop_policy(target, given["PolicyName"])
        return {}

    def _drop_policy(self, target: Target, name: str) -> None:
        alarms.delete(self, target.policies.pop(name).alarms)

    # scheduled actions

    def put_scheduled_action(self, given: Document) -> Document:
        target, name = self.find(given), given["ScheduledActionName"]
        known = target.actions.get(name)
        fields = {**(known.fields if known else {}), **without(given, "ServiceNamespace", "ResourceId")}
        if not fields.get("Schedule"):
            raise ScalingError("ValidationException", "A schedule is required.")
        limits = fields.get("ScalableTargetAction") or {}
        if limits.get("MinCapacity") is None and limits.get("MaxCapacity") is None:
            raise ScalingError("ValidationException", "ScalableTargetAction needs MinCapacity or MaxCapacity.")
        if (limits.get("MinCapacity") or 0) > (limits.get("MaxCapacity") or float("inf")):
            raise ScalingError("ValidationException", "Maximum capacity cannot be less than minimum capacity")
        try:
            schedule.check(fields["Schedule"], fields.get("Timezone") or "UTC")
        except schedule.ScheduleError as error:
            raise ScalingError("ValidationException", f"{error}.") from error
        if known is not None and known.next_run is not None:
            known.next_run.cancel()
        arn = (
            known.arn
            if known
            else (
                f"arn:aws:autoscaling:{self.region}:{self.account_id}:scheduledAction:{self.uuid()}:resource/ecs/"
                f"{target.resource_id}:scheduledActionName/{name}"
            )
        )
        action = ScheduledAction(name, arn, fields, known.created_at if known else self.now)
        target.actions[name] = action
        self._plan(target, action)
        return {}

    def _plan(self, target: Target, action: ScheduledAction) -> None:
        start, end = action.fields.get("StartTime"), action.fields.get("EndTime")
        begin = max(self.now, _aware(start)) if start is not None else self.now
        anchor = _aware(start) if start is not None else action.created_at
        zone = action.fields.get("Timezone") or "UTC"
        run = schedule.following(action.fields["Schedule"], zone, begin, anchor)
        if run is None or (end is not None and run > _aware(end)):
            action.next_run = None
            return
        action.next_run = self.world.clock.call_at(run.timestamp(), lambda: self._run(target, action))

    def _run(self, target: Target, action: ScheduledAction) -> None:
        if target.actions.get(action.name) is not action:
            return
        limits = action.fields["ScalableTargetAction"]
        if not target.suspended.get("ScheduledScalingSuspended"):
            told = []
            if limits.get("MinCapacity") is not None:
                target.minimum = int(limits["MinCapacity"])
                target.maximum = max(target.maximum, target.minimum)
                told.append(f"minimum capacity was set to {target.minimum}")
            if limits.get("MaxCapacity") is not None:
                target.maximum = int(limits["MaxCapacity"])
                target.minimum = min(target.minimum, target.maximum)
                told.append(f"maximum capacity was set to {target.maximum}")
            self.keep_limits(target, " and ".join(told))
        if action.fields["Schedule"].startswith("at("):
            target.actions.pop(action.name, None)
        else:
            self._plan(target, action)

    def describe_scheduled_actions(self, given: Document) -> Document:
        check_namespace(given)
        names = given.get("ScheduledActionNames")
        found = [
            {
                **without(action.fields, "Tags"),
                "ScheduledActionName": action.name,
                "ScheduledActionARN": action.arn,
                "ServiceNamespace": "ecs",
                "ResourceId": target.resource_id,
                "ScalableDimension": DIMENSION,
                "CreationTime": action.created_at,
            }
            for _, target in sorted(self.targets.items())
            for _, action in sorted(target.actions.items())
            if given.get("ResourceId") in (None, target.resource_id) and (not names or action.name in names)
        ]
        return paged(given, "ScheduledActions", found)

    def delete_scheduled_action(self, given: Document) -> Document:
        target = self.find(given)
        if given["ScheduledActionName"] not in target.actions:
            raise ScalingError(
                "ObjectNotFoundException", f"No scheduled action found with name {given['ScheduledActionName']}."
            )
        self._drop_action(target, given["ScheduledActionName"])
        return {}

    def _drop_action(self, target: Target, name: str) -> None:
        action = target.actions.pop(name)
        if action.next_run is not None:
            action.next_run.cancel()

    # the rest of the API

    def describe_scaling_activities(self, given: Document) -> Document:
        check_namespace(given)
        found = [
            activity
            for _, target in sorted(self.targets.items())
            for activity in target.activities
            if given.get("ResourceId") in (None, target.resource_id)
        ]
        found.sort(key=lambda activity: activity["StartTime"], reverse=True)
        return paged(given, "ScalingActivities", found)

    def list_tags_for_resource(self, given: Document) -> Document:
        return {"Tags": self._tagged(given["ResourceARN"]).tags}

    def tag_resource(self, given: Document) -> Document:
        self._tagged(given["ResourceARN"]).tags.update(given["Tags"])
        return {}

    def untag_resource(self, given: Document) -> Document:
        for key in given["TagKeys"]:
            self._tagged(given["ResourceARN"]).tags.pop(key, None)
        return {}

    def _tagged(self, arn: str) -> Target:
        for target in self.targets.values():
            if target.arn == arn:
                return target
        raise ScalingError("ResourceNotFoundException", f"The resource {arn} was not found.")


def check_namespace(given: Document) -> None:
    if given.get("ServiceNamespace", "ecs") != "ecs":
        raise ScalingError(
            "ValidationException",
            f"The service namespace {given['ServiceNamespace']} is not supported yet by the sandbox: it scales "
            "ECS services.",
        )
    if given.get("ScalableDimension") not in (None, DIMENSION):
        raise ScalingError(
            "ValidationException", f"Unsupported scalable dimension {given['ScalableDimension']} for ecs."
        )


def paged(given: Document, name: str, found: list[Any]) -> Document:
    """A page as Application Auto Scaling gives it (MaxResults up to 50, NextToken)."""
    answer = page({"maxResults": given.get("MaxResults"), "nextToken": given.get("NextToken")}, name, found, 50)
    if "nextToken" in answer:
        answer["NextToken"] = answer.pop("nextToken")
    return answer


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
