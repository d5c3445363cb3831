"""The deploy tool's calls to AWS."""

from __future__ import annotations

from deploy.aws.calls import Calls, SystemClock
from deploy.aws.cloud import AwsCloud

__all__ = ["AwsCloud", "Calls", "SystemClock"]
