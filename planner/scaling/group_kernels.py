"""The group loop for 64 policies at once: managed scaling below the service loop of `kernels.py`.

Restricted to what counts alone can express: bin packing, so that tasks sit on ceil(tasks / room) instances,
no warm pool, and tasks that start within one tick. `lanes.unlaned` names what is left to the reference.
"""

from __future__ import annotations

import numba
import numpy as np

from planner.scaling.kernels import (
    BEFORE,
    DESIRED,
    GROUP_HIGH,
    GROUP_LOW,
    GROUP_MAXIMUM,
    GROUP_MINIMUM,
    GROUP_TARGET,
    INSTANCES,
    INVERSE,
    LANES,
    MOST,
    NEVER,
    OCCUPIED,
    ONE,
    OUT_A,
    OUT_B,
    OUT_LEFT,
    OUT_TICKS,
    PER_INSTANCE,
    PLACED,
    ROUNDING,
    RUNNING,
    SIZE,
    STEP_LEAST,
    STEP_MOST,
    STRAINS,
    TOLERANCE,
    UNFULFILLED,
    VIOLATIONS,
    WARM_LEFT,
    WARM_TICKS,
    ZERO,
    apply_bounds,
    call_alarms,
    move_desired,
    proportions,
    tasks_at_target,
)


@numba.njit(cache=True, nogil=True, inline="always")
def hold_cooldown(s):  # type: ignore[no-untyped-def]
    """A cooldown that starts at fulfilment keeps its length (and one tick to lose) while tasks are missing."""
    for i in range(LANES):
        waits, left, length = s[UNFULFILLED * LANES + i], s[OUT_LEFT * LANES + i], s[OUT_TICKS * LANES + i]
        running, desired = s[PLACED * LANES + i], s[DESIRED * LANES + i]
        s[OUT_LEFT * LANES + i] = np.int16(length + ONE) if waits > ZERO else left
        s[UNFULFILLED * LANES + i] = ZERO if running >= desired else waits


@numba.njit(cache=True, nogil=True, inline="always")
def place_tasks(s, g, booting):  # type: ignore[no-untyped-def]
    """Register booted instances, stop surplus tasks, place waiting ones where there is room."""
    for i in range(LANES):
        running, booted = s[INSTANCES * LANES + i], booting[i]
        s[INSTANCES * LANES + i] = np.int16(running + booted)
        booting[i] = ZERO
    for i in range(LANES):
        room = np.float32(s[INSTANCES * LANES + i]) * g[PER_INSTANCE * LANES + i]
        desired, placed = np.float32(s[DESIRED * LANES + i]), np.float32(s[PLACED * LANES + i])
        room = room if room > placed else placed
        fits = desired if desired < room else room
        g[OUT_A * LANES + i] = fits
        g[OUT_B * LANES + i] = np.floor((fits + g[ROUNDING * LANES + i]) * g[INVERSE * LANES + i])
    for i in range(LANES):
        s[PLACED * LANES + i] = np.int16(g[OUT_A * LANES + i])
        s[OCCUPIED * LANES + i] = np.int16(g[OUT_B * LANES + i])


@numba.njit(cache=True, nogil=True, inline="always")
def measure_group(s, g, f, measured, whole_target):  # type: ignore[no-untyped-def]
    """M of this tick for a later one: ceil(desired / tasks per instance), and the same over the target."""
    for i in range(LANES):
        desired = np.float32(s[DESIRED * LANES + i])
        g[OUT_A * LANES + i] = np.floor((desired + g[ROUNDING * LANES + i]) * g[INVERSE * LANES + i])
    if whole_target:
        for i in range(LANES):
            measured[i] = np.int16(g[OUT_A * LANES + i])
        for i in range(LANES):
            measured[LANES + i] = measured[i]
    else:
        for i in range(LANES):
            wanted = np.float64(g[OUT_A * LANES + i]) * f[GROUP_TARGET * LANES + i]
            most = np.ceil(wanted - TOLERANCE)
            least = np.floor(wanted + TOLERANCE)
            g[OUT_A * LANES + i] = np.float32(most if most < MOST else MOST)
            g[OUT_B * LANES + i] = np.float32(least if least < MOST else MOST)
        for i in range(LANES):
            measured[i] = np.int16(g[OUT_A * LANES + i])
        for i in range(LANES):
            measured[LANES + i] = np.int16(g[OUT_B * LANES + i])


