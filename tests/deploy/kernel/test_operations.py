"""Reads are told from writes for every operation of every service in botocore's models."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore
import pytest

from deploy.kernel.operations import FURTHER_READS, NOT_READS, is_read, is_read_everywhere, refusal

DATA = Path(botocore.__file__).parent / "data"

# What the planner and the deploy verbs read, and what an operator looks at while a deployment runs.
READS_WE_USE = """
application-autoscaling: DescribeScalableTargets DescribeScalingActivities DescribeScalingPolicies
    DescribeScheduledActions GetPredictiveScalingForecast ListTagsForResource
autoscaling: DescribeAutoScalingGroups DescribeAutoScalingInstances DescribeInstanceRefreshes
    DescribeLifecycleHooks DescribePolicies DescribeScalingActivities DescribeScheduledActions DescribeWarmPool
ce: GetCostAndUsage GetReservationCoverage GetReservationUtilization GetSavingsPlansCoverage
    GetSavingsPlansUtilization
cloudtrail: LookupEvents
cloudwatch: DescribeAlarms DescribeAlarmsForMetric GetMetricData GetMetricStatistics ListMetrics
dynamodb: DescribeTable GetItem Query
ec2: DescribeImages DescribeInstances DescribeInstanceTypeOfferings DescribeInstanceTypes DescribeLaunchTemplates
    DescribeLaunchTemplateVersions DescribeNetworkInterfaces DescribeRegions DescribeReservedInstances
    DescribeSecurityGroups DescribeSpotPriceHistory DescribeSubnets DescribeVpcs GetSpotPlacementScores
ecr: BatchCheckLayerAvailability BatchGetImage DescribeImages DescribeRepositories
    GetDownloadUrlForLayer ListImages
ecs: DescribeCapacityProviders DescribeClusters DescribeContainerInstances DescribeServiceDeployments
    DescribeServiceRevisions DescribeServices DescribeTaskDefinition DescribeTasks DescribeTaskSets
    ListAccountSettings ListClusters ListContainerInstances ListServiceDeployments ListServices ListTagsForResource
    ListTaskDefinitionFamilies ListTaskDefinitions ListTasks
elbv2: DescribeListeners DescribeLoadBalancers DescribeRules DescribeTags DescribeTargetGroupAttributes
    DescribeTargetGroups DescribeTargetHealth
events: DescribeRule ListRules ListTargetsByRule
iam: GetPolicy GetPolicyVersion GetRole GetRolePolicy ListAttachedRolePolicies ListRolePolicies
    SimulateCustomPolicy SimulatePrincipalPolicy
kms: DescribeKey GetKeyPolicy GetPublicKey ListAliases Verify
logs: DescribeLogGroups DescribeLogStreams FilterLogEvents GetLogEvents
pricing: DescribeServices GetAttributeValues GetPriceListFileUrl GetProducts ListPriceLists
s3: GetObject HeadBucket HeadObject ListBuckets ListObjectsV2
savingsplans: DescribeSavingsPlans DescribeSavingsPlanRates
scheduler: GetSchedule ListSchedules
secretsmanager: DescribeSecret ListSecrets
service-quotas: GetAWSDefaultServiceQuota GetServiceQuota ListServiceQuotas
sqs: GetQueueAttributes GetQueueUrl ListQueues
ssm: GetParameter GetParameters
sts: GetCallerIdentity
"""

SECRETS_AND_EFFECTS = """
athena: StartQueryExecution
cloudformation: DetectStackDrift EstimateTemplateCost ExecuteChangeSet ValidateTemplate
codeartifact: GetAuthorizationToken
cognito-identity: GetCredentialsForIdentity GetId
dynamodb: BatchWriteItem ExecuteStatement PutItem TransactGetItems UpdateItem
ec2: GetConsoleScreenshot GetPasswordData RunInstances
ecr: GetAuthorizationToken
ecs: DiscoverPollEndpoint ExecuteCommand RunTask StartTask StopServiceDeployment UpdateService
glue: GetUnfilteredTableMetadata
iam: GenerateCredentialReport GenerateServiceLastAccessedDetails PassRole
kinesis: GetRecords
kms: Decrypt Encrypt GenerateDataKey GenerateMac Sign
lambda: Invoke InvokeAsync
logs: StartQuery
rds: DownloadDBLogFilePortion
redshift: GetClusterCredentials
s3: CreateSession PutObject SelectObjectContent WriteGetObjectResponse
secretsmanager: BatchGetSecretValue GetRandomPassword GetSecretValue
sqs: ReceiveMessage
sso: GetRoleCredentials
stepfunctions: GetActivityTask
sts: AssumeRole AssumeRoleWithSAML AssumeRoleWithWebIdentity GetFederationToken GetSessionToken
"""


def named(text: str) -> Iterator[tuple[str, str]]:
    service = ""
    for line in text.split("\n"):
        head, colon, rest = line.partition(": ")
        if colon:
            service = head
        yield from ((service, operation) for operation in (rest if colon else line).split())


def models() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Service, operation, operation model: the newest model of each service."""
    for folder in sorted(path for path in DATA.iterdir() if path.is_dir()):
        versions = sorted(folder.glob("*/service-2.json*"))
        if versions:
            raw = versions[-1].read_bytes()
            model = json.loads(gzip.decompress(raw) if versions[-1].suffix == ".gz" else raw)
            for name, operation in model["operations"].items():
                yield folder.name, name, operation


