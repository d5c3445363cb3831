"""Minimal IAM policies: one that only reads, for planning, and one for deploying.

The calls were recorded while the tests ran the verbs (tests/deploy/test_iam.py fails on a call that is not
here, and on a listed one that nothing makes). What AWS asks for beyond the call itself is listed with its reason.
`python -m deploy.iam` writes the two documents under docs/iam.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

PREFIX = {"elbv2": "elasticloadbalancing"}
"""boto3's client name to the prefix of IAM actions, where they differ."""

PLANNING_CALLS: tuple[str, ...] = (
    "application-autoscaling:DescribeScalableTargets",
    "application-autoscaling:DescribeScalingPolicies",
    "application-autoscaling:DescribeScheduledActions",
    "autoscaling:DescribeAutoScalingGroups",
    "cloudwatch:GetMetricData",
    "cloudwatch:GetMetricStatistics",
    "cloudwatch:ListMetrics",
    "ec2:DescribeInstanceTypes",
    "ec2:DescribeLaunchTemplateVersions",
    "ecs:DescribeCapacityProviders",
    "ecs:DescribeClusters",
    "ecs:DescribeContainerInstances",
    "ecs:DescribeServiceRevisions",
    "ecs:DescribeServices",
    "ecs:DescribeTaskDefinition",
    "ecs:ListContainerInstances",
    "ecs:ListServiceDeployments",
    "ecs:ListServices",
    "elbv2:DescribeListeners",
    "elbv2:DescribeLoadBalancers",
    "elbv2:DescribeRules",
    "elbv2:DescribeTargetGroups",
)
PLANNING_WHEN_USED: dict[str, str] = {
    "ce:GetCostAndUsage": "comparing with the bill",
    "ec2:DescribeSpotPriceHistory": "refreshing Spot prices",
    "pricing:GetPriceListFileUrl": "refreshing the price book from its bulk files",
    "pricing:GetProducts": "refreshing the price book",
    "pricing:ListPriceLists": "refreshing the price book from its bulk files",
    "savingsplans:DescribeSavingsPlansOfferingRates": "refreshing the price book",
    "sts:AssumeRole": "reading another account through a role",
}
"""Reads of other verbs than pull, which no emulator answers; named by planner/aws."""
DEPLOYING_READS: tuple[str, ...] = (
    "application-autoscaling:DescribeScalableTargets",
    "application-autoscaling:DescribeScalingPolicies",
    "application-autoscaling:DescribeScheduledActions",
    "autoscaling:DescribeAutoScalingGroups",
    "ec2:DescribeInstanceTypes",
    "ec2:DescribeLaunchTemplateVersions",
    "ec2:DescribeSubnets",
    "ecr:BatchGetImage",
    "ecs:DescribeCapacityProviders",
    "ecs:DescribeClusters",
    "ecs:DescribeContainerInstances",
    "ecs:DescribeServiceDeployments",
    "ecs:DescribeServiceRevisions",
    "ecs:DescribeServices",
    "ecs:DescribeTaskDefinition",
    "ecs:DescribeTasks",
    "ecs:ListContainerInstances",
    "ecs:ListServiceDeployments",
    "ecs:ListTaskDefinitions",
    "ecs:ListTasks",
    "servicequotas:GetServiceQuota",
    "servicequotas:ListServiceQuotas",
    "sts:GetCallerIdentity",
)
DEPLOYING_WRITES: tuple[str, ...] = (
    "application-autoscaling:DeleteScalingPolicy",
    "application-autoscaling:DeleteScheduledAction",
    "application-autoscaling:DeregisterScalableTarget",
    "application-autoscaling:PutScalingPolicy",
    "application-autoscaling:PutScheduledAction",
    "application-autoscaling:RegisterScalableTarget",
    "autoscaling:CreateAutoScalingGroup",
    "autoscaling:DeleteAutoScalingGroup",
    "autoscaling:SetInstanceProtection",
    "autoscaling:UpdateAutoScalingGroup",
    "ec2:CreateLaunchTemplate",
    "ec2:DeleteLaunchTemplate",
    "ecs:CreateCapacityProvider",
    "ecs:DeleteCapacityProvider",
    "ecs:DeregisterTaskDefinition",
    "ecs:PutClusterCapacityProviders",
    "ecs:RegisterTaskDefinition",
    "ecs:UpdateCapacityProvider",
    "ecs:UpdateContainerInstancesState",
    "ecs:UpdateService",
)
WHEN_USED: dict[str, str] = {
    "cloudtrail:LookupEvents": "drift, to say who changed something",
    "elbv2:DescribeTargetGroups": "checks of services behind a load balancer; plans that set routing",
    **dict.fromkeys(
        (
            "elbv2:CreateRule",
            "elbv2:CreateTargetGroup",
            "elbv2:DeleteRule",
            "elbv2:DeleteTargetGroup",
            "elbv2:DescribeListeners",
            "elbv2:DescribeLoadBalancers",
            "elbv2:DescribeRules",
            "elbv2:DescribeTargetGroupAttributes",
            "elbv2:DescribeTargetHealth",
            "elbv2:ModifyRule",
            "elbv2:ModifyTargetGroup",
            "elbv2:ModifyTargetGroupAttributes",
        ),
        "plans that set target groups and listener rules",
    ),
    "ec2:DescribeNetworkInterfaces": "checks of services whose tasks have an interface of their own",
    "iam:GetRole": "checks that roles trust tasks",
    "iam:SimulatePrincipalPolicy": "checks that roles may do what they have to",
    "kms:DescribeKey": "approvals by KMS key, and secrets under a key of their own",
    "ecr:GetRepositoryPolicy": "checks of an execution role that only a repository's own policy lets in",
    "kms:GetKeyPolicy": "checks of an execution role that only a key's own policy lets in",
    "secretsmanager:GetResourcePolicy": "checks of an execution role that only a secret's own policy lets in",
    "kms:GetPublicKey": "approvals by KMS key, when the key is trusted",
    "kms:Sign": "approvals by KMS key: give it to approvers, not to who deploys",
    "logs:DescribeLogGroups": "checks of services that log to CloudWatch",
    "logs:GetLogEvents": "last log lines of a failed deployment",
    "secretsmanager:DescribeSecret": "checks that secrets exist; their values are never read",
    "ssm:GetParameter": "the ECS-optimised AMI, when the architecture changes",
    "ssm:GetParameters": "checks that parameters exist; read without decryption",
    "dynamodb:PutItem": "the lock, with --lock dynamodb://",
    "dynamodb:DeleteItem": "the lock, with --lock dynamodb://",
    "s3:PutObject": "the lock, with --lock s3://",
    "s3:GetObject": "the lock with --lock s3://, and a Terraform state in S3",
    "s3:DeleteObject": "the lock, with --lock s3://",
    "application-autoscaling:DeleteScalingPolicy": "taking back a policy that the run made",
    "application-autoscaling:DeregisterScalableTarget": "taking back an autoscaler that the run made",
    "autoscaling:SetInstanceProtection": "emptying a group with managed termination protection",
    "autoscaling:TerminateInstanceInAutoScalingGroup": "replacing the instances of a group that exists, in waves",
    "ecs:UpdateCapacityProvider": "another target capacity of a provider that exists",
}
"""Calls that depend on the estate or the options; held by tests of their own, not by the run of the whole."""

