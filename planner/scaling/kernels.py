"""Both loops for 64 policies at once, compiled with numba; equal to the reference in every count.

One module on purpose: numba's cache notices only changes of the file a compiled function stands in, so a
constant or helper imported from elsewhere could leave stale machine code behind, silently wrong.

State is one int16 block of ROWS x LANES with constant strides, so that the compiler sees that rows do not
alias and turns each loop over lanes into vector code; demand meets targets in float64, everything after is
whole numbers. The functions are written for that compiler: load every input first, choose with conditional
expressions, store last. What a tick does is told in `replay.py`; here one tick is one turn of `run_block`.
"""

from __future__ import annotations

import numba
import numpy as np

LANES = 64
MOST = 30_000.0
"""int16 holds it, and no service has so many tasks; lanes.overflows keeps larger demand away."""
NEVER = 32_767
TOLERANCE = 1e-6  # planner.scaling.rounding.TOLERANCE; numba needs it as a global of this module

# Rows of the state block
DESIRED, BASE, OUT_LEFT, IN_LEFT, HIGH, LOW, LOWEST, HIGHEST = 0, 1, 2, 3, 4, 5, 6, 7
OUT_TICKS, IN_TICKS, SCALE_IN_MOST, NEEDED, NEEDED_LOW, OUTS, INS = 8, 9, 10, 11, 12, 13, 14
VIOLATIONS, FROM, MINIMUM, MAXIMUM, RUNNING, HIGH_CALL, LOW_CALL, LEAST = 15, 16, 17, 18, 19, 20, 21, 22
STRAINS, BEFORE = 23, 24
# Rows of managed scaling
PLACED, INSTANCES, SIZE, WARM_LEFT, GROUP_HIGH, GROUP_LOW, OCCUPIED, UNFULFILLED = 25, 26, 27, 28, 29, 30, 31, 32
GROUP_MINIMUM, GROUP_MAXIMUM, STEP_LEAST, STEP_MOST, WARM_TICKS = 33, 34, 35, 36, 37
ROWS = 38
# Rows of the float64 block
PER_TARGET, PER_LOW, WANTED, CEILING, CEILING_LOW, GROUP_TARGET = 0, 1, 2, 3, 4, 5
FLOAT_ROWS = 6

# Rows of the float32 block, exact for whole numbers below 2 ** 24
PER_INSTANCE, INVERSE, ROUNDING, OUT_A, OUT_B = 0, 1, 2, 3, 4
GROUP_ROWS = 5

ZERO = np.int16(0)
ONE = np.int16(1)
NOTHING = np.int16(-32_768)


@numba.njit(cache=True, nogil=True, inline="always")
def apply_bounds(s, low, high, deploying):  # type: ignore[no-untyped-def]
    """Bounds of this tick: the desired count moves into them at once, downwards not while deploying."""
    for i in range(LANES):
        desired, lowest, highest = s[DESIRED * LANES + i], s[LOWEST * LANES + i], s[HIGHEST * LANES + i]
        outs, ins = s[OUTS * LANES + i], s[INS * LANES + i]
        lowest = lowest if lowest > low else low
        highest = highest if highest < high else high
        bounded = desired if desired > lowest else lowest
        bounded = bounded if bounded < highest else highest
        bounded = bounded if ((bounded > desired) | (deploying == 0)) else desired
        s[MINIMUM * LANES + i] = lowest
        s[MAXIMUM * LANES + i] = highest
        s[OUTS * LANES + i] = np.int16(outs + ONE) if bounded > desired else outs
        s[INS * LANES + i] = np.int16(ins + ONE) if bounded < desired else ins
        s[DESIRED * LANES + i] = bounded


@numba.njit(cache=True, nogil=True, inline="always")
def tasks_at_target(load, s, f, measured, capped):  # type: ignore[no-untyped-def]
    """Whole tasks at which the load sits at the target, and above which it is below the low alarm."""
    if capped:
        for i in range(LANES):
            wanted = load * f[PER_TARGET * LANES + i]
            most = np.float64(measured[i]) * f[CEILING * LANES + i]
            s[NEEDED * LANES + i] = np.int16(np.ceil((wanted if wanted < most else most) - TOLERANCE))
        for i in range(LANES):
            wanted = load * f[PER_LOW * LANES + i]
            most = np.float64(measured[i]) * f[CEILING_LOW * LANES + i]
            s[NEEDED_LOW * LANES + i] = np.int16((wanted if wanted < most else most) + TOLERANCE)
    else:
        for i in range(LANES):
            s[NEEDED * LANES + i] = np.int16(np.ceil(load * f[PER_TARGET * LANES + i] - TOLERANCE))
        for i in range(LANES):
            s[NEEDED_LOW * LANES + i] = np.int16(load * f[PER_LOW * LANES + i] + TOLERANCE)


