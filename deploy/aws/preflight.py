"""Questions to the account before an approval: images, secrets, roles, networks, quotas, and whether it fits."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any
from urllib.parse import unquote

from deploy.aws.cloud import AwsCloud
from deploy.aws.fitting import fit_checks
from deploy.aws.images import image_check
from deploy.aws.permissions import deployer_check, execution_role_check
from deploy.aws.quotas import quota_checks
from deploy.fargate import size_problem
from deploy.fit import SERVERLESS
from deploy.model import Check, Image
from deploy.normalise import task_cpu_units, task_memory_mib
from deploy.ports import CallFailed
from deploy.taskdef import derived
from planner.documents import ConfigDocument, Resource
from planner.documents.config import ResourceType
from planner.model import Rejection

TASKS_PRINCIPAL = "ecs-tasks.amazonaws.com"


class AwsPreflight:
    """Implements deploy.ports.Preflight. What may not be read is a SKIP that says so, never an OK."""

    def __init__(self, cloud: AwsCloud) -> None:
        self.cloud = cloud
        self.calls = cloud.calls

    def checks(self, config: ConfigDocument, wanted: Mapping[str, Image | None]) -> Sequence[Check]:
        found: list[Check] = []
        for resource in config.resources:
            if resource.type is ResourceType.TASK_DEFINITION:
                found += self._definition(resource)
            if resource.type is ResourceType.SERVICE:
                found += self._service(resource)
                found += self._fargate(resource, wanted)
        found += quota_checks(config, self.cloud, self.asked)
        name = "the caller may make the writes of an apply"
        found.append(self.asked(name, lambda: deployer_check(self.calls, name)))
        found += fit_checks(config, wanted, self.cloud)
        return found

    def asked(self, name: str, question: Callable[[], Check]) -> Check:
        """The answer, or a SKIP with AWS's words where the question may not be asked."""
        try:
            return question()
        except CallFailed as error:
            return Check.skip(name, f"cannot be read here: {error}")

    # One task definition

    def _definition(self, resource: Resource) -> Iterator[Check]:
        try:
            base = self.cloud.ecs.definition(str(resource.base_arn))
        except CallFailed as error:
            yield Check.ng(f"{resource.id} base", f"{resource.base_arn} cannot be read: {error}")
            return
        definition = derived({k: v for k, v in base.items() if k != "tags"}, resource.request)
        if isinstance(definition, Rejection):
            yield Check.ng(f"{resource.id} sizes", definition.reason)
            return
        architecture = (definition.get("runtimePlatform") or {}).get("cpuArchitecture", "X86_64")
        for container in definition["containerDefinitions"]:
            name = f"{resource.id} image of {container['name']}"
            yield self.asked(name, partial(image_check, self.calls, name, container, architecture))
            yield from self._secrets(resource.id, container)
            log = self._log_group(resource.id, container)
            if log is not None:
                yield log
        for role in ("executionRoleArn", "taskRoleArn"):
            if definition.get(role):
                name = f"{resource.id} {role} is assumable by tasks"
                yield self.asked(name, partial(self._role, name, definition[role]))
        execution = definition.get("executionRoleArn")
        if execution:
            name = f"{resource.id} execution role may read what tasks start with"
            account = self.cloud.scope().account_id
            ask = partial(execution_role_check, self.calls, name, execution, definition, account)
            yield self.asked(name, ask)

    def _secrets(self, owner: str, container: Mapping[str, Any]) -> Iterator[Check]:
        options = container.get("logConfiguration") or {}
        named = [*container.get("secrets", []), *options.get("secretOptions", [])]
        credentials = (container.get("repositoryCredentials") or {}).get("credentialsParameter")
        arns = [item["valueFrom"] for item in named] + ([credentials] if credentials else [])
        for arn in dict.fromkeys(arns):
            name = f"{owner} secret {arn.rsplit(':', 1)[-1].rsplit('/', 1)[-1]} exists"
            yield self.asked(name, partial(self._secret, name, arn))

    def _secret(self, name: str, arn: str) -> Check:
        if ":secretsmanager:" in arn:
            secret_id = ":".join(arn.split(":")[:7])  # JSON key, version stage and id may follow
            try:
                found = self.calls("secretsmanager", "DescribeSecret", SecretId=secret_id)
            except CallFailed as error:
                if error.code == "ResourceNotFoundException":
                    return Check.ng(name, "there is no such secret")
                raise
            return self._key(name, found.get("KmsKeyId"), "secret")
        parameter = arn.split(":parameter", 1)[-1] if ":parameter" in arn else arn
        answer = self.calls("ssm", "GetParameters", Names=[parameter], WithDecryption=False)
        if answer.get("InvalidParameters"):
            return Check.ng(name, "there is no such parameter")
        return Check.ok(name, "the parameter is there; its value was not read")

    def _key(self, name: str, key: str | None, what: str) -> Check:
        if not key:
            return Check.ok(name, f"the {what} is there, under the account's default key")
        state = self.calls("kms", "DescribeKey", KeyId=key)["KeyMetadata"]["KeyState"]
        if state != "Enabled":
            return Check.ng(name, f"its KMS key {key} is {state}")
        return Check.ok(name, f"the {what} is there and its KMS key is enabled; its value was not read")

    def _role(self, name: str, arn: str) -> Check:
        try:
            role = self.calls("iam", "GetRole", RoleName=arn.rsplit("/", 1)[-1])["Role"]
        except CallFailed as error:
            if error.code == "NoSuchEntity":
                return Check.ng(name, f"there is no role {arn}")
            raise
        document = role["AssumeRolePolicyDocument"]
        policy = json.loads(unquote(document)) if isinstance(document, str) else document
        if not any(_trusts_tasks(statement) for statement in policy.get("Statement", [])):
            return Check.ng(name, f"{arn} does not trust {TASKS_PRINCIPAL}")
        return Check.ok(name, arn)

    def _log_group(self, owner: str, container: Mapping[str, Any]) -> Check | None:
        log = container.get("logConfiguration") or {}
        options = log.get("options") or {}
        if log.get("logDriver") != "awslogs" or options.get("awslogs-create-group") == "true":
            return None
        group = options.get("awslogs-group", "")
        name = f"{owner} log group {group} exists"
        return self.asked(name, lambda: self._group(name, group))

    def _group(self, name: str, group: str) -> Check:
        answer = self.calls("logs", "DescribeLogGroups", logGroupNamePrefix=group)
        if group not in {found["logGroupName"] for found in answer["logGroups"]}:
            return Check.ng(name, "there is no such log group, so its tasks would not start")
        return Check.ok(name, "it is there")

    # One service

    def _service(self, resource: Resource) -> Iterator[Check]:
        live = self.cloud.ecs.describe_service(resource.name)
        if live is None:
            return
        controller = (live.get("deploymentController") or {}).get("type", "ECS")
        if controller != "ECS":
            yield Check.ng(
                f"{resource.id} is deployed by ECS", f"deployment controller {controller} is not supported yet"
            )
        definition = self.cloud.ecs.definition(live["taskDefinition"])
        for balancer in live.get("loadBalancers", []):
            if balancer.get("targetGroupArn"):
                name = f"{resource.id} target group matches {balancer.get('containerName')}"
                yield self.asked(name, partial(self._target_group, name, balancer, definition))
        network = (live.get("networkConfiguration") or {}).get("awsvpcConfiguration")
        if network:
            name = f"{resource.id} subnets have addresses"
            most = upper_bound(resource, live)
            yield self.asked(name, lambda: self._subnets(name, network["subnets"], most - live["runningCount"]))

    def _fargate(self, resource: Resource, wanted: Mapping[str, Image | None]) -> Iterator[Check]:
        providers = {i["capacityProvider"] for i in resource.request.get("capacityProviderStrategy", [])}
        image = wanted.get(f"{ResourceType.TASK_DEFINITION}/{resource.name}")
        if not providers & SERVERLESS or image is None:
            return
        name = f"{resource.id} size is one of Fargate's"
        if image.get("cpu") is None or image.get("memory") is None:
            yield Check.ng(name, "Fargate needs sizes on the task")
            return
        problem = size_problem(task_cpu_units(image["cpu"]), task_memory_mib(image["memory"]))
        yield (
            Check.ng(name, problem) if problem else Check.ok(name, f"{image['cpu']} units, {image['memory']} MiB")
        )

    def _target_group(self, name: str, balancer: Mapping[str, Any], definition: Mapping[str, Any]) -> Check:
        answer = self.calls("elbv2", "DescribeTargetGroups", TargetGroupArns=[balancer["targetGroupArn"]])
        kind = answer["TargetGroups"][0]["TargetType"]
        wanted = "ip" if definition.get("networkMode") == "awsvpc" else "instance"
        if kind != wanted:
            return Check.ng(name, f"target type {kind}, but network mode needs {wanted}")
        for container in definition["containerDefinitions"]:
            ports = [p["containerPort"] for p in container.get("portMappings", [])]
            if container["name"] == balancer.get("containerName"):
                if balancer.get("containerPort") in ports:
                    return Check.ok(name, f"port {balancer['containerPort']}, target type {kind}")
                return Check.ng(name, f"the container has no port {balancer.get('containerPort')}")
        return Check.ng(name, "the task definition has no such container")

    def _subnets(self, name: str, subnets: Sequence[str], tasks: int) -> Check:
        answer = self.calls("ec2", "DescribeSubnets", SubnetIds=list(subnets))
        free = sum(subnet["AvailableIpAddressCount"] for subnet in answer["Subnets"])
        text = f"{free} free addresses for up to {max(0, tasks)} tasks more while it rolls out"
        return Check.ok(name, text) if free >= tasks else Check.ng(name, text)


def upper_bound(resource: Resource, live: Mapping[str, Any]) -> int:
    """Tasks at once while the service rolls out: floor(desired x maximumPercent) (ECS developer guide)."""
    planned = resource.request.get("deploymentConfiguration", {})
    percent = (
        planned.get("maximumPercent") or (live.get("deploymentConfiguration") or {}).get("maximumPercent") or 200
    )
    return int(live["desiredCount"]) * int(percent) // 100


def _trusts_tasks(statement: Mapping[str, Any]) -> bool:
    principals = (statement.get("Principal") or {}).get("Service", [])
    listed = [principals] if isinstance(principals, str) else principals
    return statement.get("Effect") == "Allow" and TASKS_PRINCIPAL in listed
