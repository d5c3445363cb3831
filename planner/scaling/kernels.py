"""Both loops for 128 policies at once, compiled with numba; equal to the reference in every count.

One module on purpose: numba's cache notices only changes of the file a compiled function stands in, so a
constant or helper imported from elsewhere could leave stale machine code behind, silently wrong.

State is one int16 block of ROWS x LANES with constant strides, so that the compiler sees that rows do not
alias and turns each loop over lanes into vector code; demand meets targets in float64, everything after is
whole numbers. Stores are what a tick waits for, so each loop does as much as it can between one load and one
store of a row. The functions are written for that compiler: load every input first, choose with conditional
expressions, store last. What a tick does is told in `replay.py`; here one tick is one turn of a day's loop.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba.extending import intrinsic

LANES = 128
"""Four vectors a row at 512 bits: enough independent work to hide how long each takes."""
AHEAD = 32
"""Ticks whose tasks at target are worked out in one go, before the state that waits for them."""
MOST = 30_000.0
"""int16 holds it, and no service has so many tasks; lanes.overflows keeps larger demand away."""
SUM_MOST = 65_535
"""What an unsigned 16-bit sum of tasks holds before it must be added to the day's."""
NEVER = 32_767
STREAK = 1_000
"""Alarm counters stop here at the end of a day; no alarm needs so many datapoints."""
TOLERANCE = 1e-6  # planner.scaling.rounding.TOLERANCE; numba needs it as a global of this module
ROUND_UP = 1.0 - TOLERANCE

# Rows of the state block
DESIRED, BASE, OUT_LEFT, IN_LEFT, HIGH, LOW, LOWEST, HIGHEST = 0, 1, 2, 3, 4, 5, 6, 7
OUT_TICKS, IN_TICKS, SCALE_IN_MOST, OUTS, INS, VIOLATIONS, STRAINS = 8, 9, 10, 11, 12, 13, 14
FROM, MINIMUM, MAXIMUM, RUNNING, HIGH_CALL, LOW_CALL, LEAST, BEFORE, TASKS = 15, 16, 17, 18, 19, 20, 21, 22, 23
# Rows of managed scaling
PLACED, INSTANCES, SIZE, WARM_LEFT, GROUP_HIGH, GROUP_LOW, UNFULFILLED, SIZES = 24, 25, 26, 27, 28, 29, 30, 31
GROUP_MINIMUM, GROUP_MAXIMUM, STEP_LEAST, STEP_MOST, WARM_TICKS, PER_INSTANCE = 32, 33, 34, 35, 36, 37
GROUP_NEEDS, GROUP_WANTED, GROUP_KEPT, RECIPROCAL, SHIFT = 38, 39, 40, 41, 42
ROWS = 43
# Rows of the float64 block
PER_TARGET, PER_LOW, WANTED, CEILING, CEILING_LOW, GROUP_TARGET = 0, 1, 2, 3, 4, 5
FLOAT_ROWS = 6

ZERO = np.int16(0)
ONE = np.int16(1)
NOTHING = np.int16(-32_768)
NO_COUNT = np.int16(-1)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def prepare(  # type: ignore[no-untyped-def]
    demand, parts, late, rows, high_datapoints, low_datapoints, extra,
    load, new_points, source, high_points, low_points,
):  # fmt: skip
    """Fill the last five arrays, one value a tick: what every policy of a block sees (shared.Shared).

    `demand` is by minute, NaN where unknown. A tick's newest datapoint is the last known one of `late` + 1
    ticks ago or before. An alarm needs fewer datapoints where some of its evaluation range (`extra` longer
    than the alarm) are missing, and none calls where all are; before the replay the metric counts as
    published.
    """
    ticks = len(load)
    shift = min(late + 1, ticks)
    newest, arriving, part = 0.0, 0, 0
    at, of_newest = 0, 0
    high_missing, low_missing = 0, 0
    high_range, low_range = high_datapoints + extra, low_datapoints + extra
    for tick in range(ticks):
        arrives = False
        if tick >= shift:
            value = demand[arriving]
            arrives = value == value
            newest = value if arrives else newest
            of_newest = at if arrives else of_newest
            at = at + 1 if at + 1 < rows else 0
            part += 1
            if part == parts:
                part = 0
                arriving += 1
            gone = 0 if arrives else 1
            high_missing += gone
            low_missing += gone
        if tick - high_range >= shift and new_points[tick - high_range] == ZERO:
            high_missing -= 1
        if tick - low_range >= shift and new_points[tick - low_range] == ZERO:
            low_missing -= 1
        load[tick], source[tick], new_points[tick] = newest, of_newest * LANES, ONE if arrives else ZERO
        there = high_range - high_missing
        high_points[tick] = NEVER if there == 0 else min(there, high_datapoints)
        there = low_range - low_missing
        low_points[tick] = NEVER if there == 0 else min(there, low_datapoints)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def tasks_needed(demand, factor, vcpu, needed):  # type: ignore[no-untyped-def]
    """Whole tasks of `vcpu` each that serve `factor` times each minute's demand, 0 where it is unknown."""
    for minute in range(len(demand)):
        value = demand[minute]
        tasks = np.floor(value * factor / vcpu + ROUND_UP)
        tasks = tasks if tasks < MOST else MOST
        needed[minute] = np.int16(tasks if value == value else 0.0)


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


