"""Both loops for many policies at once, compiled with numba; equal to the reference in every count.

One module on purpose: numba's cache notices only changes of the file a compiled function stands in, so a
constant or helper imported from elsewhere could leave stale machine code behind, silently wrong.

A policy is a lane; WIDTH lanes are a vector, and a vector's state stays in registers for a day of ticks. The
compiler cannot be relied on to turn loops over arrays into that, so vectors are types of their own here:
`Whole` (int16), `Real` (float64) and `Mask`, with the operators below. Demand meets targets in float64,
everything after is whole numbers. What a tick does is told in `replay.py`; here one tick is one turn of the
loop in `run_service` or `run_on_instances`.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import cgutils, types
from numba.core.typing.templates import ConcreteTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model

WIDTH = 32
"""Lanes of a vector: one register of 512 bits, or two of 256."""
MOST = 30_000.0
"""int16 holds it, and no service has so many tasks; lanes.overflows keeps larger demand away."""
SUM_MOST = 65_535
"""What an unsigned 16-bit sum of tasks holds before it must be added to the day's."""
NEVER = 32_767
STREAK = 1_000
"""Alarm counters stop here at the end of a day; no alarm needs so many datapoints."""
BASE_COUNT = 1_572_864.0  # planner.scaling.rounding, repeated: numba needs globals of this module
ROUND_UP = BASE_COUNT + (1.0 - 1e-6)
ROUND_DOWN = BASE_COUNT + 1e-6

# Rows of a vector's int16 state
DESIRED, BEFORE, BASE, OUT_LEFT, IN_LEFT, HIGH, LOW, LEAST, HIGH_CALL, LOW_CALL = 0, 1, 2, 3, 4, 5, 6, 7, 8, 9
MINIMUM, MAXIMUM, LOWEST, HIGHEST, OUT_TICKS, IN_TICKS, SCALE_IN_MOST = 10, 11, 12, 13, 14, 15, 16
# of managed scaling
PLACED, INSTANCES, SIZE, WARM_LEFT, GROUP_HIGH, GROUP_LOW, UNFULFILLED = 17, 18, 19, 20, 21, 22, 23
GROUP_MINIMUM, GROUP_MAXIMUM, STEP_LEAST, STEP_MOST, WARM_TICKS, PER_INSTANCE = 24, 25, 26, 27, 28, 29
RECIPROCAL, SHIFT = 30, 31
ROWS = 32
# Rows of its float64 numbers
PER_TARGET, PER_LOW, CEILING, CEILING_LOW, GROUP_TARGET = 0, 1, 2, 3, 4
FLOAT_ROWS = 5
COUNTED = 4
"""Violations, strains, scale-outs and scale-ins of a day."""

ZERO = np.int16(0)
ONE = np.int16(1)


# Vectors


def instruction(build: Callable[..., Any]) -> Any:
    """What `build` tells the compiler, as a function of all arguments but the first."""
    return intrinsic(build)


class Lanes(types.Type):
    def __init__(self, name: str, element: ir.Type) -> None:
        self.element = element
        super().__init__(name)

    @property
    def vector(self) -> ir.Type:
        return ir.VectorType(self.element, WIDTH)


@register_model(Lanes)
class LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, lanes: Lanes) -> None:
        super().__init__(manager, lanes, lanes.vector)  # type: ignore[no-untyped-call]


WHOLE = Lanes("Whole", ir.IntType(16))
REAL = Lanes("Real", ir.DoubleType())
MASK = Lanes("Mask", ir.IntType(1))


def _operator(symbol: Callable[..., Any], operand: Lanes, result: Lanes, build: Callable[..., Any]) -> None:
    """`symbol` between two vectors of `operand`, by one instruction of the compiler's."""

    signed: Any = signature
    typed: Any = infer_global
    lowered: Any = lower_builtin

    class Typing(ConcreteTemplate):
        cases = [signed(result, operand, operand)]  # noqa: RUF012 - numba reads it from the class

    typed(symbol)(Typing)
    lowered(symbol, operand, operand)(lambda _context, builder, _types, values: build(builder, *values))


