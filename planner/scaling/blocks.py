"""What each lane of a block starts with: the rows of `kernels` filled from policies."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from planner.scaling.policies import CapacityProvider, Policy
from planner.scaling.proposals import metric_scale
from planner.scaling.provider import Group
from planner.scaling.shared import FloatArray, Shared, aligned
from planner.units import SECONDS_PER_MINUTE, share


def block_state(shared: Shared, policies: Sequence[Policy]) -> tuple[NDArray[np.int16], FloatArray]:
    """The int16 and the float64 rows, shape (rows, lanes); lanes to spare repeat the last policy."""
    from planner.scaling import kernels

    lanes = lanes_for(len(policies))
    rows, floats = np.zeros((kernels.ROWS, lanes), np.int16), np.zeros((kernels.FLOAT_ROWS, lanes))
    for lane, policy in enumerate(policies):
        tracking = policy.target_tracking[0]
        low, high = shared.initial_minimum, shared.initial_maximum
        if not shared.bounds_are_shared:
            rows[kernels.LOWEST, lane] = policy.min
            rows[kernels.HIGHEST, lane] = min(policy.max, int(kernels.MOST))
            low, high = max(low, policy.min), min(high, policy.max)
        else:
            rows[kernels.HIGHEST, lane] = int(kernels.MOST)
        initial = low if policy.initial is None else policy.initial
        rows[kernels.DESIRED, lane] = min(max(initial, low), high)
        rows[kernels.BEFORE, lane] = rows[kernels.DESIRED, lane]
        rows[kernels.OUT_TICKS, lane] = math.ceil(tracking.scale_out_cooldown_s / tracking.period_s)
        rows[kernels.IN_TICKS, lane] = math.ceil(tracking.scale_in_cooldown_s / tracking.period_s)
        most = int(kernels.MOST) if tracking.maximum_scale_in is None else tracking.maximum_scale_in
        rows[kernels.SCALE_IN_MOST, lane] = 0 if tracking.disable_scale_in else most
        per_target = metric_scale(tracking.metric, policy) / tracking.target
        floats[kernels.PER_TARGET, lane] = per_target
        floats[kernels.PER_LOW, lane] = per_target / tracking.low_alarm_factor
        if tracking.metric_ceiling_percent is not None:
            ceiling = tracking.metric_ceiling_percent / tracking.target
            floats[kernels.CEILING, lane] = ceiling
            floats[kernels.CEILING_LOW, lane] = ceiling / tracking.low_alarm_factor
    _repeat_last(rows, len(policies))
    _repeat_last(floats, len(policies))
    return rows, floats


def lanes_for(policies: int) -> int:
    """Whole vectors that hold so many policies."""
    from planner.scaling.kernels import WIDTH

    return -(-policies // WIDTH) * WIDTH


def by_vector(block: NDArray[Any]) -> NDArray[Any]:
    """Rows of a block, shape (rows, lanes), in the kernels' order: vector by vector, flat."""
    from planner.scaling.kernels import WIDTH

    rows = len(block)
    found = aligned(block.size, block.dtype)
    found.reshape(-1, rows, WIDTH)[:] = block.reshape(rows, -1, WIDTH).transpose(1, 0, 2)
    return found


def _repeat_last(block: NDArray[Any], used: int) -> None:
    block[:, used:] = block[:, used - 1 : used]  # a lane without tasks would divide by zero


def add_group(policies: Sequence[Policy], rows: NDArray[np.int16], floats: FloatArray) -> None:
    """Fill the rows of managed scaling of a block from `block_state`."""
    from planner.scaling import kernels

    unused = np.random.default_rng(0)
    for lane, policy in enumerate(policies):
        provider = policy.capacity_provider
        if provider is None:
            raise ValueError("a block on instances needs a capacity provider in every policy")
        room = provider.tasks_per_instance
        rows[kernels.PER_INSTANCE, lane] = room
        rows[kernels.RECIPROCAL, lane], rows[kernels.SHIFT, lane] = reciprocal_of(room)
        floats[kernels.GROUP_TARGET, lane] = 1 / share(provider.target_capacity_percent)
        group = Group(provider, policy.delays.instance_boot_s, unused)
        tasks = int(rows[kernels.DESIRED, lane])
        running = min(max(group.wanted(group.needed(tasks)), provider.min_size), provider.max_size)
        rows[kernels.INSTANCES, lane] = rows[kernels.SIZE, lane] = running
        rows[kernels.PLACED, lane] = min(tasks, running * room)
        rows[kernels.GROUP_MINIMUM, lane] = provider.min_size
        rows[kernels.GROUP_MAXIMUM, lane] = min(provider.max_size, int(kernels.MOST))
        rows[kernels.STEP_LEAST, lane] = provider.minimum_step
        rows[kernels.STEP_MOST, lane] = provider.maximum_step
        rows[kernels.WARM_TICKS, lane] = math.ceil(provider.instance_warmup_s / SECONDS_PER_MINUTE)
    _repeat_last(rows, len(policies))
    _repeat_last(floats, len(policies))


def most_instances(provider: CapacityProvider | None, tasks: int) -> int:
    """Instances that a group for so many tasks can ever have: a launch adds a whole step at the least."""
    if provider is None:
        return 0
    wanted = math.ceil(math.ceil(tasks / provider.tasks_per_instance) / share(provider.target_capacity_percent))
    return min(provider.max_size, max(provider.min_size, wanted + provider.minimum_step))


def reciprocal_of(divisor: int) -> tuple[np.int16, int]:
    """Factor (an unsigned 16-bit pattern) and shift for kernels.divide, for counts below 2 ** 15."""
    shift = (divisor - 1).bit_length()
    return np.uint16(-(-(1 << (15 + shift)) // divisor)).view(np.int16), shift
