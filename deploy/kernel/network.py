"""Which hosts are AWS, and which bytes are an AWS request: what the guard's lowest layer goes by."""

from __future__ import annotations

import re
from functools import lru_cache
from socket import AF_INET, AF_INET6, inet_aton, inet_ntop, inet_pton

# The DNS suffixes of botocore's partitions.json, dual stack included, with the console and function URLs.
_AWS_HOST = re.compile(
    r"(?:^|\.)(?:amazonaws\.(?:com|com\.cn|eu)|api\.aws|on\.aws|awsapps\.com|aws\.amazon\.com"
    r"|api\.amazonwebservices\.(?:com\.cn|eu)|c2s\.ic\.gov|sc2s\.sgov\.gov|cloud\.adc-e\.uk|csp\.hci\.ic\.gov"
    r"|api\.aws\.(?:ic\.gov|scloud|hci\.ic\.gov)|api\.cloud-aws\.adc-e\.uk)\.?$"
)

_MAPPED = bytes(10) + b"\xff\xff"
"""How IPv6 writes an IPv4 address: `::ffff:127.0.0.1`."""

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
    return host.strip("[]") in METADATA_HOSTS or spelled(host) in METADATA_HOSTS


def looks_like_aws(data: bytes) -> bool:
    """Whether the first bytes of an HTTP request are addressed to or signed for AWS."""
    return _AWS_BYTES.search(data[:16384]) is not None


@lru_cache(maxsize=256)
def spelled(host: str) -> str:
    """An address as it is usually written: `127.1`, `0.0.0.0` and `::ffff:127.0.0.1` all lead to 127.0.0.1."""
    name = host.lower().strip("[]")
    for family in (AF_INET, AF_INET6):
        try:
            packed = inet_aton(name) if family == AF_INET else inet_pton(family, name.partition("%")[0])
        except (OSError, ValueError):
            continue
        if packed[:12] == _MAPPED and len(packed) == 16:
            packed = packed[12:]
        if len(packed) == 4:
            is_here = packed[0] == 127 or packed == b"\0\0\0\0"
            return "127.0.0.1" if is_here else inet_ntop(AF_INET, packed)
        return "::1" if packed == bytes(16) else inet_ntop(AF_INET6, packed)
    return name