@pytest.fixture(scope="module")
def every_operation() -> list[tuple[str, str, dict[str, Any]]]:
    return list(models())


def test_every_service_of_botocore_is_walked(every_operation: list[tuple[str, str, dict[str, Any]]]) -> None:
    services = {service for service, _, _ in every_operation}

    assert len(services) > 400
    assert len(every_operation) > 15_000


def test_nothing_passes_whose_first_word_is_not_a_read(
    every_operation: list[tuple[str, str, dict[str, Any]]],
) -> None:
    reads = {"Get", "List", "Describe", "Head", "Batch"}
    passing = [(s, o) for s, o, _ in every_operation if is_read(s, o) and (s, o) not in FURTHER_READS]

    assert {re.match(r"[A-Z][a-z]*", operation)[0] for _, operation in passing} <= reads  # type: ignore[index]
    assert len(passing) > 7_000


def test_nothing_passes_that_is_sent_with_a_method_that_changes(
    every_operation: list[tuple[str, str, dict[str, Any]]],
) -> None:
    changing = [
        (service, operation)
        for service, operation, model in every_operation
        if is_read(service, operation) and model["http"]["method"] in {"PUT", "DELETE", "PATCH"}
    ]

    assert changing == []


def test_nothing_passes_whose_documentation_says_that_it_hands_out_a_secret(
    every_operation: list[tuple[str, str, dict[str, Any]]],
) -> None:
    says = re.compile(
        r"(?:returns?|generates?|retrieves?|obtains?|issues?|vends?|gets?)[^.]{0,60}\b(?:temporary|short-term|access|"
        r"authorization|authentication|bearer|session)\s+(?:credentials?|password|tokens?|keys?)\b"
        r"|decrypt(?:s|ed) (?:the |a )?(?:secret|value)|presigned|pre-signed",
        re.I,
    )
    handed_out = [
        (service, operation)
        for service, operation, model in every_operation
        if is_read(service, operation)
        and says.search(re.sub(r"<[^>]+>|\s+", " ", model.get("documentation", ""))[:200])
    ]

    assert set(handed_out) - TALKS_OF_A_SECRET_BUT_SHOWS_NONE == set()


TALKS_OF_A_SECRET_BUT_SHOWS_NONE = {
    ("account-access-runtime", "ListRoles"),
    ("ecr", "GetDownloadUrlForLayer"),  # a URL for one layer, which the image check reads
    ("iam", "GetAccessKeyLastUsed"),
    ("iam", "ListAccessKeys"),
    ("ivs", "GetPlaybackKeyPair"),
    ("sts", "GetAccessKeyInfo"),
    ("workdocs", "GetCurrentUser"),
}


@pytest.mark.parametrize(("service", "operation"), list(named(READS_WE_USE)))
def test_the_reads_we_use_pass(service: str, operation: str) -> None:
    assert is_read(service, operation)


@pytest.mark.parametrize(("service", "operation"), list(named(SECRETS_AND_EFFECTS)))
def test_secrets_and_effects_do_not_pass(service: str, operation: str) -> None:
    assert not is_read(service, operation)


def test_the_lists_name_only_operations_that_exist(
    every_operation: list[tuple[str, str, dict[str, Any]]],
) -> None:
    known = {(service, operation) for service, operation, _ in every_operation}
    listed = {(s, o) for s, operations in NOT_READS.items() for o in operations} | FURTHER_READS

    assert listed - known == set()


@pytest.mark.parametrize("operation", ["", "get", "Getaway", "DescribeX\nCreateY", "List", "Described", "*"])
def test_what_only_resembles_a_read_is_refused(operation: str) -> None:
    assert not is_read("ecs", operation)
    assert not is_read_everywhere(operation)


def test_a_future_operation_that_promises_a_credential_is_refused() -> None:
    assert not is_read("quantum-vault", "GetTemporaryCredentials")
    assert not is_read("quantum-vault", "GetSessionToken")
    assert not is_read("quantum-vault", "GetUploadUrl")
    assert is_read("quantum-vault", "ListVaults")


def test_a_parameter_that_asks_for_decryption_makes_a_read_a_secret() -> None:
    assert refusal("ssm", "GetParameter", {"Name": "/x"}) is None
    assert refusal("ssm", "GetParameter", {"Name": "/x", "WithDecryption": False}) is None
    assert refusal("ssm", "GetParameter", {"Name": "/x", "WithDecryption": True}) is not None