@numba.njit(cache=True, nogil=True)
def tasks_ahead(first, last, load, f, ahead):  # type: ignore[no-untyped-def]
    """Whole tasks at which each tick's load sits at the target, and above which it is below the low alarm.

    Not inlined: on its own the compiler vectorises it, inside the long loop it does not.
    """
    for tick in range(first, last):
        at = (tick - first) * 2 * LANES
        row = ahead[at : at + 2 * LANES]
        for i in range(LANES):
            row[i] = np.int16(load[tick] * f[PER_TARGET * LANES + i] + ROUND_UP)
        for i in range(LANES):
            row[LANES + i] = np.int16(load[tick] * f[PER_LOW * LANES + i] + TOLERANCE)


@numba.njit(cache=True, nogil=True)
def tasks_capped(load, f, measured, row):  # type: ignore[no-untyped-def]
    """The same for one tick, where the metric cannot show more than a ceiling on the running tasks."""
    for i in range(LANES):
        wanted = load * f[PER_TARGET * LANES + i]
        most = np.float64(measured[i]) * f[CEILING * LANES + i]
        row[i] = np.int16((wanted if wanted < most else most) + ROUND_UP)
    for i in range(LANES):
        wanted = load * f[PER_LOW * LANES + i]
        most = np.float64(measured[i]) * f[CEILING_LOW * LANES + i]
        row[LANES + i] = np.int16((wanted if wanted < most else most) + TOLERANCE)


@numba.njit(cache=True, nogil=True, inline="always")
def act(s, need, measured, new_points, high_points, low_points, direct, grouped):  # type: ignore[no-untyped-def]
    """Advance alarms and cooldowns, and scale out, or else in, where a call needs no division.

    A call that starts from a count other than the one its metric was measured at needs a proportion: FROM
    becomes that count and `move_desired` finishes it, as it does every call unless `direct`. Returns whether
    any lane waits for that. A scale-out ends the scale-in cooldown. `grouped` is a constant for the compiler.
    """
    waiting = NOTHING
    for i in range(LANES):
        running, needed, needed_low = measured[i], need[i], need[LANES + i]
        high, low = s[HIGH * LANES + i], s[LOW * LANES + i]
        out_left, in_left = s[OUT_LEFT * LANES + i], s[IN_LEFT * LANES + i]
        desired, base = s[DESIRED * LANES + i], s[BASE * LANES + i]
        lowest, highest = s[MINIMUM * LANES + i], s[MAXIMUM * LANES + i]
        out_ticks, in_ticks, most = s[OUT_TICKS * LANES + i], s[IN_TICKS * LANES + i], s[SCALE_IN_MOST * LANES + i]
        outs, ins = s[OUTS * LANES + i], s[INS * LANES + i]
        same = running if direct else NO_COUNT
        more_high, more_low = np.int16(high + new_points), np.int16(low + new_points)
        less_out, less_in = np.int16(out_left - ONE), np.int16(in_left - ONE)
        high = more_high if needed > running else ZERO
        low = more_low if needed_low < running else ZERO
        out_left = less_out if out_left > ZERO else ZERO
        in_left = less_in if in_left > ZERO else ZERO
        before = base if out_left > ZERO else desired
        start = desired if ((low >= low_points) & (in_left == ZERO)) else NOTHING
        start = before if high >= high_points else start
        more = needed if needed < highest else highest
        out = (high >= high_points) & (start == same) & (more > desired)
        least = np.int16(desired - most)
        fewer = needed if needed > least else least
        fewer = fewer if fewer > lowest else lowest
        into = (high < high_points) & (start == same) & (fewer < desired)
        in_left = in_ticks if into else in_left
        after = fewer if into else desired
        later = start if start != same else NOTHING
        s[HIGH * LANES + i] = high
        s[LOW * LANES + i] = low
        s[BASE * LANES + i] = before if out else base
        s[OUT_LEFT * LANES + i] = out_ticks if out else out_left
        s[IN_LEFT * LANES + i] = ZERO if out else in_left
        s[OUTS * LANES + i] = np.int16(outs + ONE) if out else outs
        s[INS * LANES + i] = np.int16(ins + ONE) if into else ins
        s[DESIRED * LANES + i] = more if out else after
        s[FROM * LANES + i] = later
        if grouped:
            unfulfilled = s[UNFULFILLED * LANES + i]
            s[UNFULFILLED * LANES + i] = ONE if out else unfulfilled
        waiting = waiting if waiting > later else later
    return waiting != NOTHING


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