_operator(operator.add, WHOLE, WHOLE, ir.IRBuilder.add)
_operator(operator.sub, WHOLE, WHOLE, ir.IRBuilder.sub)
_operator(operator.mul, WHOLE, WHOLE, ir.IRBuilder.mul)
_operator(operator.and_, MASK, MASK, ir.IRBuilder.and_)
_operator(operator.or_, MASK, MASK, ir.IRBuilder.or_)
_operator(operator.add, REAL, REAL, ir.IRBuilder.fadd)
_operator(operator.mul, REAL, REAL, ir.IRBuilder.fmul)
_operator(operator.truediv, REAL, REAL, ir.IRBuilder.fdiv)
_operator(operator.lt, REAL, MASK, lambda builder, a, b: builder.fcmp_ordered("<", a, b))
for _symbol, _name in (("gt", ">"), ("ge", ">="), ("lt", "<"), ("le", "<="), ("eq", "=="), ("ne", "!=")):
    _operator(
        getattr(operator, _symbol), WHOLE, MASK, lambda builder, a, b, name=_name: builder.icmp_signed(name, a, b)
    )


def _all(builder: Any, value: Any, vector: Any) -> Any:
    nothing = ir.Constant(vector, ir.Undefined)
    first = builder.insert_element(nothing, value, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(first, nothing, ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), [0] * WIDTH))


def _pointer(context: Any, builder: Any, array_type: Any, array: Any, at: Any) -> Any:
    return builder.gep(context.make_array(array_type)(context, builder, array).data, [at])


def _row(context: Any, builder: Any, array_type: Any, array: Any, row: Any) -> Any:
    return _pointer(context, builder, array_type, array, builder.mul(row, ir.Constant(row.type, WIDTH)))


def _of(array: Any) -> Lanes:
    return REAL if array.dtype == types.float64 else WHOLE


@instruction
def every(_typing: Any, value: Any) -> Any:
    """A number in every lane."""
    lanes = REAL if isinstance(value, types.Float) else WHOLE
    return lanes(value), lambda _context, builder, _types, values: _all(builder, values[0], lanes.vector)


@instruction
def every_of(_typing: Any, array: Any, at: Any) -> Any:  # noqa: ARG001 - its type
    """`array[at]` in every lane."""
    lanes = _of(array)

    def build(context: Any, builder: Any, signed: Any, values: Any) -> Any:
        value = builder.load(_pointer(context, builder, signed.args[0], *values))
        return _all(builder, value, lanes.vector)

    return lanes(array, types.intp), build


@instruction
def load(_typing: Any, array: Any, row: Any) -> Any:
    """The vector at a row of a flat array of rows."""
    lanes = _of(array)

    def build(context: Any, builder: Any, signed: Any, values: Any) -> Any:
        place = _row(context, builder, signed.args[0], *values)
        return builder.load(builder.bitcast(place, lanes.vector.as_pointer()), align=array.dtype.bitwidth // 8)

    return lanes(array, row), build


@instruction
def store(_typing: Any, array: Any, row: Any, vector: Any) -> Any:
    def build(context: Any, builder: Any, signed: Any, values: Any) -> Any:
        place = _row(context, builder, signed.args[0], *values[:2])
        builder.store(values[2], builder.bitcast(place, vector.vector.as_pointer()), align=2)
        return context.get_dummy_value()

    return types.void(array, row, vector), build


@instruction
def add_to(_typing: Any, totals: Any, row: Any, vector: Any) -> Any:
    """Add unsigned 16-bit sums to a row of int32."""

    def build(context: Any, builder: Any, signed: Any, values: Any) -> Any:
        wide = ir.VectorType(ir.IntType(32), WIDTH)
        place = builder.bitcast(_row(context, builder, signed.args[0], *values[:2]), wide.as_pointer())
        builder.store(builder.add(builder.load(place, align=4), builder.zext(values[2], wide)), place, align=4)
        return context.get_dummy_value()

    return types.void(totals, row, vector), build


@instruction
def where(_typing: Any, mask: Any, yes: Any, no: Any) -> Any:
    return yes(mask, yes, no), lambda _context, builder, _types, values: builder.select(*values)


@instruction
def some(_typing: Any, mask: Any) -> Any:
    """Whether any lane of a mask is set."""

    def build(_context: Any, builder: Any, _types: Any, values: Any) -> Any:
        bits = builder.bitcast(values[0], ir.IntType(WIDTH))
        return builder.icmp_unsigned("!=", bits, ir.Constant(bits.type, 0))

    return types.boolean(mask), build


@instruction
def first_of(_typing: Any, vector: Any) -> Any:
    def build(_context: Any, builder: Any, _types: Any, values: Any) -> Any:
        return builder.extract_element(values[0], ir.Constant(ir.IntType(32), 0))

    return types.int16(vector), build


@instruction
def whole_part(_typing: Any, real: Any) -> Any:
    """Whole part of counts on top of BASE_COUNT, which puts it into the bits from the 32nd on (rounding.py).

    A third of the work of a conversion.
    """

    def build(_context: Any, builder: Any, _types: Any, values: Any) -> Any:
        halves = builder.bitcast(values[0], ir.VectorType(ir.IntType(32), 2 * WIDTH))
        upper = ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), list(range(1, 2 * WIDTH, 2)))
        return builder.trunc(
            builder.shuffle_vector(halves, ir.Constant(halves.type, ir.Undefined), upper), WHOLE.vector
        )

    return WHOLE(real), build


