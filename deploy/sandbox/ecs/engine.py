"""The imitated ECS of one Region: its parts, its identifiers and its time."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from deploy.sandbox.ecs.clusters import Clusters
from deploy.sandbox.ecs.deployments import Deployments
from deploy.sandbox.ecs.images import Images
from deploy.sandbox.ecs.instances import Instances
from deploy.sandbox.ecs.managed_scaling import ManagedScaling
from deploy.sandbox.ecs.providers import Providers
from deploy.sandbox.ecs.rollouts import Rollouts
from deploy.sandbox.ecs.services import Services
from deploy.sandbox.ecs.state import Cluster, Delays
from deploy.sandbox.ecs.tagging import Tagging
from deploy.sandbox.ecs.task_api import TaskApi
from deploy.sandbox.ecs.task_definitions import TaskDefinitions
from deploy.sandbox.ecs.tasks import Tasks

if TYPE_CHECKING:
    from deploy.sandbox.world import World


class Ecs:
    """All state and behaviour of one Region's ECS. Every public method of a part named like an API
    operation (snake case) takes that operation's request and returns its answer."""

    def __init__(self, world: World, region: str, account_id: str) -> None:
        self.world, self.region, self.account_id = world, region, account_id
        self.delays = Delays()
        self.by_name: dict[str, Cluster] = {}
        self.images = Images(world.seed)
        self.definitions = TaskDefinitions(self)
        self.clusters = Clusters(self)
        self.providers = Providers(self)
        self.instances = Instances(self)
        self.managed_scaling = ManagedScaling(self)
        self.tasks = Tasks(self)
        self.rollouts = Rollouts(self)
        self.deployments = Deployments(self)
        self.services = Services(self)
        self.task_api = TaskApi(self)
        self.tagging = Tagging(self)

    @property
    def now(self) -> datetime:
        return self.world.clock.now

    @property
    def caller(self) -> str:
        return f"arn:aws:iam::{self.account_id}:root"

    def arn(self, resource: str) -> str:
        return f"arn:aws:ecs:{self.region}:{self.account_id}:{resource}"

    def hex(self, length: int = 32) -> str:
        from moto.moto_api._internal import mock_random

        return str(mock_random.get_random_hex(length))

    def number(self, digits: int = 19) -> str:
        from moto.moto_api._internal import mock_random

        return str(mock_random.randrange(10 ** (digits - 1), 10**digits))

    def cluster(self, reference: str | None) -> Cluster:
        """By name or ARN; raises ClusterNotFoundException for one that is not or no longer there."""
        return self.clusters.find(reference)

    def handler(self, operation: str) -> Any:
        """The method that answers an operation, by its snake-case name; None where there is none."""
        parts = (
            self.services,
            self.deployments,
            self.definitions,
            self.clusters,
            self.providers,
            self.instances,
            self.task_api,
            self.tagging,
        )
        for part in parts:
            method = getattr(part, operation, None)
            if method is not None:
                return method
        return None
