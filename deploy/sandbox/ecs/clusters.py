"""Clusters: created, described, changed, deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deploy.sandbox.ecs.errors import EcsError, invalid, no_cluster
from deploy.sandbox.ecs.paging import page
from deploy.sandbox.ecs.state import Cluster, Document

if TYPE_CHECKING:
    from deploy.sandbox.ecs.engine import Ecs

MOST_DESCRIBED = 100


class Clusters:
    def __init__(self, ecs: Ecs) -> None:
        self.ecs = ecs

    def find(self, reference: str | None) -> Cluster:
        name = (reference or "default").rpartition("/")[2]
        found = self.ecs.by_name.get(name)
        if found is None or found.status != "ACTIVE":
            raise no_cluster()
        return found

    def create_cluster(self, given: Document) -> Document:
        from planner.packing.placement import EcsScheduler

        name = given.get("clusterName") or "default"
        known = self.ecs.by_name.get(name)
        if known is not None and known.status == "ACTIVE":
            return {"cluster": self.described(known)}
        settings = {
            key: given[key] for key in ("configuration", "settings", "serviceConnectDefaults") if given.get(key)
        }
        cluster = Cluster(name, self.ecs.arn(f"cluster/{name}"), settings, EcsScheduler(seed=self.ecs.world.seed))
        cluster.tags = given.get("tags") or []
        self.ecs.by_name[name] = cluster
        self._use_providers(cluster, given)
        return {"cluster": self.described(cluster)}

    def update_cluster(self, given: Document) -> Document:
        cluster = self.find(given.get("cluster"))
        for key in ("configuration", "settings", "serviceConnectDefaults"):
            if given.get(key) is not None:
                cluster.settings[key] = given[key]
        return {"cluster": self.described(cluster)}

    def update_cluster_settings(self, given: Document) -> Document:
        cluster = self.find(given["cluster"])
        kept = {s["name"]: s for s in cluster.settings.get("settings", [])}
        kept.update({s["name"]: s for s in given["settings"]})
        cluster.settings["settings"] = list(kept.values())
        return {"cluster": self.described(cluster)}

    def put_cluster_capacity_providers(self, given: Document) -> Document:
        """Replaces both lists whole: a provider that is not named any more is dropped, unless in use."""
        cluster = self.find(given["cluster"])
        dropped = set(cluster.capacity_providers) - set(given["capacityProviders"])
        used = {
            item["capacityProvider"]
            for service in cluster.services.values()
            if service.status == "ACTIVE"
            for item in service.settings.get("capacityProviderStrategy") or []
        }
        if dropped & used:
            raise EcsError(
                "ResourceInUseException",
                "The specified capacity provider is in use and cannot be removed: "
                f"{', '.join(sorted(dropped & used))}.",
            )
        cluster.capacity_providers, cluster.default_strategy = [], []
        self._use_providers(cluster, given)
        self.ecs.instances.look_at_groups()
        return {"cluster": self.described(cluster)}

    def _use_providers(self, cluster: Cluster, given: Document) -> None:
        names = [name.rpartition("/")[2] for name in given.get("capacityProviders") or []]
        for name in names:
            self.ecs.providers.find(name)
        strategy = given.get("defaultCapacityProviderStrategy") or []
        self.ecs.providers.check_strategy(strategy, names)
        cluster.capacity_providers, cluster.default_strategy = names, strategy

    def describe_clusters(self, given: Document) -> Document:
        references = given.get("clusters") or ["default"]
        if len(references) > MOST_DESCRIBED:
            raise invalid(f"Clusters cannot have more than {MOST_DESCRIBED} elements.")
        include = set(given.get("include") or [])
        found, failures = [], []
        for reference in references:
            cluster = self.ecs.by_name.get(reference.rpartition("/")[2])
            if cluster is None:
                arn = reference if reference.startswith("arn:") else self.ecs.arn(f"cluster/{reference}")
                failures.append({"arn": arn, "reason": "MISSING"})
            else:
                found.append(self.described(cluster, include))
        return {"clusters": found, "failures": failures}

    def list_clusters(self, given: Document) -> Document:
        arns = [c.arn for _, c in sorted(self.ecs.by_name.items()) if c.status == "ACTIVE"]
        return page(given, "clusterArns", arns)

    def delete_cluster(self, given: Document) -> Document:
        cluster = self.find(given["cluster"])
        if any(s.status != "INACTIVE" for s in cluster.services.values()):
            raise EcsError(
                "ClusterContainsServicesException", "The Cluster cannot be deleted while Services are active."
            )
        if cluster.instances:
            raise EcsError(
                "ClusterContainsContainerInstancesException",
                "The Cluster cannot be deleted while Container Instances are active or draining.",
            )
        if any(task.last_status != "STOPPED" for task in cluster.tasks.values()):
            raise EcsError(
                "ClusterContainsTasksException", "The Cluster cannot be deleted while Tasks are active."
            )
        cluster.status = "INACTIVE"
        return {"cluster": self.described(cluster)}

    def described(self, cluster: Cluster, include: set[str] | None = None) -> Document:
        wanted = {"SETTINGS", "CONFIGURATIONS", "TAGS"} if include is None else include
        tasks = [task for task in cluster.tasks.values() if task.last_status != "STOPPED"]
        running = sum(task.running for task in tasks)
        answer: Document = {
            "clusterArn": cluster.arn,
            "clusterName": cluster.name,
            "status": cluster.status,
            "registeredContainerInstancesCount": len(cluster.instances),
            "runningTasksCount": running,
            "pendingTasksCount": len(tasks) - running,
            "activeServicesCount": sum(s.status == "ACTIVE" for s in cluster.services.values()),
            "statistics": [],
            "capacityProviders": cluster.capacity_providers,
            "defaultCapacityProviderStrategy": cluster.default_strategy,
        }
        if cluster.settings.get("serviceConnectDefaults"):
            answer["serviceConnectDefaults"] = cluster.settings["serviceConnectDefaults"]
        default = [{"name": "containerInsights", "value": "disabled"}]
        answer["settings"] = cluster.settings.get("settings", default) if "SETTINGS" in wanted else []
        answer["tags"] = cluster.tags if "TAGS" in wanted else []
        if "CONFIGURATIONS" in wanted and cluster.settings.get("configuration"):
            answer["configuration"] = cluster.settings["configuration"]
        return answer