@instruction
def as_real(_typing: Any, vector: Any) -> Any:
    return REAL(vector), lambda _context, builder, _types, values: builder.sitofp(values[0], REAL.vector)


@instruction
def halved(_typing: Any, vector: Any) -> Any:
    def build(_context: Any, builder: Any, _types: Any, values: Any) -> Any:
        return builder.ashr(values[0], ir.Constant(WHOLE.vector, [1] * WIDTH))

    return WHOLE(vector), build


@instruction
def divided(_typing: Any, count: Any, reciprocal: Any, shift: Any) -> Any:
    """`count` over an invariant divisor, rounded down: a product of 16 by 16 bits, its upper half, a shift.

    Exact for even counts of 16 bits with `blocks.reciprocal_of` the divisor (Granlund and Montgomery,
    "Division by invariant integers using multiplication", 1994).
    """

    def build(_context: Any, builder: Any, _types: Any, values: Any) -> Any:
        wide = ir.VectorType(ir.IntType(32), WIDTH)
        product = builder.mul(builder.zext(values[0], wide), builder.zext(values[1], wide))
        upper = builder.lshr(product, ir.Constant(wide, [16] * WIDTH))
        return builder.lshr(builder.trunc(upper, WHOLE.vector), values[2])

    return WHOLE(count, reciprocal, shift), build


@instruction
def own_place(_typing: Any) -> Any:
    """Address of a place for one vector on the stack, of which the compiler knows nothing further.

    It also keeps what else a loop puts on its stack from lying across two cache lines: a frame starts at 16
    bytes, wherever the caller left the stack, and is aligned only for what is known to need more before
    registers are handed out. The vectors that find no register come after that, beside this one.
    """

    def build(context: Any, builder: Any, _types: Any, _values: Any) -> Any:
        allocated: Any = cgutils.alloca_once
        place, whole = allocated(builder, WHOLE.vector), context.get_value_type(types.intp)
        place.align = 2 * WIDTH
        unseen = ir.FunctionType(whole, [whole])
        return builder.asm(unseen, "", "=r,0", [builder.ptrtoint(place, whole)], side_effect=True)

    return types.intp(), build


@instruction
def keep(_typing: Any, place: Any, vector: Any) -> Any:
    def build(context: Any, builder: Any, _types: Any, values: Any) -> Any:
        builder.store(values[1], builder.inttoptr(values[0], vector.vector.as_pointer()), align=2 * WIDTH)
        return context.get_dummy_value()

    return types.void(place, vector), build


