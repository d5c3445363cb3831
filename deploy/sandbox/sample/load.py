"""Loads the sample estate: builds it, writes 15 days of metrics, and lets them go on with the clock."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import numpy as np

from deploy.monitoring import fast_names
from deploy.sandbox.sample import usage as usages
from deploy.sandbox.sample import writing
from deploy.sandbox.sample.estate import Builder, Estate
from deploy.sandbox.sample.usage import Usage
from deploy.sandbox.sample.workloads import (
    CLUSTER,
    HISTORY_DAYS,
    INSTANCE_TYPE,
    INSTANCES,
    PROVIDER,
    QUEUE,
    RESERVATION,
    WORKLOADS,
    Workload,
)
from deploy.sandbox.series import Floats
from planner.model import FAST_S

if TYPE_CHECKING:
    from deploy.sandbox.ecs.state import Cluster, Task
    from deploy.sandbox.sandbox import Sandbox

DAY_MINUTES: Final = 1440
MINUTE_S: Final = 60


class Sample:
    """The loaded estate; `minute` writes the minute that has just passed."""

    def __init__(self, sandbox: Sandbox, seed: int) -> None:
        self.sandbox, self.seed = sandbox, seed
        self.store = sandbox.metrics()
        self.estate: Estate = Builder(sandbox).build()

    def write_history(self) -> None:
        """The 15 days that end with the clock's present minute."""
        end = int(self.sandbox.world.clock.seconds // MINUTE_S)
        minutes = HISTORY_DAYS * DAY_MINUTES
        first = end - minutes
        tasks, sizes = {}, {}
        for workload in WORKLOADS:
            used = usages.of(workload, first, minutes, self.seed)
            sizes[workload.name] = self._sizes(workload, first, minutes)
            tasks[workload.name] = self._tasks_then(workload, used, sizes[workload.name])
        self._write(first, minutes, tasks, sizes, np.random.default_rng([self.seed, 1]))

    def _sizes(self, workload: Workload, first: int, minutes: int) -> Floats:
        """CPU units a task reserved in each minute of the past."""
        sizes = np.full(minutes, float(workload.cpu_units))
        if workload.name == RESERVATION.service:
            before = (first + np.arange(minutes)) * MINUTE_S < RESERVATION.at.timestamp()
            sizes[before] = RESERVATION.cpu_units_before
        return sizes

    def _tasks_then(self, workload: Workload, used: Usage, sizes: Floats) -> Floats:
        if workload.kind == "daemon":
            return np.full(len(used.vcpu), float(INSTANCES))
        return usages.tasks_kept(workload, used, sizes)

    def minute(self) -> None:
        """Write the minute before now, from the tasks that run now."""
        end = int(self.sandbox.world.clock.seconds // MINUTE_S)
        ecs = self.sandbox.world.ecs_of(self.sandbox.region)
        cluster = ecs.by_name.get(CLUSTER)
        if cluster is None or cluster.status != "ACTIVE":
            return
        tasks, sizes, fast = {}, {}, {}
        for workload in WORKLOADS:
            running = self._running(cluster, workload)
            if running:
                tasks[workload.name], sizes[workload.name] = _counted(running)
                fast[workload.name] = self._fast(cluster, workload, running)
        self._write(end - 1, 1, tasks, sizes, np.random.default_rng([self.seed, 2, end]), fast)

    def twenty_seconds(self) -> None:
        """Write what tasks that publish every 20 seconds did in the last ones."""
        cluster = self.sandbox.world.ecs_of(self.sandbox.region).by_name.get(CLUSTER)
        if cluster is None or cluster.status != "ACTIVE":
            return
        start = int(self.sandbox.world.clock.seconds) // FAST_S * FAST_S - FAST_S
        for workload in WORKLOADS:
            service = cluster.services.get(workload.name)
            if service is None or not any(
                fast_names(r.revision.settings.get("monitoring")) for r in service.rollouts
            ):
                continue
            running = self._running(cluster, workload)
            if running:
                used = usages.of(workload, start // MINUTE_S, 1, self.seed)
                fast, random = self._fast(cluster, workload, running), np.random.default_rng([self.seed, 3, start])
                writing.write_fast(self.store, workload, used, *_counted(running), random, fast, float(start))

    def _running(self, cluster: Cluster, workload: Workload) -> list[Task]:
        group = f"service:{workload.name}"
        return [task for task in cluster.tasks.values() if task.group == group and task.running]

    def _fast(self, cluster: Cluster, workload: Workload, running: list[Task]) -> dict[str, int]:
        """How many of the tasks send each metric every 20 seconds: those of a revision that says so."""
        found: Counter[str] = Counter()
        for rollout in cluster.services[workload.name].rollouts:
            names = fast_names(rollout.revision.settings.get("monitoring"))
            count = sum(task.rollout_id == rollout.rollout_id for task in running) if names else 0
            found.update(dict.fromkeys(names, count))
        return dict(found)

    def _write(
        self,
        first: int,
        minutes: int,
        tasks: dict[str, Floats],
        sizes: dict[str, Floats],
        random: np.random.Generator,
        fast: Mapping[str, Mapping[str, int]] | None = None,
    ) -> None:
        requests, errors, busy = np.zeros(minutes), np.zeros(minutes), np.zeros(minutes)
        for workload in WORKLOADS:
            if workload.name not in tasks:
                continue
            used = usages.of(workload, first, minutes, self.seed)
            kept, units = tasks[workload.name], sizes[workload.name]
            writing.write_service(self.store, workload, used, kept, units, random, (fast or {}).get(workload.name))
            busy += usages.utilisation(workload, used, kept, units) * kept * units
            balancer = self.estate.balancers.get(workload.name)
            if balancer is not None:
                answered = writing.write_requests(self.store, workload, balancer, used, kept, units, random)
                requests += answered[0]
                errors += answered[1]
            if workload.kind == "worker":
                lacking = usages.overload(workload, used, kept, units)
                writing.write_queue(self.store, QUEUE, used, lacking)
        writing.write_balancer(self.store, self.estate.load_balancer, first, requests, errors)
        writing.write_cluster(self.store, first, self._reserved(minutes, tasks, sizes, busy), PROVIDER)

    def _reserved(
        self, minutes: int, tasks: dict[str, Floats], sizes: dict[str, Floats], busy: Floats
    ) -> dict[str, Floats]:
        """Cluster metrics in percent of what the registered instances have."""
        from deploy.sandbox.ecs.instances import registered_resources

        cluster = self.sandbox.world.ecs_of(self.sandbox.region).by_name[CLUSTER]
        if minutes > 1:
            room, _ = registered_resources(INSTANCE_TYPE)
            cpu, memory = float(room.cpu_units * INSTANCES), float(room.memory_mib * INSTANCES)
        else:
            cpu = float(sum(i.registered.cpu_units for i in cluster.instances.values())) or 1.0
            memory = float(sum(i.registered.memory_mib for i in cluster.instances.values())) or 1.0
        reserved_cpu, reserved_memory = np.zeros(minutes), np.zeros(minutes)
        used_memory = np.zeros(minutes)
        for workload in WORKLOADS:
            if workload.name in tasks:
                reserved_cpu += tasks[workload.name] * sizes[workload.name]
                held = tasks[workload.name] * workload.memory_mib
                reserved_memory += held
                used_memory += held * (workload.memory_base + workload.memory_load / 2)
        found = {
            "CPUReservation": reserved_cpu / cpu * 100,
            "MemoryReservation": reserved_memory / memory * 100,
            "CPUUtilization": busy / cpu * 100,
            "MemoryUtilization": used_memory / memory * 100,
        }
        if minutes > 1:
            # Every instance ran tasks all the time, so as many were needed as there were: M = N.
            found["CapacityProviderReservation"] = np.full(minutes, 100.0)
        return found


def _counted(running: list[Task]) -> tuple[Floats, Floats]:
    """How many tasks run, and the CPU units that one of them reserves on average."""
    units = sum(task.needs.needs.cpu_units for task in running) / len(running)
    return np.array([float(len(running))]), np.array([float(units)])


def load(sandbox: Sandbox, seed: int) -> Sample:
    """Build the estate, write its history and let it go on; the estate is healthy when this returns."""
    sample = Sample(sandbox, seed)
    with sandbox.world.lock:
        sample.write_history()
        sandbox.world.every_minute("sample", sample.minute, first=True)
        sandbox.world.every(FAST_S, "sample", sample.twenty_seconds, first=True)
    return sample