@numba.njit(cache=True, nogil=True, inline="always")
def call_alarms(s, measured, new_points, high_points, low_points):  # type: ignore[no-untyped-def]
    """Advance alarms and cooldowns; FROM becomes the count a call starts from, or NOTHING.

    Returns whether any call starts from a count other than the one its metric was measured at, where the
    proportion needs a division.
    """
    differs = ZERO
    for i in range(LANES):
        running = measured[i]
        needed, needed_low = s[NEEDED * LANES + i], s[NEEDED_LOW * LANES + i]
        high, low = s[HIGH * LANES + i], s[LOW * LANES + i]
        out_left, in_left = s[OUT_LEFT * LANES + i], s[IN_LEFT * LANES + i]
        desired, base = s[DESIRED * LANES + i], s[BASE * LANES + i]
        more_high, more_low = np.int16(high + new_points), np.int16(low + new_points)
        less_out, less_in = np.int16(out_left - ONE), np.int16(in_left - ONE)
        high = more_high if needed > running else ZERO
        low = more_low if needed_low < running else ZERO
        out_left = less_out if out_left > ZERO else ZERO
        in_left = less_in if in_left > ZERO else ZERO
        start = desired if ((low >= low_points) & (in_left == ZERO)) else NOTHING
        cooled = base if out_left > ZERO else desired
        start = cooled if high >= high_points else start
        other = ONE if ((start != running) & (start != NOTHING)) else ZERO
        s[HIGH * LANES + i] = high
        s[LOW * LANES + i] = low
        s[OUT_LEFT * LANES + i] = out_left
        s[IN_LEFT * LANES + i] = in_left
        s[FROM * LANES + i] = start
        differs = differs if differs > other else other
    return differs


@numba.njit(cache=True, nogil=True, inline="always")
def call_once_a_minute(s, high_points, low_points, ticks_per_minute):  # type: ignore[no-untyped-def]
    """With ticks under a minute: an alarm calls on entering ALARM and then every minute."""
    for i in range(LANES):
        high, low, start = s[HIGH * LANES + i], s[LOW * LANES + i], s[FROM * LANES + i]
        high_left = np.int16(s[HIGH_CALL * LANES + i] - ONE)
        low_left = np.int16(s[LOW_CALL * LANES + i] - ONE)
        high_due = (high >= high_points) & (high_left <= ZERO)
        low_due = (low >= low_points) & (low_left <= ZERO)
        high_left = ticks_per_minute if high_due else high_left
        low_left = ticks_per_minute if low_due else low_left
        s[HIGH_CALL * LANES + i] = high_left if high >= high_points else ZERO
        s[LOW_CALL * LANES + i] = low_left if low >= low_points else ZERO
        s[FROM * LANES + i] = start if (high_due | (low_due & (high < high_points))) else NOTHING


@numba.njit(cache=True, nogil=True, inline="always")
def proportions(load, s, f, measured, capped):  # type: ignore[no-untyped-def]
    """ceil(capacity * metric / target) where the capacity is not the measured one."""
    for i in range(LANES):
        running = np.float64(measured[i])
        start = np.float64(s[FROM * LANES + i])
        needed = load * f[PER_TARGET * LANES + i]
        limit = running * f[CEILING * LANES + i]
        needed = limit if ((needed > limit) & capped) else needed
        scaled = np.ceil(start * needed / running - TOLERANCE)
        same = np.float64(s[NEEDED * LANES + i])
        wanted = scaled if start != running else same
        f[WANTED * LANES + i] = wanted if wanted < MOST else MOST
    for i in range(LANES):
        s[NEEDED * LANES + i] = np.int16(f[WANTED * LANES + i])


@numba.njit(cache=True, nogil=True, inline="always")
def move_desired(s, high_points):  # type: ignore[no-untyped-def]
    """Scale out, or else in; start the cooldown; a scale-out ends the scale-in cooldown."""
    for i in range(LANES):
        desired, lowest, highest = s[DESIRED * LANES + i], s[MINIMUM * LANES + i], s[MAXIMUM * LANES + i]
        wanted, start, high = s[NEEDED * LANES + i], s[FROM * LANES + i], s[HIGH * LANES + i]
        out_left, in_left, base = s[OUT_LEFT * LANES + i], s[IN_LEFT * LANES + i], s[BASE * LANES + i]
        out_ticks, in_ticks, most = s[OUT_TICKS * LANES + i], s[IN_TICKS * LANES + i], s[SCALE_IN_MOST * LANES + i]
        outs, ins, waits = s[OUTS * LANES + i], s[INS * LANES + i], s[UNFULFILLED * LANES + i]
        more = wanted if wanted < highest else highest
        out = (high >= high_points) & (start != NOTHING) & (more > desired)
        least = np.int16(desired - most)
        fewer = wanted if wanted > least else least
        fewer = fewer if fewer > lowest else lowest
        into = (high < high_points) & (start != NOTHING) & (fewer < desired)
        before = base if out_left > ZERO else desired
        in_left = in_ticks if into else in_left
        after = fewer if into else desired
        s[BASE * LANES + i] = before if out else base
        s[OUT_LEFT * LANES + i] = out_ticks if out else out_left
        s[IN_LEFT * LANES + i] = ZERO if out else in_left
        s[OUTS * LANES + i] = np.int16(outs + ONE) if out else outs
        s[INS * LANES + i] = np.int16(ins + ONE) if into else ins
        s[UNFULFILLED * LANES + i] = ONE if out else waits
        s[DESIRED * LANES + i] = more if out else after