@numba.njit(cache=True, nogil=True)
def proportions(load, s, f, measured, need, capped):  # type: ignore[no-untyped-def]
    """ceil(capacity * metric / target) where the capacity is not the measured one."""
    for i in range(LANES):
        running = np.float64(measured[i])
        start = np.float64(s[FROM * LANES + i])
        needed = load * f[PER_TARGET * LANES + i]
        limit = running * f[CEILING * LANES + i]
        needed = limit if ((needed > limit) & capped) else needed
        scaled = np.floor(start * needed / running + ROUND_UP)
        same = np.float64(need[i])
        wanted = scaled if start != running else same
        f[WANTED * LANES + i] = wanted if wanted < MOST else MOST
    for i in range(LANES):
        need[i] = np.int16(f[WANTED * LANES + i])


@numba.njit(cache=True, nogil=True)
def move_desired(s, need, high_points):  # type: ignore[no-untyped-def]
    """What `act` does with a call, for the calls it left in FROM."""
    for i in range(LANES):
        desired, lowest, highest = s[DESIRED * LANES + i], s[MINIMUM * LANES + i], s[MAXIMUM * LANES + i]
        wanted, start, high = need[i], s[FROM * LANES + i], s[HIGH * LANES + i]
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
def settle(s, placed_row, publish, needed, strained):  # type: ignore[no-untyped-def]
    """Run, publish and judge where tasks start within one tick: the lesser of this tick's and the last's.

    `placed_row` (a constant for the compiler) holds the tasks that have a place; `needed` is 0 where no
    minute is judged.
    """
    for i in range(LANES):
        placed, before, tasks = s[placed_row * LANES + i], s[BEFORE * LANES + i], s[TASKS * LANES + i]
        violations, strains = s[VIOLATIONS * LANES + i], s[STRAINS * LANES + i]
        running = placed if placed < before else before
        publish[i] = running
        s[BEFORE * LANES + i] = placed
        s[TASKS * LANES + i] = np.int16(tasks + placed)
        s[VIOLATIONS * LANES + i] = np.int16(violations + ONE) if needed > running else violations
        s[STRAINS * LANES + i] = np.int16(strains + ONE) if strained > running else strains


@numba.njit(cache=True, nogil=True)
def settle_late(s, history, tick, start_ticks, publish, needed, strained, part, parts):  # type: ignore[no-untyped-def]
    """`settle` for any task start and several ticks a minute.

    Tasks that ran since before the last `start_ticks` ticks are a minimum over those ticks, because the
    newest leave first. The least running count of a minute is the one judged.
    """
    newest = (tick % (start_ticks + 1)) * LANES
    for i in range(LANES):
        history[newest + i] = s[DESIRED * LANES + i]
        s[RUNNING * LANES + i] = s[DESIRED * LANES + i]
    for j in range(start_ticks + 1):
        other = history[j * LANES : (j + 1) * LANES]
        for i in range(LANES):
            running, then = s[RUNNING * LANES + i], other[i]
            s[RUNNING * LANES + i] = running if running < then else then
    for i in range(LANES):
        running, least, tasks = s[RUNNING * LANES + i], s[LEAST * LANES + i], s[TASKS * LANES + i]
        violations, strains = s[VIOLATIONS * LANES + i], s[STRAINS * LANES + i]
        least = running if ((running < least) | (part == 0)) else least
        violates, strain = (needed > least) & (part == parts - 1), (strained > least) & (part == parts - 1)
        publish[i] = running
        s[LEAST * LANES + i] = least
        s[TASKS * LANES + i] = np.int16(tasks + s[DESIRED * LANES + i])
        s[VIOLATIONS * LANES + i] = np.int16(violations + ONE) if violates else violations
        s[STRAINS * LANES + i] = np.int16(strains + ONE) if strain else strains


