"""Which AWS operations are reads: a default-deny classification by service and operation name.

An operation passes only when it is positively known to be a read: its name starts with a verb that AWS
uses for reads, or it is listed in `FURTHER_READS`; it is not in `NOT_READS`; and its name does not say that
it hands out a token, a credential, a password or a URL that carries one. The lists were made by holding
every operation of botocore 1.44's models against three sources: the access level in AWS's service
authorization reference, the operation's documented first sentence, and the names of its output members.
Names of services are botocore's (`elbv2`, `application-autoscaling`), operations as in the API (`ListTasks`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

_READ_VERB = re.compile(r"(?:Get|List|Describe|BatchGet|BatchDescribe|Head)[A-Z0-9][A-Za-z0-9]*\Z")

# A name that promises a secret: refused even when the verb is Get, also in services that do not exist yet.
_HANDS_OUT = re.compile(
    r"Tokens?(?:$|For|From|With)|Credentials?(?:$|For|With)|Password|SecretValues?$|ClientSecrets?$|[Pp]resigned"
    r"|SignedU|A[Pp][Ii]Keys?$|AccessKeys?$|AccessDetails$|U[Rr][Ll]s?$|LoginLink|AuthCode|SessionEndpoint$"
)

# Names that `_HANDS_OUT` catches although they show no secret.
_HARMLESS = frozenset(
    {
        ("iam", "GetAccountPasswordPolicy"),
        ("iam", "ListAccessKeys"),
        ("iam", "ListServiceSpecificCredentials"),
        ("pricing", "GetPriceListFileUrl"),
        ("sqs", "GetQueueUrl"),
    }
)

# Reads whose first word is not one of the read verbs; only those the verbs of `deploy` and an operator need.
FURTHER_READS = frozenset(
    {
        ("cloudtrail", "LookupEvents"),
        ("dynamodb", "Query"),
        ("dynamodb", "Scan"),
        ("ec2", "SearchTransitGatewayRoutes"),
        ("ecr", "BatchCheckLayerAvailability"),
        ("ecr", "GetDownloadUrlForLayer"),
        ("iam", "SimulateCustomPolicy"),
        ("iam", "SimulatePrincipalPolicy"),
        ("kms", "Verify"),
        ("kms", "VerifyMac"),
        ("logs", "FilterLogEvents"),
        ("resource-explorer-2", "Search"),
    }
)

# Operations named like a read that change something, start something, consume something, or hand out a
# secret or a URL that carries one.
NOT_READS: Mapping[str, frozenset[str]] = {
    service: frozenset(operations.split())
    for service, operations in {
        "account-access-runtime": "GetRoleCredentials",
        "apigateway": "GetApiKey GetApiKeys GetClientCertificate",
        "appconfig": "GetConfiguration",
        "appconfigdata": "GetLatestConfiguration",
        "appfabric": "BatchGetUserAccessTasks",
        "appstream": "DescribeDirectoryConfigs",
        "artifact": "GetReport GetTermForReport",
        "auditmanager": "GetEvidenceFileUploadUrl GetAssessmentReportUrl",
        "bedrock-agent-runtime": "GetDocumentContent",
        "bedrock-agentcore": "GetBrowserSession GetResourceApiKey GetResourceOauth2Token GetResourcePaymentToken "
        "GetWorkloadAccessToken GetWorkloadAccessTokenForJWT GetWorkloadAccessTokenForUserId",
        "cloudwatchomni": "GetSpaceDataAccess GetSpaceCredentialsForOrganization",
        "codepipeline": "GetJobDetails GetThirdPartyJobDetails ListWebhooks",
        "cognito-identity": "GetId GetOpenIdToken GetOpenIdTokenForDeveloperIdentity GetCredentialsForIdentity",
        "cognito-idp": "DescribeUserPoolClient GetClientToken GetTokensFromRefreshToken ListUserPoolClientSecrets "
        "GetUserAttributeVerificationCode DescribeUserImportJob ListUserImportJobs",
        "connect": "GetFederationToken GetPromptFile GetAttachedFile BatchGetAttachedFileMetadata",
        "connectparticipant": "GetAttachment GetAuthenticationUrl",
        "customer-profiles": "GetUploadJobPath",
        "dataexchange": "GetJob ListJobs",
        "datazone": "GetConnection GetEnvironmentCredentials GetIamPortalLoginUrl ListConnections",
        "ec2": "GetConsoleOutput GetConsoleScreenshot GetPasswordData",
        "ecr": "GetAuthorizationToken",
        "ecs": "DiscoverPollEndpoint",
        "elbv2": "GetTrustStoreCaCertificatesBundle GetTrustStoreRevocationContent",
        "emr-serverless": "GetDashboardForJobRun",
        "gamelift": "GetComputeAccess GetComputeAuthToken GetInstanceAccess DescribeFleetEvents",
        "glue": "GetUnfilteredPartitionMetadata GetUnfilteredPartitionsMetadata GetUnfilteredTableMetadata",
        "greengrassv2": "GetComponentVersionArtifact",
        "invoicing": "GetInvoicePDF",
        "iotwireless": "GetWirelessDevice",
        "kinesis": "GetRecords GetShardIterator",
        "kinesis-video-archived-media": "GetClip GetDASHStreamingSessionURL GetHLSStreamingSessionURL",
        "kinesis-video-media": "GetMedia",
        "kinesis-video-signaling": "GetIceServerConfig",
        "kinesisvideo": "GetSignalingChannelEndpoint",
        "kms": "GetParametersForImport",
        "lakeformation": "GetTemporaryDataLocationCredentials GetTemporaryGlueFunctionCredentials "
        "GetTemporaryGluePartitionCredentials GetTemporaryGlueTableCredentials GetWorkUnits GetWorkUnitResults",
        "lightsail": "GetBucketAccessKeys GetInstanceAccessDetails GetRelationalDatabaseMasterUserPassword",
        "mailmanager": "GetArchiveMessage",
        "marketplace-reporting": "GetBuyerDashboard",
        "payment-cryptography": "GetParametersForExport GetParametersForImport GetCertificateSigningRequest",
        "pca-connector-scep": "GetChallengePassword",
        "qbusiness": "GetDocumentContent GetMedia",
        "qconnect": "GetContent",
        "quicksight": "GetDashboardEmbedUrl GetSessionEmbedUrl",
        "s3control": "GetDataAccess",
        "sagemaker": "GetScalingConfigurationRecommendation",
        "secretsmanager": "BatchGetSecretValue GetRandomPassword GetSecretValue",
        "security-ir": "GetCaseAttachmentDownloadUrl GetCaseAttachmentUploadUrl",
        "sesv2": "GetExportJob",
        "snowball": "GetJobManifest GetJobUnlockCode GetSoftwareUpdates",
        "socialmessaging": "ListWhatsAppFlowAssets GetWhatsAppFlowPreview GetWhatsAppMessageMedia",
        "ssm": "GetAccessToken GetDeployablePatchSnapshotForInstance GetExecutionPreview",
        "sso": "GetRoleCredentials",
        "sso-admin": "GetApplicationGrant ListApplicationGrants",
        "stepfunctions": "GetActivityTask",
        "storagegateway": "DescribeChapCredentials",
        "sts": "GetDelegatedAccessToken GetFederationToken GetSessionToken GetWebIdentityToken",
        "support": "GetAttachmentDownloadLink GetAttachmentUploadLinks",
        "taxsettings": "GetTaxRegistrationDocument",
        "wellarchitected": "GetAgentOrganizationalReportData",
        "wickr": "GetOidcInfo GetOpentdfConfig",
        "wisdom": "GetContent",
        "workdocs": "GetDocumentVersion",
        "xray": "GetSamplingTargets",
    }.items()
}

_NOT_READ_NAMES = frozenset().union(*NOT_READS.values())

SECRET_WHEN: Mapping[tuple[str, str], str] = {
    ("ssm", "GetParameter"): "WithDecryption",
    ("ssm", "GetParameters"): "WithDecryption",
    ("ssm", "GetParametersByPath"): "WithDecryption",
    ("ssm", "GetParameterHistory"): "WithDecryption",
    ("datazone", "GetConnection"): "withSecret",
}
"""Reads that decrypt when asked to: the parameter that asks."""


@lru_cache(maxsize=4096)
def is_read(service: str, operation: str) -> bool:
    """Whether the operation is positively known to be a read that hands out no secret."""
    if (service, operation) in FURTHER_READS or (service, operation) in _HARMLESS:
        return True
    return (
        _READ_VERB.match(operation) is not None
        and operation not in NOT_READS.get(service, ())
        and _HANDS_OUT.search(operation) is None
    )


@lru_cache(maxsize=4096)
def is_read_everywhere(operation: str) -> bool:
    """Whether an operation of this name is a read in every service: for requests whose service is not certain."""
    return (
        _READ_VERB.match(operation) is not None
        and operation not in _NOT_READ_NAMES
        and _HANDS_OUT.search(operation) is None
    )


def refusal(service: str, operation: str, parameters: Any) -> str | None:
    """Why this call is not a read, as the end of a sentence; None for a read."""
    if not is_read(service, operation):
        return "is not known to be a read"
    asks = SECRET_WHEN.get((service, operation))
    if asks and isinstance(parameters, dict) and parameters.get(asks):
        return f"with {asks} hands out a secret"
    return None
