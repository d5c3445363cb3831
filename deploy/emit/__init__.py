"""A plan as one canonical bundle, and the bundle as AWS request documents, Terraform and CloudFormation."""

from __future__ import annotations

from deploy.emit.aws import Request, request_problems, requests_from_config, write_requests
from deploy.emit.bundle import NotSupported, config_from_plan

__all__ = [
    "NotSupported",
    "Request",
    "config_from_plan",
    "request_problems",
    "requests_from_config",
    "write_requests",
]