@numba.njit(cache=True, nogil=True, inline="always")
def run_tasks(s, history, tick, start_ticks):  # type: ignore[no-untyped-def]
    """Tasks that ran since before the last `start_ticks` ticks: the newest leave first, so it is a minimum."""
    newest = (tick % (start_ticks + 1)) * LANES
    row = history[newest : newest + LANES]
    for i in range(LANES):
        row[i] = s[DESIRED * LANES + i]
    for i in range(LANES):
        s[RUNNING * LANES + i] = s[DESIRED * LANES + i]
    for j in range(start_ticks + 1):
        other = history[j * LANES : (j + 1) * LANES]
        for i in range(LANES):
            running, then = s[RUNNING * LANES + i], other[i]
            s[RUNNING * LANES + i] = running if running < then else then


@numba.njit(cache=True, nogil=True, inline="always")
def run_tasks_next_tick(s):  # type: ignore[no-untyped-def]
    """`run_tasks` for the usual start within one tick: the lesser of this desired count and the last."""
    for i in range(LANES):
        desired, before = s[DESIRED * LANES + i], s[BEFORE * LANES + i]
        s[RUNNING * LANES + i] = desired if desired < before else before
        s[BEFORE * LANES + i] = desired


@numba.njit(cache=True, nogil=True, inline="always")
def judge(s, publish, task_ticks, needed, strained):  # type: ignore[no-untyped-def]
    """Publish the running count, pay the tasks, count violations (needed is 0 where none is judged)."""
    for i in range(LANES):
        running = s[RUNNING * LANES + i]
        violations, strains = s[VIOLATIONS * LANES + i], s[STRAINS * LANES + i]
        publish[i] = running
        s[VIOLATIONS * LANES + i] = np.int16(violations + ONE) if needed > running else violations
        s[STRAINS * LANES + i] = np.int16(strains + ONE) if strained > running else strains
    for i in range(LANES):
        task_ticks[i] += s[DESIRED * LANES + i]


@numba.njit(cache=True, nogil=True, inline="always")
def judge_minute(s, publish, task_ticks, needed, strained, part, parts):  # type: ignore[no-untyped-def]
    """`judge` with several ticks a minute: the least running count of the minute is the one judged."""
    for i in range(LANES):
        running, least = s[RUNNING * LANES + i], s[LEAST * LANES + i]
        violations, strains = s[VIOLATIONS * LANES + i], s[STRAINS * LANES + i]
        least = running if ((running < least) | (part == 0)) else least
        publish[i] = running
        s[LEAST * LANES + i] = least
        violates, strain = (needed > least) & (part == parts - 1), (strained > least) & (part == parts - 1)
        s[VIOLATIONS * LANES + i] = np.int16(violations + ONE) if violates else violations
        s[STRAINS * LANES + i] = np.int16(strains + ONE) if strain else strains
    for i in range(LANES):
        task_ticks[i] += s[DESIRED * LANES + i]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def run_block(  # type: ignore[no-untyped-def]
    first, last, load, new_points, source, high_points, low_points, needed, strained, low, high, changed,
    deploying, s, f, published, history, task_ticks, start_ticks, ticks_per_minute, divides, capped,
):  # fmt: skip
    """Ticks `first` to `last` for one block. Arrays of the first two lines have one value a tick:

    `load` of the newest published datapoint, whether it is new, where its running count is in `published`,
    the datapoints that make each alarm, tasks that the utilisation objective and its strained form
    need, bounds.
    """
    rows = published.shape[0] // LANES
    for tick in range(first, last):
        if changed[tick] != 0:
            apply_bounds(s, low[tick], high[tick], deploying[tick])
        at = source[tick]
        measured = published[at : at + LANES]
        tasks_at_target(load[tick], s, f, measured, capped)
        high_needed = high_points[tick]
        low_needed = low_points[tick] if deploying[tick] == 0 else np.int16(NEVER)
        differs = call_alarms(s, measured, new_points[tick], high_needed, low_needed)
        if ticks_per_minute > 1:
            call_once_a_minute(s, high_needed, low_points[tick], np.int16(ticks_per_minute))
        if divides and differs != ZERO:
            proportions(load[tick], s, f, measured, capped)
        move_desired(s, high_needed)
        if start_ticks == 1:
            run_tasks_next_tick(s)
        else:
            run_tasks(s, history, tick, start_ticks)
        to = (tick % rows) * LANES
        publish = published[to : to + LANES]
        if ticks_per_minute == 1:
            judge(s, publish, task_ticks, needed[tick], strained[tick])
        else:
            part = tick % ticks_per_minute
            judge_minute(s, publish, task_ticks, needed[tick], strained[tick], part, ticks_per_minute)


# Managed scaling below the service: bin packing, so that tasks sit on ceil(tasks / room) instances, no warm
# pool, and tasks that start within one tick. `lanes.unlaned` names what is left to the reference.


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


@numba.njit(cache=True, nogil=True, error_model="numpy")
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