@instruction
def kept_at(_typing: Any, place: Any) -> Any:
    """The vector that `keep` put at an `own_place`, read anew each time."""

    def build(_context: Any, builder: Any, _types: Any, values: Any) -> Any:
        return builder.load(builder.inttoptr(values[0], WHOLE.vector.as_pointer()), align=2 * WIDTH)

    return WHOLE(place), build


@numba.njit(forceinline=True)
def smaller(a, b):  # type: ignore[no-untyped-def]
    return where(a < b, a, b)


@numba.njit(forceinline=True)
def larger(a, b):  # type: ignore[no-untyped-def]
    return where(b < a, a, b)


@numba.njit(forceinline=True)
def less(count):  # type: ignore[no-untyped-def]
    """One less, down to 0."""
    return larger(count, every(ONE)) - every(ONE)


@numba.njit(forceinline=True)
def one_more(count, mask):  # type: ignore[no-untyped-def]
    return where(mask, count + every(ONE), count)


# What every policy sees


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
        load[tick], source[tick], new_points[tick] = newest, of_newest, ONE if arrives else ZERO
        there = high_range - high_missing
        high_points[tick] = NEVER if there == 0 else min(there, high_datapoints)
        there = low_range - low_missing
        low_points[tick] = NEVER if there == 0 else min(there, low_datapoints)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def tasks_needed(demand, factor, vcpu, needed):  # type: ignore[no-untyped-def]
    """Whole tasks of `vcpu` each that serve `factor` times each minute's demand, 0 where it is unknown."""
    for minute in range(len(demand)):
        value = demand[minute]
        tasks = np.floor(value * factor / vcpu + ROUND_UP) - BASE_COUNT
        tasks = tasks if tasks < MOST else MOST
        needed[minute] = np.int16(tasks if value == value else 0.0)


# Service auto scaling


@numba.njit(forceinline=True)
def tasks_at(load_now, measured, per, ceiling, rounding, capped):  # type: ignore[no-untyped-def]
    """Whole tasks at which the load sits at a share of capacity, unless the metric cannot show so much."""
    wanted = load_now * per
    if capped:
        wanted = smaller(wanted, as_real(measured) * ceiling)
    return whole_part(wanted + every(rounding))


@numba.njit(forceinline=True)
def proportion(load_now, start, measured, need, per, ceiling, capped):  # type: ignore[no-untyped-def]
    """ceil(capacity * metric / target), where the capacity `start` is not the measured one."""
    running, wanted = as_real(measured), load_now * per
    if capped:
        wanted = smaller(wanted, running * ceiling)
    scaled = smaller(as_real(start) * wanted / running, every(MOST))
    return where(start == measured, need, whole_part(scaled + every(ROUND_UP)))


@numba.njit(forceinline=True)
def in_a_row(high, low, need, kept, measured, new):  # type: ignore[no-untyped-def]
    """Datapoints in a row above the target, and below the low alarm's threshold."""
    zero = every(ZERO)
    return where(need > measured, high + new, zero), where(kept < measured, low + new, zero)


@numba.njit(forceinline=True)
def due(points, needed, left, ticks_per_minute):  # type: ignore[no-untyped-def]
    """With ticks under a minute: an alarm calls on entering ALARM and then every minute."""
    alarm, left = points >= needed, left - every(ONE)
    calls = alarm & (left <= every(ZERO))
    left = where(calls, every(ticks_per_minute), left)
    return calls, where(alarm, left, every(ZERO))


@numba.njit(forceinline=True)
def moved(calls_out, calls_in, wanted, desired, lowest, highest, most):  # type: ignore[no-untyped-def]
    """The count after a call to scale out, or else in, and which of the two it was."""
    more = smaller(wanted, highest)
    fewer = larger(larger(wanted, desired - most), lowest)
    out, into = calls_out & (more > desired), calls_in & (fewer < desired)
    return where(out, more, where(into, fewer, desired)), out, into


@numba.njit(forceinline=True)
def bounded(desired, lowest, highest, deploying):  # type: ignore[no-untyped-def]
    """The count within its bounds at once, downwards not while deploying."""
    within = smaller(larger(desired, lowest), highest)
    return where(within > desired, within, desired) if deploying else within


