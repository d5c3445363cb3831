"""Which hosts are AWS, and which bytes are an AWS request: what the guard's lowest layer goes by."""

from __future__ import annotations

import re
from functools import lru_cache

# The DNS suffixes of botocore's partitions.json, dual stack included, with the console and function URLs.
_AWS_HOST = re.compile(
    r"(?:^|\.)(?:amazonaws\.(?:com|com\.cn|eu)|api\.aws|on\.aws|awsapps\.com|aws\.amazon\.com"
    r"|api\.amazonwebservices\.(?:com\.cn|eu)|c2s\.ic\.gov|sc2s\.sgov\.gov|cloud\.adc-e\.uk|csp\.hci\.ic\.gov"
    r"|api\.aws\.(?:ic\.gov|scloud|hci\.ic\.gov)|api\.cloud-aws\.adc-e\.uk)\.?$"
)

# Where an instance, a task or a pod gets its role's credentials.
METADATA_HOSTS = frozenset({"169.254.169.254", "169.254.170.2", "169.254.170.23", "fd00:ec2::254", "fd00:ec2::23"})

# How a signed or addressed AWS request looks in its own bytes, whatever the host is called.
_AWS_BYTES = re.compile(
    rb"(?i)authorization: *(?:AWS4-|AWS )|x-amz-target:|[?&](?:x-amz-signature|x-amz-credential|awsaccesskeyid)="
    rb"|(?:[?&]|\r\n\r\n|^|&)action=[A-Za-z]+(?:&|[ \r]|$)|x-amz-(?:date|content-sha256|security-token):"
    rb"|smithy-protocol:"
)


@lru_cache(maxsize=256)
def is_aws_host(host: str) -> bool:
    return _AWS_HOST.search(host.lower()) is not None


def is_metadata_host(host: str) -> bool:
    return host.strip("[]") in METADATA_HOSTS


def looks_like_aws(data: bytes) -> bool:
    """Whether the first bytes of an HTTP request are addressed to or signed for AWS."""
    return _AWS_BYTES.search(data[:16384]) is not None
