"""The service loop for 64 policies at once, compiled with numba; equal to the reference in every count.

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
"""Larger counts are cut here; no service has so many tasks, and int16 holds it."""
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
PER_TARGET, PER_LOW, WANTED, WANTED_LOW, CEILING, CEILING_LOW, GROUP_TARGET = 0, 1, 2, 3, 4, 5, 6
FLOAT_ROWS = 7

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
            running = np.float64(measured[i])
            wanted, most = load * f[PER_TARGET * LANES + i], running * f[CEILING * LANES + i]
            low, most_low = load * f[PER_LOW * LANES + i], running * f[CEILING_LOW * LANES + i]
            wanted = np.ceil((wanted if wanted < most else most) - TOLERANCE)
            low = np.floor((low if low < most_low else most_low) + TOLERANCE)
            f[WANTED * LANES + i] = wanted if wanted < MOST else MOST
            f[WANTED_LOW * LANES + i] = low if low < MOST else MOST
    else:
        for i in range(LANES):
            wanted = np.ceil(load * f[PER_TARGET * LANES + i] - TOLERANCE)
            low = np.floor(load * f[PER_LOW * LANES + i] + TOLERANCE)
            f[WANTED * LANES + i] = wanted if wanted < MOST else MOST
            f[WANTED_LOW * LANES + i] = low if low < MOST else MOST
    for i in range(LANES):
        s[NEEDED * LANES + i] = np.int16(f[WANTED * LANES + i])
        s[NEEDED_LOW * LANES + i] = np.int16(f[WANTED_LOW * LANES + i])


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
        same = f[WANTED * LANES + i]
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


@numba.njit(cache=True, nogil=True)
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