@numba.njit(inline="always")
def loaded(state, numbers, s, f):  # type: ignore[no-untyped-def]
    """What both loops hold of a service: its counts, then its settings, then its targets."""
    return (
        (load(state, s + DESIRED), load(state, s + BASE), load(state, s + OUT_LEFT), load(state, s + IN_LEFT)),
        (load(state, s + HIGH), load(state, s + LOW), load(state, s + MINIMUM), load(state, s + MAXIMUM)),
        (load(state, s + OUT_TICKS), load(state, s + IN_TICKS), load(state, s + SCALE_IN_MOST)),
        (load(numbers, f + PER_TARGET), load(numbers, f + CEILING)),
        (load(numbers, f + PER_LOW), load(numbers, f + CEILING_LOW)),
    )


@numba.njit(inline="always")
def hand_over(state, s, service, counts, row, step, counted):  # type: ignore[no-untyped-def]
    """Store a service's counts for the next day, and what it counted on this one."""
    streak = every(np.int16(STREAK))
    desired, base, out_left, in_left, high, low, lowest, highest = service
    store(state, s + DESIRED, desired)
    store(state, s + BASE, base)
    store(state, s + OUT_LEFT, out_left)
    store(state, s + IN_LEFT, in_left)
    store(state, s + HIGH, smaller(high, streak))
    store(state, s + LOW, smaller(low, streak))
    store(state, s + MINIMUM, lowest)
    store(state, s + MAXIMUM, highest)
    violations, strains, outs, ins = counted
    store(counts, row, violations)
    store(counts, row + step, strains)
    store(counts, row + 2 * step, outs)
    store(counts, row + 3 * step, ins)


@numba.njit(inline="always")
def running_late(desired, history, first, tick, start_ticks):  # type: ignore[no-untyped-def]
    """Tasks that ran since before the last `start_ticks` ticks: a minimum, because the newest leave first."""
    store(history, first + tick % (start_ticks + 1), desired)
    running = desired
    for j in range(start_ticks + 1):
        running = smaller(running, load(history, first + j))
    return running