@numba.njit(cache=True, nogil=True)
def add_up(s, row, total):  # type: ignore[no-untyped-def]
    """Move a row's unsigned 16-bit sums into the day's."""
    for i in range(LANES):
        total[i] += np.int32(s[row * LANES + i]) & np.int32(0xFFFF)
        s[row * LANES + i] = ZERO


@numba.njit(cache=True, nogil=True)
def close_day(s, counts):  # type: ignore[no-untyped-def]
    """Hand over and empty the rows that count up, long before int16 could overflow."""
    for i in range(LANES):
        counts[0, i], counts[1, i] = s[VIOLATIONS * LANES + i], s[STRAINS * LANES + i]
        counts[2, i], counts[3, i] = s[OUTS * LANES + i], s[INS * LANES + i]
        s[VIOLATIONS * LANES + i], s[STRAINS * LANES + i] = ZERO, ZERO
        s[OUTS * LANES + i], s[INS * LANES + i] = ZERO, ZERO
        for row in (HIGH, LOW, GROUP_HIGH, GROUP_LOW):
            s[row * LANES + i] = min(s[row * LANES + i], np.int16(STREAK))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def run_block(  # type: ignore[no-untyped-def]
    load, new_points, source, high_points, low_points, needed, strained, low, high, changed, deploying,
    s, f, published, history, counts, task_ticks, day_ticks, span, start_ticks, ticks_per_minute, divides, capped,
    trace,
):  # fmt: skip
    """Every tick of one block. Arrays of the first line have one value a tick:

    `load` of the newest published datapoint, whether it is new, where its running count is in `published`,
    the datapoints that make each alarm, tasks that the utilisation objective and its strained form need,
    bounds. `counts` (days, 4, LANES) and `task_ticks` (days, LANES) are filled; `span` ticks of tasks fit
    an unsigned 16-bit sum. `trace` (ticks, 2), or of no ticks, takes the first lane's desired and running
    tasks.
    """
    rows, ticks = published.shape[0] // LANES, len(load)
    ahead = np.empty(AHEAD * 2 * LANES, np.int16)
    direct = divides and ticks_per_minute == 1
    summed = 0
    for day in range(len(counts)):
        for first in range(day * day_ticks, min((day + 1) * day_ticks, ticks), AHEAD):
            last = min(first + AHEAD, (day + 1) * day_ticks, ticks)
            if not capped:
                tasks_ahead(first, last, load, f, ahead)
            for tick in range(first, last):
                if changed[tick] != 0:
                    apply_bounds(s, low[tick], high[tick], deploying[tick])
                at = source[tick]
                measured = published[at : at + LANES]
                at = (tick - first) * 2 * LANES
                need = ahead[at : at + 2 * LANES]
                if capped:
                    tasks_capped(load[tick], f, measured, need)
                points = high_points[tick]
                low_needed = low_points[tick] if deploying[tick] == 0 else np.int16(NEVER)
                waiting = act(s, need, measured, new_points[tick], points, low_needed, direct, False)
                if ticks_per_minute > 1:
                    call_once_a_minute(s, points, low_points[tick], np.int16(ticks_per_minute))
                if waiting:
                    if divides:
                        proportions(load[tick], s, f, measured, need, capped)
                    move_desired(s, need, points)
                at = (tick % rows) * LANES
                publish = published[at : at + LANES]
                if start_ticks == 1 and ticks_per_minute == 1:
                    settle(s, DESIRED, publish, needed[tick], strained[tick])
                else:
                    part = tick % ticks_per_minute
                    settle_late(
                        s,
                        history,
                        tick,
                        start_ticks,
                        publish,
                        needed[tick],
                        strained[tick],
                        part,
                        ticks_per_minute,
                    )
                if len(trace) != 0:
                    trace[tick, 0], trace[tick, 1] = s[DESIRED * LANES], publish[0]
                summed += 1
                if summed == span:
                    add_up(s, TASKS, task_ticks[day])
                    summed = 0
        add_up(s, TASKS, task_ticks[day])
        close_day(s, counts[day])


