"""A plan as one canonical bundle, and the bundle as AWS request documents, Terraform and CloudFormation."""

from __future__ import annotations

from deploy.emit.aws import Request, read_requests, request_problems, requests_from_config, write_requests
from deploy.emit.bundle import NotSupported, config_from_plan
from deploy.emit.cloudformation import read_template, template, write_template
from deploy.emit.terraform import contract_values, main_tf, read_main_tf, write_terraform

__all__ = [
    "NotSupported",
    "Request",
    "config_from_plan",
    "contract_values",
    "main_tf",
    "read_main_tf",
    "read_requests",
    "read_template",
    "request_problems",
    "requests_from_config",
    "template",
    "write_requests",
    "write_template",
    "write_terraform",
]