@numba.njit(cache=True, nogil=True, error_model="numpy")
def run_service(  # type: ignore[no-untyped-def]
    loads, new_points, source, high_points, low_points, needed, strained, low_bound, high_bound, changed,
    deploying, state, numbers, published, history, counts, task_ticks, day_ticks, span, start_ticks,
    ticks_per_minute, divides, capped, trace,
):  # fmt: skip
    """Every tick of a block of vectors. Arrays of the first line have one value a tick:

    `loads` of the newest published datapoint, whether it is new, which row of a vector's `published` has
    its running count, the datapoints that make each alarm, tasks that the utilisation objective and its
    strained form need, bounds. `counts` (days, COUNTED, lanes) and `task_ticks` (days, lanes) are filled;
    `span` ticks of tasks fit an unsigned 16-bit sum. `trace` (ticks, 2), or of no ticks, takes the first
    lane's desired and running tasks.
    """
    own_place()
    vectors, ticks = len(state) // (ROWS * WIDTH), len(loads)
    rows = len(published) // vectors // WIDTH
    days = -(-ticks // day_ticks)
    simple = start_ticks == 1 and ticks_per_minute == 1
    zero = every(ZERO)
    for piece in range(days * vectors):
        day, vector = piece // vectors, piece % vectors
        s, f, ring = vector * ROWS, vector * FLOAT_ROWS, vector * rows
        counts_now, alarms, rules, targets, lows = loaded(state, numbers, s, f)
        desired, base, out_left, in_left = counts_now
        high, low, lowest, highest = alarms
        out_ticks, in_ticks, most = rules
        per_target, ceiling = targets
        per_low, ceiling_low = lows
        before, least = load(state, s + BEFORE), load(state, s + LEAST)
        high_left, low_left = load(state, s + HIGH_CALL), load(state, s + LOW_CALL)
        outs, ins, violations, strains, tasks = zero, zero, zero, zero, zero
        summed, newest = 0, day * day_ticks % rows
        for tick in range(day * day_ticks, min((day + 1) * day_ticks, ticks)):
            if changed[tick] != 0:
                lowest = larger(load(state, s + LOWEST), every_of(low_bound, tick))
                highest = smaller(load(state, s + HIGHEST), every_of(high_bound, tick))
                after = bounded(desired, lowest, highest, deploying[tick] != 0)
                outs, ins = one_more(outs, after > desired), one_more(ins, after < desired)
                desired = after
            load_now, measured = every_of(loads, tick), load(published, ring + source[tick])
            need = tasks_at(load_now, measured, per_target, ceiling, ROUND_UP, capped)
            kept = tasks_at(load_now, measured, per_low, ceiling_low, ROUND_DOWN, capped)
            points, low_needed = every_of(high_points, tick), every_of(low_points, tick)
            high, low = in_a_row(high, low, need, kept, measured, every_of(new_points, tick))
            out_left, in_left = less(out_left), less(in_left)
            if ticks_per_minute > 1:
                calls_out, high_left = due(high, points, high_left, np.int16(ticks_per_minute))
                calls_in, low_left = due(low, low_needed, low_left, np.int16(ticks_per_minute))
            else:
                calls_out, calls_in = high >= points, low >= low_needed
            calls_in = calls_in & (points > high) & (in_left == zero)
            if deploying[tick] != 0:
                calls_in = zero > zero
            start = where(calls_in, desired, where(out_left > zero, base, desired))
            if divides and some((calls_out | calls_in) & (start != measured)):
                need = proportion(load_now, start, measured, need, per_target, ceiling, capped)
            desired, out, into = moved(calls_out, calls_in, need, desired, lowest, highest, most)
            base, out_left = where(out, start, base), where(out, out_ticks, out_left)
            in_left = where(out, zero, where(into, in_ticks, in_left))
            outs, ins = one_more(outs, out), one_more(ins, into)
            if simple:
                running, before = smaller(desired, before), desired
                violations = one_more(violations, every_of(needed, tick) > running)
                strains = one_more(strains, every_of(strained, tick) > running)
            else:
                running = running_late(desired, history, vector * (start_ticks + 1), tick, start_ticks)
                part = tick % ticks_per_minute
                least = running if part == 0 else smaller(running, least)
                if part == ticks_per_minute - 1:
                    violations = one_more(violations, every_of(needed, tick) > least)
                    strains = one_more(strains, every_of(strained, tick) > least)
            store(published, ring + newest, running)
            newest = newest + 1 if newest + 1 < rows else 0
            tasks = tasks + desired
            if len(trace) != 0 and vector == 0:
                trace[tick, 0], trace[tick, 1] = first_of(desired), first_of(running)
            summed += 1
            if summed == span:
                add_to(task_ticks, piece, tasks)
                tasks, summed = zero, 0
        add_to(task_ticks, piece, tasks)
        service = (desired, base, out_left, in_left, high, low, lowest, highest)
        row = day * COUNTED * vectors + vector
        hand_over(state, s, service, counts, row, vectors, (violations, strains, outs, ins))
        store(state, s + BEFORE, before)
        store(state, s + LEAST, least)
        store(state, s + HIGH_CALL, high_left)
        store(state, s + LOW_CALL, low_left)


# Managed scaling below the service: bin packing, so that tasks sit on ceil(tasks / room) instances, no warm
# pool, and tasks that start within one tick. `lanes.unlaned` names what is left to the reference.


@numba.njit(forceinline=True)
def instances_for(tasks, per_instance, reciprocal, shift):  # type: ignore[no-untyped-def]
    return divided((tasks + per_instance - every(ONE)) * every(np.int16(2)), reciprocal, shift)


@numba.njit(forceinline=True)
def over_target(needs, per_target, rounding):  # type: ignore[no-untyped-def]
    """M over a target below 100 %."""
    return whole_part(smaller(as_real(needs) * per_target, every(MOST)) + every(rounding))


@numba.njit(forceinline=True)
def place(desired, placed, running, needs, per_instance):  # type: ignore[no-untyped-def]
    """Tasks that have a place, and the instances they are on: as many as they need where all fit, else all."""
    room = larger(running * per_instance, placed)  # overflows only where all tasks fit
    fit = (needs <= running) | (desired < room)
    return where(fit, desired, room), where(fit, needs, running)


@numba.njit(forceinline=True)
def launched(calls, wanted, size, maximum, least, most, warm):  # type: ignore[no-untyped-def]
    """Instances to launch: what is missing, within the step sizes, unless the group is warming up."""
    missing, zero = wanted - size, every(ZERO)
    step = smaller(smaller(larger(missing, least), most), maximum - size)
    return where(calls & (warm == zero) & (missing > zero) & (step > zero), step, zero)


@numba.njit(forceinline=True)
def leaving(calls, wanted, minimum, running, occupied):  # type: ignore[no-untyped-def]
    """Empty instances that leave: above what is wanted, under half of the group at once."""
    half = larger(halved(running - every(ONE)), every(ONE))
    spare = smaller(smaller(running - larger(wanted, minimum), running - occupied), half)
    return where(calls & (spare > every(ZERO)), spare, every(ZERO))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def run_on_instances(  # type: ignore[no-untyped-def]
    loads, new_points, source, high_points, low_points, needed, strained, low_bound, high_bound, changed,
    deploying, state, numbers, published, booting, measured_needs, counts, task_ticks, instance_ticks, day_ticks,
    span, divides, capped, fulfils, whole_target, group_high_points, group_low_points,
):  # fmt: skip
    """`run_service` with managed scaling below it; a tick is a minute and tasks start within one tick.

    `booting` is a ring of one row a tick of boot time for each vector; `measured_needs` a ring of row pairs
    (M over the target, rounded up and down) with one pair a minute of delay. `fulfils`: a cooldown that
    starts at fulfilment keeps its length (and one tick to lose) while tasks are missing.
    """
    divisor = own_place()
    vectors, ticks = len(state) // (ROWS * WIDTH), len(loads)
    rows, boot_rows = len(published) // vectors // WIDTH, len(booting) // vectors // WIDTH
    late = len(measured_needs) // vectors // WIDTH // 2
    days = -(-ticks // day_ticks)
    zero, one = every(ZERO), every(ONE)
    for piece in range(days * vectors):
        day, vector = piece // vectors, piece % vectors
        s, f, ring = vector * ROWS, vector * FLOAT_ROWS, vector * rows
        counts_now, alarms, rules, targets, lows = loaded(state, numbers, s, f)
        desired, base, out_left, in_left = counts_now
        high, low, lowest, highest = alarms
        out_ticks, in_ticks, most = rules
        per_target, ceiling = targets
        per_low, ceiling_low = lows
        placed, running, size = load(state, s + PLACED), load(state, s + INSTANCES), load(state, s + SIZE)
        warm, waits = load(state, s + WARM_LEFT), load(state, s + UNFULFILLED)
        group_high, group_low = load(state, s + GROUP_HIGH), load(state, s + GROUP_LOW)
        per_instance, shift = load(state, s + PER_INSTANCE), load(state, s + SHIFT)
        minimum, maximum = load(state, s + GROUP_MINIMUM), load(state, s + GROUP_MAXIMUM)
        step_least, step_most = load(state, s + STEP_LEAST), load(state, s + STEP_MOST)
        warm_ticks = load(state, s + WARM_TICKS)
        group_target = load(numbers, f + GROUP_TARGET)
        keep(divisor, load(state, s + RECIPROCAL))
        outs, ins, violations, strains, tasks, sizes = zero, zero, zero, zero, zero, zero
        summed, first = 0, day * day_ticks
        newest, boot, earlier = ring + first % rows, first % boot_rows, first % late
        for tick in range(first, min(first + day_ticks, ticks)):
            if changed[tick] != 0:
                lowest = larger(load(state, s + LOWEST), every_of(low_bound, tick))
                highest = smaller(load(state, s + HIGHEST), every_of(high_bound, tick))
                after = bounded(desired, lowest, highest, deploying[tick] != 0)
                outs, ins = one_more(outs, after > desired), one_more(ins, after < desired)
                desired = after
            load_now, measured = every_of(loads, tick), load(published, ring + source[tick])
            need = tasks_at(load_now, measured, per_target, ceiling, ROUND_UP, capped)
            kept = tasks_at(load_now, measured, per_low, ceiling_low, ROUND_DOWN, capped)
            points, low_needed = every_of(high_points, tick), every_of(low_points, tick)
            high, low = in_a_row(high, low, need, kept, measured, every_of(new_points, tick))
            out_left, in_left = less(out_left), less(in_left)
            calls_out = high >= points
            calls_in = (low >= low_needed) & (points > high) & (in_left == zero)
            if deploying[tick] != 0:
                calls_in = zero > zero
            start = where(calls_in, desired, where(out_left > zero, base, desired))
            if divides and some((calls_out | calls_in) & (start != measured)):
                need = proportion(load_now, start, measured, need, per_target, ceiling, capped)
            desired, out, into = moved(calls_out, calls_in, need, desired, lowest, highest, most)
            base, out_left = where(out, start, base), where(out, out_ticks, out_left)
            in_left = where(out, zero, where(into, in_ticks, in_left))
            outs, ins = one_more(outs, out), one_more(ins, into)

            running = running + load(booting, vector * boot_rows + boot)
            reciprocal = kept_at(divisor)  # in the loop, else the compiler widens it outside for good
            needs = instances_for(desired, per_instance, reciprocal, shift)
            before = placed
            placed, occupied = place(desired, before, running, needs, per_instance)
            if fulfils:
                waits = where(out, one, waits)
                out_left = where(waits > zero, out_ticks + one, out_left)
                waits = where(desired > placed, waits, zero)
            at = (vector * late + earlier) * 2
            wanted, below = load(measured_needs, at), load(measured_needs, at + 1)
            if tick >= late:
                group_high = where(wanted > running, group_high + one, zero)
                group_low = where(running > below, group_low + one, zero)
            warm = less(warm)
            grows = group_high >= every(group_high_points)
            group_low = where(grows, zero, group_low)
            step = launched(grows, wanted, size, maximum, step_least, step_most, warm)
            warm = where(step > zero, warm_ticks, warm)
            gone = leaving(group_low >= every(group_low_points), wanted, minimum, running, occupied)
            running, size, sizes = running - gone, size + step - gone, sizes + size + step - gone
            store(booting, vector * boot_rows + boot, step)
            if whole_target:
                wanted, below = needs, needs
            else:
                wanted = over_target(needs, group_target, ROUND_UP)
                below = over_target(needs, group_target, ROUND_DOWN)
            store(measured_needs, at, wanted)
            store(measured_needs, at + 1, below)
            boot = boot + 1 if boot + 1 < boot_rows else 0
            earlier = earlier + 1 if earlier + 1 < late else 0

            serving = smaller(placed, before)
            violations = one_more(violations, every_of(needed, tick) > serving)
            strains = one_more(strains, every_of(strained, tick) > serving)
            store(published, newest, serving)
            newest = newest + 1 if newest + 1 < ring + rows else ring
            tasks = tasks + placed
            summed += 1
            if summed == span:
                add_to(task_ticks, piece, tasks)
                add_to(instance_ticks, piece, sizes)
                tasks, sizes, summed = zero, zero, 0
        add_to(task_ticks, piece, tasks)
        add_to(instance_ticks, piece, sizes)
        service = (desired, base, out_left, in_left, high, low, lowest, highest)
        row, streak = day * COUNTED * vectors + vector, every(np.int16(STREAK))
        hand_over(state, s, service, counts, row, vectors, (violations, strains, outs, ins))
        store(state, s + PLACED, placed)
        store(state, s + INSTANCES, running)
        store(state, s + SIZE, size)
        store(state, s + WARM_LEFT, warm)
        store(state, s + UNFULFILLED, waits)
        store(state, s + GROUP_HIGH, smaller(group_high, streak))
        store(state, s + GROUP_LOW, smaller(group_low, streak))
