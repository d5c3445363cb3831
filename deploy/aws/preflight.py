"""Questions to the account before an approval, through boto3."""

from __future__ import annotations

from collections.abc import Sequence

from deploy.aws.cloud import AwsCloud
from deploy.model import Check
from planner.documents import ConfigDocument


class AwsPreflight:
    """Implements deploy.ports.Preflight."""

    def __init__(self, cloud: AwsCloud) -> None:
        self.cloud = cloud

    def checks(self, config: ConfigDocument) -> Sequence[Check]:
        del config
        return ()