@numba.njit(cache=True, nogil=True, inline="always")
def move_group(s, booting, measured, high_points, low_points):  # type: ignore[no-untyped-def]
    """Launch what is missing, or let empty instances go, on an earlier tick's measurement."""
    for i in range(LANES):
        wanted, below = measured[i], measured[LANES + i]
        running, size, placed_on = s[INSTANCES * LANES + i], s[SIZE * LANES + i], s[OCCUPIED * LANES + i]
        high, low, warm = s[GROUP_HIGH * LANES + i], s[GROUP_LOW * LANES + i], s[WARM_LEFT * LANES + i]
        minimum, maximum = s[GROUP_MINIMUM * LANES + i], s[GROUP_MAXIMUM * LANES + i]
        least, most, warm_ticks = s[STEP_LEAST * LANES + i], s[STEP_MOST * LANES + i], s[WARM_TICKS * LANES + i]
        launched = booting[i]
        more_high, more_low, cooler = np.int16(high + ONE), np.int16(low + ONE), np.int16(warm - ONE)
        high = more_high if wanted > running else ZERO
        low = more_low if below < running else ZERO
        high = high if high < np.int16(1000) else np.int16(1000)
        low = low if low < np.int16(1000) else np.int16(1000)
        warm = cooler if warm > ZERO else ZERO
        out = high >= high_points
        low = ZERO if out else low
        missing = np.int16(wanted - size)
        step = missing if missing > least else least
        step = step if step < most else most
        room = np.int16(maximum - size)
        step = step if step < room else room
        launch = out & (warm == ZERO) & (missing > ZERO) & (step > ZERO)
        step = step if launch else ZERO
        keep = wanted if wanted > minimum else minimum
        spare = np.int16(running - keep)
        empty = np.int16(running - placed_on)
        half = np.int16(np.int16(running - ONE) >> 1)
        half = half if half > ONE else ONE
        leaving = spare if spare < empty else empty
        leaving = leaving if leaving < half else half
        leaves = (low >= low_points) & (leaving > ZERO)
        leaving = leaving if leaves else ZERO
        s[GROUP_HIGH * LANES + i] = high
        s[GROUP_LOW * LANES + i] = low
        s[WARM_LEFT * LANES + i] = warm_ticks if launch else warm
        s[INSTANCES * LANES + i] = np.int16(running - leaving)
        s[SIZE * LANES + i] = np.int16(np.int16(size + step) - leaving)
        booting[i] = np.int16(launched + step)


@numba.njit(cache=True, nogil=True, inline="always")
def run_placed(s):  # type: ignore[no-untyped-def]
    """`run_tasks_next_tick` for placed tasks."""
    for i in range(LANES):
        placed, before = s[PLACED * LANES + i], s[BEFORE * LANES + i]
        s[RUNNING * LANES + i] = placed if placed < before else before
        s[BEFORE * LANES + i] = placed


@numba.njit(cache=True, nogil=True, inline="always")
def judge_group(s, publish, task_ticks, instance_ticks, needed, strained):  # type: ignore[no-untyped-def]
    """`judge`, paying placed tasks and launched instances."""
    for i in range(LANES):
        running = s[RUNNING * LANES + i]
        violations, strains = s[VIOLATIONS * LANES + i], s[STRAINS * LANES + i]
        publish[i] = running
        s[VIOLATIONS * LANES + i] = np.int16(violations + ONE) if needed > running else violations
        s[STRAINS * LANES + i] = np.int16(strains + ONE) if strained > running else strains
    for i in range(LANES):
        task_ticks[i] += s[PLACED * LANES + i]
    for i in range(LANES):
        instance_ticks[i] += s[SIZE * LANES + i]


@numba.njit(cache=True, nogil=True)
def run_block_on_instances(  # type: ignore[no-untyped-def]
    first, last, load, new_points, source, high_points, low_points, needed, strained, low, high, changed,
    deploying, s, f, g, published, booting, measured, task_ticks, instance_ticks, divides, capped,
    fulfils, whole_target, group_high_points, group_low_points,
):  # fmt: skip
    """`run_block` with managed scaling below it; a tick is a minute and tasks start within one tick.

    `booting` is a ring with one row a tick of boot time; `measured` a ring of row pairs (M over the target,
    rounded up and down) with one pair a minute of delay.
    """
    rows = published.shape[0] // LANES
    boot_rows = booting.shape[0] // LANES
    late = measured.shape[0] // (2 * LANES)
    for tick in range(first, last):
        if fulfils:
            hold_cooldown(s)
        if changed[tick] != 0:
            apply_bounds(s, low[tick], high[tick], deploying[tick])
        at = source[tick]
        running = published[at : at + LANES]
        tasks_at_target(load[tick], s, f, running, capped)
        high_needed = high_points[tick]
        low_needed = low_points[tick] if deploying[tick] == 0 else np.int16(NEVER)
        differs = call_alarms(s, running, new_points[tick], high_needed, low_needed)
        if divides and differs != ZERO:
            proportions(load[tick], s, f, running, capped)
        move_desired(s, high_needed)
        slot = (tick % boot_rows) * LANES
        boot = booting[slot : slot + LANES]
        place_tasks(s, g, boot)
        pair = (tick % late) * 2 * LANES
        earlier = measured[pair : pair + 2 * LANES]
        if tick >= late:
            move_group(s, boot, earlier, group_high_points, group_low_points)
        measure_group(s, g, f, earlier, whole_target)
        run_placed(s)
        to = (tick % rows) * LANES
        judge_group(s, published[to : to + LANES], task_ticks, instance_ticks, needed[tick], strained[tick])
