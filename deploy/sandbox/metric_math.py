"""Metric math expressions of GetMetricData (CloudWatch user guide, "Using math expressions").

A value is a number, one time series, or a list of series (METRICS(), [m1, m2]). What is not built is
refused by its name.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from deploy.sandbox.series import Floats, Ints


@dataclass(frozen=True, slots=True)
class TimeSeries:
    """Values at period starts (epoch seconds), in time order."""

    timestamps: Ints
    values: Floats
    period_s: int


Value = float | TimeSeries | list[TimeSeries]


class MathError(ValueError):
    """An expression that cannot be evaluated, with the reason."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What an expression may refer to, and the range FILL fills."""

    values: Mapping[str, Value]
    start_s: float
    end_s: float

    def metrics(self, part: str | None) -> list[TimeSeries]:
        series = {name: v for name, v in self.values.items() if isinstance(v, TimeSeries)}
        return [v for name, v in series.items() if part is None or part in name]


_OPERATORS: Final[dict[type[ast.AST], Callable[[Any, Any], Any]]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
    ast.Pow: np.power,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_BY_POINT: Final[dict[str, Callable[[Floats], Floats]]] = {
    "ABS": np.abs,
    "CEIL": np.ceil,
    "FLOOR": np.floor,
    "EXP": np.exp,
    "LOG": np.log,
    "LOG10": np.log10,
}
_REDUCTIONS: Final[dict[str, Callable[..., Floats]]] = {
    "SUM": np.nansum,
    "AVG": np.nanmean,
    "MIN": np.nanmin,
    "MAX": np.nanmax,
    "STDDEV": np.nanstd,
}
_KNOWN: Final = {*_BY_POINT, *_REDUCTIONS, "METRICS", "FILL", "IF", "PERIOD", "RATE", "DIFF"}


def identifiers(expression: str) -> set[str]:
    """The ids an expression refers to; METRICS() refers to none by name."""
    return {n.id for n in ast.walk(_parse(expression)) if isinstance(n, ast.Name) and n.id[:1].islower()}


def evaluate(expression: str, scope: Scope) -> Value:
    """The expression's value; raises MathError with the reason where there is none."""
    with np.errstate(all="ignore"):
        return _value(_parse(expression).body, scope)


def _parse(expression: str) -> ast.Expression:
    if expression.strip().upper().startswith("SELECT "):
        raise MathError("Metrics Insights queries (SELECT) are not supported yet: ask by MetricStat")
    python = re.sub(r"&&", " and ", re.sub(r"\|\|", " or ", expression.replace("^", "**")))
    try:
        return ast.parse(python.strip(), mode="eval")
    except SyntaxError as error:
        raise MathError(f"the expression {expression!r} cannot be parsed") from error


def _value(node: ast.expr, scope: Scope) -> Value:
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return float(node.value)
    if isinstance(node, ast.Name):
        if node.id not in scope.values:
            raise MathError(f"the expression refers to {node.id}, which no query of the request defines")
        return scope.values[node.id]
    if isinstance(node, ast.List):
        return [_series(_value(item, scope)) for item in node.elts]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return _combine(np.multiply, -1.0, _value(node.operand, scope))
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        return _combine(_OPERATORS[type(node.op)], _value(node.left, scope), _value(node.right, scope))
    if isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in _OPERATORS:
        return _combine(
            _OPERATORS[type(node.ops[0])], _value(node.left, scope), _value(node.comparators[0], scope)
        )
    if isinstance(node, ast.BoolOp):
        joined = np.logical_and if isinstance(node.op, ast.And) else np.logical_or
        left, right = (_value(item, scope) for item in node.values[:2])
        return _combine(joined, left, right)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return _call(node.func.id.upper(), node.args, scope)
    raise MathError(f"{ast.unparse(node)} is not metric math")


def _series(value: Value) -> TimeSeries:
    if not isinstance(value, TimeSeries):
        raise MathError("a time series is needed where the expression has a number or a list")
    return value


def _combine(function: Callable[[Any, Any], Any], left: Value, right: Value) -> Value:
    if isinstance(left, list):
        return [_series(_combine(function, item, right)) for item in left]
    if isinstance(right, list):
        return [_series(_combine(function, left, item)) for item in right]
    if isinstance(left, TimeSeries) and isinstance(right, TimeSeries):
        stamps, at_left, at_right = np.intersect1d(left.timestamps, right.timestamps, return_indices=True)
        values = function(left.values[at_left], right.values[at_right])
        return _finite(stamps, values, max(left.period_s, right.period_s))
    if isinstance(left, TimeSeries):
        return _finite(left.timestamps, function(left.values, np.float64(_number(right))), left.period_s)
    if isinstance(right, TimeSeries):
        return _finite(right.timestamps, function(np.float64(_number(left)), right.values), right.period_s)
    return float(function(np.float64(left), np.float64(right)))


def _number(value: Value) -> float:
    if not isinstance(value, float):
        raise MathError("a number is needed where the expression has a series")
    return value


def _finite(stamps: Ints, values: Floats, period_s: int) -> TimeSeries:
    """CloudWatch drops points that are not numbers (a division by zero)."""
    numbers = np.asarray(values, dtype=np.float64)
    kept = np.isfinite(numbers)
    return TimeSeries(stamps[kept], numbers[kept], period_s)


def _call(name: str, arguments: list[ast.expr], scope: Scope) -> Value:
    if name == "METRICS":
        part = arguments[0].value if arguments and isinstance(arguments[0], ast.Constant) else None
        return list(scope.metrics(None if part is None else str(part)))
    if name not in _KNOWN:
        raise MathError(f"the function {name} is not supported yet in the sandbox")
    if name == "FILL" and len(arguments) == 2:
        return _fill(_value(arguments[0], scope), arguments[1], scope)
    values = [_value(argument, scope) for argument in arguments]
    if name in _BY_POINT and len(values) == 1:
        return _combine(lambda points, _: _BY_POINT[name](points), values[0], 0.0)
    if name in _REDUCTIONS and values:
        return _reduce(name, values)
    if name == "IF" and len(values) in (2, 3):
        return _choose(values)
    if name == "PERIOD" and len(values) == 1:
        return float(_series(values[0]).period_s)
    if name in ("RATE", "DIFF") and len(values) == 1:
        return _differences(values[0], per_second=name == "RATE")
    raise MathError(f"the function {name} does not take {len(arguments)} arguments")


def _reduce(name: str, values: list[Value]) -> Value:
    """Over a list: point by point across its series. Over one series: one number."""
    first = values[0]
    if len(values) > 1:
        first = [_series(value) for value in values]
    if isinstance(first, float):
        return first
    if isinstance(first, TimeSeries):
        if not len(first.values):
            raise MathError(f"{name} of a series without data")
        return float(_REDUCTIONS[name](first.values))
    if not first:
        raise MathError(f"{name} of no metrics")
    stamps = np.unique(np.concatenate([s.timestamps for s in first]))
    table = np.full((len(first), len(stamps)), np.nan)
    for row, series in zip(table, first, strict=True):
        row[np.searchsorted(stamps, series.timestamps)] = series.values
    return _finite(stamps, _REDUCTIONS[name](table, axis=0), max(s.period_s for s in first))


def _choose(values: list[Value]) -> Value:
    condition, chosen = values[0], values[1]
    otherwise: Value = values[2] if len(values) == 3 else float("nan")
    picked = _combine(lambda c, v: np.where(c != 0, v, np.nan), condition, chosen)
    left_out = _combine(lambda c, v: np.where(c == 0, v, np.nan), condition, otherwise)
    if isinstance(picked, float) and isinstance(left_out, float):
        return left_out if np.isnan(picked) else picked
    both = [v for v in (picked, left_out) if isinstance(v, TimeSeries)]
    return _reduce("SUM", [both])


def _differences(value: Value, per_second: bool) -> Value:
    if isinstance(value, list):
        return [_series(_differences(item, per_second)) for item in value]
    series = _series(value)
    change = np.diff(series.values)
    if per_second:
        change = change / np.diff(series.timestamps)
    return TimeSeries(series.timestamps[1:], change, series.period_s)


def _fill(value: Value, filler: ast.expr, scope: Scope) -> Value:
    if isinstance(value, list):
        return [_series(_fill(item, filler, scope)) for item in value]
    series = _series(value)
    period = series.period_s
    grid = np.arange(scope.start_s // period * period, scope.end_s, period).astype(np.int64)
    filled = np.full(len(grid), np.nan)
    known = np.isin(grid, series.timestamps)
    filled[known] = series.values[np.isin(series.timestamps, grid)]
    word = filler.id if isinstance(filler, ast.Name) else None
    if word == "REPEAT":
        last = np.maximum.accumulate(np.where(known, np.arange(len(grid)), -1))
        filled = np.where(last >= 0, filled[last], np.nan)
    elif word == "LINEAR":
        filled = np.interp(grid, grid[known], filled[known], left=np.nan, right=np.nan)
    else:
        filled[~known] = _number(_value(filler, scope))
    return _finite(grid, filled, period)