# Managed scaling below the service: bin packing, so that tasks sit on ceil(tasks / room) instances, no warm
# pool, and tasks that start within one tick. `lanes.unlaned` names what is left to the reference.


def _divide(_typing: Any, count: Any, reciprocal: Any, shift: Any) -> Any:  # noqa: ARG001 - their types
    """`count` over an invariant divisor, rounded down: a product of 16 by 16 bits, its upper half, a shift.

    Exact for even counts of 16 bits with `blocks.reciprocal_of` the divisor (Granlund and Montgomery,
    "Division by invariant integers using multiplication", 1994). In the compiler's own words, because
    numba would widen everything to 64 bits.
    """

    def build(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        count, reciprocal, shift = arguments
        wide = ir.IntType(32)
        product = builder.mul(builder.zext(count, wide), builder.zext(reciprocal, wide))
        upper = builder.trunc(builder.lshr(product, ir.Constant(wide, 16)), ir.IntType(16))
        return builder.lshr(upper, shift)

    return numba.int16(numba.int16, numba.int16, numba.int16), build


divide: Any = intrinsic(_divide)


@numba.njit(cache=True, nogil=True)
def needs_over_target(s, f, needs):  # type: ignore[no-untyped-def]
    """M over a target below 100 %, rounded up and down: `needs` has three rows, M and these two."""
    for i in range(LANES):
        per_instance, desired = s[PER_INSTANCE * LANES + i], s[DESIRED * LANES + i]
        count = np.int16((desired + per_instance - ONE) * np.int16(2))
        needs[i] = divide(count, s[RECIPROCAL * LANES + i], s[SHIFT * LANES + i])
    for i in range(LANES):
        wanted = np.float64(needs[i]) * f[GROUP_TARGET * LANES + i] + ROUND_UP
        needs[LANES + i] = np.int16(wanted if wanted < MOST else MOST)
    for i in range(LANES):
        wanted = np.float64(needs[i]) * f[GROUP_TARGET * LANES + i] + TOLERANCE
        needs[2 * LANES + i] = np.int16(wanted if wanted < MOST else MOST)


@numba.njit(cache=True, nogil=True, inline="always")
def run_group(s, booting, earlier, acts, whole_target, fulfils, high_points, low_points):  # type: ignore[no-untyped-def]
    """Place tasks, launch what is missing or let empty instances go.

    `booting` holds the instances that register now and takes those launched now; `earlier` the measured
    needs of an earlier tick, rounded up and down, and takes this tick's. Where all tasks fit, they sit on
    as many instances as they need, elsewhere on all. A cooldown that starts at fulfilment keeps its length
    (and one tick to lose) while tasks are missing.
    """
    for i in range(LANES):
        running = np.int16(s[INSTANCES * LANES + i] + booting[i])
        desired, placed = s[DESIRED * LANES + i], s[PLACED * LANES + i]
        per_instance, reciprocal, shift = (
            s[PER_INSTANCE * LANES + i],
            s[RECIPROCAL * LANES + i],
            s[SHIFT * LANES + i],
        )
        needs = divide(np.int16((desired + per_instance - ONE) * np.int16(2)), reciprocal, shift)
        size, sizes = s[SIZE * LANES + i], s[SIZES * LANES + i]
        high, low, warm = s[GROUP_HIGH * LANES + i], s[GROUP_LOW * LANES + i], s[WARM_LEFT * LANES + i]
        minimum, maximum = s[GROUP_MINIMUM * LANES + i], s[GROUP_MAXIMUM * LANES + i]
        least, most, warm_ticks = s[STEP_LEAST * LANES + i], s[STEP_MOST * LANES + i], s[WARM_TICKS * LANES + i]
        waits, out_left, length = s[UNFULFILLED * LANES + i], s[OUT_LEFT * LANES + i], s[OUT_TICKS * LANES + i]
        new_wanted, new_below = s[GROUP_WANTED * LANES + i], s[GROUP_KEPT * LANES + i]
        wanted, below = earlier[i], earlier[LANES + i]
        room = np.int16(running * per_instance)  # overflows only where all tasks fit
        room = room if room > placed else placed
        fits = desired if ((needs <= running) | (desired < room)) else room
        occupied = needs if fits == desired else running
        more_high, more_low, cooler = np.int16(high + ONE), np.int16(low + ONE), np.int16(warm - ONE)
        high = more_high if ((wanted > running) & acts) else ZERO
        low = more_low if ((below < running) & acts) else ZERO
        warm = cooler if warm > ZERO else ZERO
        out = high >= high_points
        low = ZERO if out else low
        missing = np.int16(wanted - size)
        step = missing if missing > least else least
        step = step if step < most else most
        left = np.int16(maximum - size)
        step = step if step < left else left
        launch = out & (warm == ZERO) & (missing > ZERO) & (step > ZERO)
        step = step if launch else ZERO
        keep = wanted if wanted > minimum else minimum
        spare, empty = np.int16(running - keep), np.int16(running - occupied)
        half = np.int16(np.int16(running - ONE) >> 1)
        half = half if half > ONE else ONE
        leaving = spare if spare < empty else empty
        leaving = leaving if leaving < half else half
        leaving = leaving if ((low >= low_points) & (leaving > ZERO)) else ZERO
        size = np.int16(np.int16(size + step) - leaving)
        held = np.int16(length + ONE)
        s[INSTANCES * LANES + i] = np.int16(running - leaving)
        s[SIZE * LANES + i] = size
        s[PLACED * LANES + i] = fits
        s[GROUP_HIGH * LANES + i] = high
        s[GROUP_LOW * LANES + i] = low
        s[WARM_LEFT * LANES + i] = warm_ticks if launch else warm
        s[OUT_LEFT * LANES + i] = held if ((waits > ZERO) & fulfils) else out_left
        s[UNFULFILLED * LANES + i] = ZERO if fits >= desired else waits
        s[SIZES * LANES + i] = np.int16(sizes + size)
        booting[i] = step
        earlier[i] = needs if whole_target else new_wanted
        earlier[LANES + i] = needs if whole_target else new_below


@numba.njit(cache=True, nogil=True, error_model="numpy")
def run_block_on_instances(  # type: ignore[no-untyped-def]
    load, new_points, source, high_points, low_points, needed, strained, low, high, changed, deploying,
    s, f, published, booting, measured_needs, counts, task_ticks, instance_ticks, day_ticks, span, divides,
    capped, fulfils, whole_target, group_high_points, group_low_points,
):  # fmt: skip
    """`run_block` with managed scaling below it; a tick is a minute and tasks start within one tick.

    `booting` is a ring with one row a tick of boot time; `measured_needs` a ring of row pairs (M over the
    target, rounded up and down) with one pair a minute of delay.
    """
    rows, ticks = published.shape[0] // LANES, len(load)
    boot_rows = booting.shape[0] // LANES
    late = measured_needs.shape[0] // (2 * LANES)
    ahead, needs = np.empty(AHEAD * 2 * LANES, np.int16), s[GROUP_NEEDS * LANES : (GROUP_KEPT + 1) * LANES]
    summed = 0
    for day in range(len(counts)):
        for first in range(day * day_ticks, min((day + 1) * day_ticks, ticks), AHEAD):
            last = min(first + AHEAD, (day + 1) * day_ticks, ticks)
            if not capped:
                tasks_ahead(first, last, load, f, ahead)
            for tick in range(first, last):
                if changed[tick] != 0:
                    apply_bounds(s, low[tick], high[tick], deploying[tick])
                at = source[tick]
                measured = published[at : at + LANES]
                at = (tick - first) * 2 * LANES
                need = ahead[at : at + 2 * LANES]
                if capped:
                    tasks_capped(load[tick], f, measured, need)
                points = high_points[tick]
                low_needed = low_points[tick] if deploying[tick] == 0 else np.int16(NEVER)
                waiting = act(s, need, measured, new_points[tick], points, low_needed, divides, True)
                if waiting:
                    if divides:
                        proportions(load[tick], s, f, measured, need, capped)
                    move_desired(s, need, points)
                if not whole_target:
                    needs_over_target(s, f, needs)
                at = (tick % boot_rows) * LANES
                boot = booting[at : at + LANES]
                at = (tick % late) * 2 * LANES
                earlier = measured_needs[at : at + 2 * LANES]
                run_group(
                    s, boot, earlier, tick >= late, whole_target, fulfils, group_high_points, group_low_points
                )
                at = (tick % rows) * LANES
                settle(s, PLACED, published[at : at + LANES], needed[tick], strained[tick])
                summed += 1
                if summed == span:
                    add_up(s, TASKS, task_ticks[day])
                    add_up(s, SIZES, instance_ticks[day])
                    summed = 0
        add_up(s, TASKS, task_ticks[day])
        add_up(s, SIZES, instance_ticks[day])
        close_day(s, counts[day])