IMPLIED: dict[str, str] = {
    "iam:PassRole": "RegisterTaskDefinition passes the task's roles, a launch its instance profile",
    "ecs:TagResource": "RegisterTaskDefinition with tags",
    "ec2:RunInstances": "CreateAutoScalingGroup with a launch template checks that its caller may launch it",
    "ec2:CreateTags": "CreateAutoScalingGroup with tags that are propagated to instances",
    "autoscaling:CreateOrUpdateTags": "CreateCapacityProvider tags the group as managed by ECS",
    "cloudwatch:PutMetricAlarm": "PutScalingPolicy makes the alarms of target tracking",
    "cloudwatch:DescribeAlarms": "PutScalingPolicy and DeleteScalingPolicy",
    "cloudwatch:DeleteAlarms": "DeleteScalingPolicy",
}
"""Permissions that AWS asks for behind a call (service authorization reference and service guides); no emulator
checks them, so no test holds them."""


def actions(calls: Iterable[str]) -> list[str]:
    """IAM actions of recorded "client:Operation" pairs, sorted."""
    found = set()
    for call in calls:
        service, _, operation = call.partition(":")
        found.add(f"{PREFIX.get(service, service)}:{operation}")
    return sorted(found)


def policy(*statements: tuple[str, Iterable[str]]) -> dict[str, Any]:
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Sid": sid, "Effect": "Allow", "Action": actions(calls), "Resource": "*"} for sid, calls in statements
        ],
    }


def deploying_policy() -> dict[str, Any]:
    """For `deploy check|diff|approve|apply|verify|rollback|drift|patch`. Narrow `Resource` to your cluster."""
    always = set(DEPLOYING_WRITES) - set(WHEN_USED)
    return policy(
        ("Read", DEPLOYING_READS),
        ("Write", always),
        ("WhenUsed", WHEN_USED),
        ("Implied", IMPLIED),
    )


def planning_policy() -> dict[str, Any]:
    """For `planner pull|report`: reads only."""
    return policy(("Read", PLANNING_CALLS), ("WhenUsed", PLANNING_WHEN_USED))


def write_policies(folder: Path) -> list[Path]:
    from planner.documents.canonical import write

    folder.mkdir(parents=True, exist_ok=True)
    documents = {"plan-read-only.json": planning_policy(), "deploy.json": deploying_policy()}
    for name, document in documents.items():
        write(folder / name, document)
    return [folder / name for name in documents]


if __name__ == "__main__":
    for written in write_policies(Path("docs/iam")):
        print(written)
