"""How Karpenter would provision nodes for pods: greedy, one large node until nothing fits, then the next.

After karpenter's provisioning/scheduling (aws/karpenter-provider-aws and kubernetes-sigs/karpenter): pods by CPU
then memory, largest first; each pod goes to the in-flight node with the fewest pods that can still take it, a node
keeping every instance type that holds its pods; when none can, a new node is opened. At the end each node becomes
the cheapest type that is left to it. Consolidation (a node replaced by a cheaper one, or deleted) finds nothing to
do right after that, so it is not imitated; zones are, by giving each zone its even share of every service's pods.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from planner.alternatives.evaluation import Packed
from planner.model import InstanceType, Rejection, Resources, TaskType
from planner.units import UsdPerHour

Ints = npt.NDArray[np.int64]


@dataclass(slots=True)
class _Node:
    """An in-flight node: what its pods need together, and which types could still be it."""

    needs: Ints
    candidates: npt.NDArray[np.bool_]
    pods: int


def provision(tasks: Sequence[TaskType], types: Sequence[InstanceType], zones: int = 1) -> Packed | Rejection:
    """Nodes for the pods of `tasks`, the services spread evenly over `zones`. The cost has no lower bound."""
    rooms = np.array([_vector(t.room) for t in types])
    prices = np.array([t.usd_per_hour for t in types])
    ordered = sorted(tasks, key=lambda t: (-t.needs.cpu_units, -t.needs.memory_mib, t.service))
    counts: Counter[str] = Counter()
    cost = 0.0
    for zone in range(zones):
        nodes = _nodes_of_zone(ordered, rooms, types, zone, zones)
        if isinstance(nodes, Rejection):
            return nodes
        for node in nodes:
            cheapest = int(np.argmin(np.where(node.candidates, prices, np.inf)))
            counts[types[cheapest].instance_type] += 1
            cost += float(prices[cheapest])
    return Packed(tuple(sorted(counts.items())), UsdPerHour(cost), None)


def _nodes_of_zone(
    ordered: Sequence[TaskType], rooms: Ints, types: Sequence[InstanceType], zone: int, zones: int
) -> list[_Node] | Rejection:
    nodes: list[_Node] = []
    for task in ordered:
        share = task.count // zones + (zone < task.count % zones)
        needs = _vector(task.needs)
        runs_on = np.array([task.architecture in {None, t.architecture} for t in types])
        for _pod in range(share):
            if not _placed(nodes, needs, runs_on, rooms):
                fresh = runs_on & (rooms >= needs).all(axis=1)
                if not fresh.any():
                    return Rejection(task.service, "no node type holds one pod of it")
                nodes.append(_Node(needs.copy(), fresh, 1))
    return nodes


def _placed(nodes: list[_Node], needs: Ints, runs_on: npt.NDArray[np.bool_], rooms: Ints) -> bool:
    """Put one pod on the in-flight node with the fewest pods that some type still lets it join."""
    for node in sorted(nodes, key=lambda n: n.pods):
        together = node.needs + needs
        still = node.candidates & runs_on & (rooms >= together).all(axis=1)
        if still.any():
            node.needs, node.candidates, node.pods = together, still, node.pods + 1
            return True
    return False


def _vector(needs: Resources) -> Ints:
    return np.array([needs.cpu_units, needs.memory_mib, needs.enis, needs.gpus], dtype=np.int64)
