"""Managed scaling of capacity providers: the reservation metric of each minute and what it sets off.

Rules (Amazon ECS developer guide, "Amazon ECS cluster auto scaling" and its deep-dive blog post):
CapacityProviderReservation = M / N x 100, where N instances run and M are needed; 100 when both are 0, 200
when N is 0 and M is not (then 2 are launched). M counts instances with tasks that are no daemons, and a
bin-packing of the tasks that wait. Out at once, by the steps allowed, and not again during the warm-up; in
after 15 minutes below the target, only empty instances, less than half of them a minute.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from deploy.sandbox.ecs.instances import registered_resources
from deploy.sandbox.ecs.state import CapacityProvider, Cluster, Instance, Task
from deploy.sandbox.series import MetricKey
from planner.model import Resources

if TYPE_CHECKING:
    from deploy.sandbox.ecs.engine import Ecs

SCALE_IN_MINUTES: Final = 15
FROM_ZERO: Final = 2
MINUTE_S: Final = 60


class ManagedScaling:
    def __init__(self, ecs: Ecs) -> None:
        self.ecs = ecs

    def watch(self) -> None:
        """Look at the providers every minute from now on."""
        self.ecs.world.every_minute(f"managed scaling {self.ecs.region}", self.minute)

    def minute(self) -> None:
        for cluster in self.ecs.by_name.values():
            for name in cluster.capacity_providers if cluster.status == "ACTIVE" else []:
                provider = self.ecs.providers.by_name[name]
                group = self.ecs.instances.group_of(provider.group_arn) if provider.group_arn else None
                if group is not None and self.ecs.instances.scales(name):
                    self._look(cluster, provider, group)

    def _look(self, cluster: Cluster, provider: CapacityProvider, group: Any) -> None:
        instances = [
            instance
            for instance in cluster.instances.values()
            if instance.capacity_provider == provider.name and instance.status == "ACTIVE"
        ]
        occupied = [instance for instance in instances if self._occupied(cluster, instance)]
        extra = self._needed_for_waiting(cluster, provider, group)
        needed, running = len(occupied) + extra, len(instances)
        reservation = 100.0 if needed == running == 0 else 200.0 if running == 0 else needed / running * 100
        self._publish(cluster, provider, reservation)
        target = float(provider.settings["managedScaling"]["targetCapacity"])
        wanted = math.ceil(needed * 100 / target - 1e-9)
        if reservation > target and wanted > 0:
            provider.empty_minutes = 0
            self._scale_out(provider, group, wanted if running else max(wanted, FROM_ZERO))
        elif reservation < target:
            provider.empty_minutes += 1
            if provider.empty_minutes >= SCALE_IN_MINUTES:
                self._scale_in(group, instances, occupied, wanted)
        else:
            provider.empty_minutes = 0

    def _occupied(self, cluster: Cluster, instance: Instance) -> bool:
        """Whether a task runs there that is no daemon's."""
        for task in cluster.tasks_on(instance.instance_id):
            service = self.ecs.tasks.service_of(cluster, task)
            if service is None or not service.daemon:
                return True
        return False

    def _needed_for_waiting(self, cluster: Cluster, provider: CapacityProvider, group: Any) -> int:
        """How many further instances of the group's type the waiting tasks fill, packed first-fit
        decreasing. Tasks that fit no instance of the type are left out: no scaling helps them."""
        waiting = [
            task
            for task in cluster.tasks.values()
            if task.capacity_provider == provider.name and task.active and task.last_status == "PROVISIONING"
        ]
        if not waiting:
            return 0
        trunking = self.ecs.tagging.settings["awsvpcTrunking"] == "enabled"
        room, _ = registered_resources(group.launch_type, trunking)
        return len(packed([task for task in waiting if task.needs.needs.fits_in(room)], room))

    def _publish(self, cluster: Cluster, provider: CapacityProvider, reservation: float) -> None:
        dimensions = {"CapacityProviderName": provider.name, "ClusterName": cluster.name}
        key = MetricKey.of("AWS/ECS/ManagedScaling", "CapacityProviderReservation", dimensions)
        moment = self.ecs.world.clock.seconds - MINUTE_S
        self.ecs.world.metrics_of(self.ecs.region).add_generated(key, [moment], [reservation], unit="Percent")

    def _scale_out(self, provider: CapacityProvider, group: Any, wanted: int) -> None:
        settings, clock = provider.settings["managedScaling"], self.ecs.world.clock
        there = len(group.active_instances())
        if clock.seconds < provider.warm_until or wanted <= there:
            return
        step = max(settings["minimumScalingStepSize"], wanted - there)
        size = min(there + min(step, settings["maximumScalingStepSize"]), int(group.max_size or 0))
        if size > there:
            group.set_desired_capacity(size * group.weight)
            provider.warm_until = clock.seconds + settings["instanceWarmupPeriod"]
            self.ecs.instances.look_at_groups()

    def _scale_in(self, group: Any, instances: list[Instance], occupied: list[Instance], wanted: int) -> None:
        """Take out empty instances, less than half of all a minute, down to the wanted or smallest size."""
        least = max(wanted, len(occupied), math.ceil(int(group.min_size or 0) / group.weight))
        empty = [instance for instance in instances if instance not in occupied]
        most = max(1, (len(instances) - 1) // 2)
        for instance in empty[: min(len(instances) - least, most)] if len(instances) > least else []:
            group.retire(instance.ec2_id)
        self.ecs.instances.look_at_groups()


def packed(tasks: list[Task], room: Resources) -> list[Resources]:
    """What is left on each instance once the tasks are packed first-fit decreasing by memory, then CPU."""
    left: list[Resources] = []
    order = sorted(tasks, key=lambda t: (-t.needs.needs.memory_mib, -t.needs.needs.cpu_units, t.task_id))
    for task in order:
        need = task.needs.needs
        place = next((number for number, free in enumerate(left) if need.fits_in(free)), None)
        if place is None:
            left.append(room - need)
        else:
            left[place] = left[place] - need
    return left
