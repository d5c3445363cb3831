"""Load to capacity: the requests per second one task carries at a latency objective, and what to scale on.

CPU per task is regressed on requests per task with a loss that forgives outliers (Huber 1964; statsmodels
RLM), and its interval comes from resampling whole days, since neighbouring minutes repeat each other.
Where latency rises with load, the Universal Scalability Law is fitted (Gunther, Guerrilla Capacity
Planning, 2007): throughput X(N) = gamma N / (1 + alpha (N - 1) + beta N (N - 1)) at concurrency N, which
by Little's law is throughput times latency. Capacity is the smaller of what CPU and latency allow.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import pandas as pd

from planner.demand.notices import Notice
from planner.model import Rejection
from planner.units import Share

MIN_POINTS = 60
MIN_LOAD_SPREAD = 1.5
"""Highest over lowest load (98th over 2nd percentile) needed before a slope means anything."""
GOOD_FIT = 0.6
"""Share of the variance of CPU that requests must explain before requests can stand for CPU."""
REACH = 1.5
"""Capacity may be extrapolated this far above the highest load that was seen, no further."""
CONVERGED = 1e-5
"""Change of a coefficient, as a share of the largest, at which a robust fit has settled."""
RESAMPLES = 60
RESAMPLED_ROWS = 600


class ScaleOn(StrEnum):
    CPU = "ECSServiceAverageCPUUtilization"
    MEMORY = "ECSServiceAverageMemoryUtilization"
    REQUESTS = "ALBRequestCountPerTarget"
    BACKLOG = "queue backlog per task"


@dataclass(frozen=True, slots=True)
class Interval:
    """A value with the 5 % and 95 % ends of its resampled distribution."""

    low: float
    mid: float
    high: float


@dataclass(frozen=True, slots=True)
class Usl:
    """Universal Scalability Law: gamma in requests per second, alpha (contention), beta (coherency)."""

    gamma: float
    alpha: float
    beta: float

    def throughput(self, concurrency: float) -> float:
        n = concurrency
        return self.gamma * n / (1 + self.alpha * (n - 1) + self.beta * n * (n - 1))

    def latency_s(self, concurrency: float) -> float:
        return concurrency / self.throughput(concurrency)

    @property
    def peak_concurrency(self) -> float:
        """Concurrency of the highest throughput: sqrt((1 - alpha) / beta), without end where beta is 0."""
        return math.sqrt(max(0.0, 1 - self.alpha) / self.beta) if self.beta > 0 else math.inf

    def concurrency_at(self, latency_s: float) -> float:
        """The highest concurrency whose latency stays within the objective, at most that of the peak.

        latency(N) gamma = beta N^2 + (alpha - beta) N + 1 - alpha, solved for N; 0 where even one request
        takes longer.
        """
        a, b, c = self.beta, self.alpha - self.beta, 1 - self.alpha - latency_s * self.gamma
        if a > 0:
            root = b * b - 4 * a * c
            found = (-b + math.sqrt(root)) / (2 * a) if root >= 0 else 0.0
        else:
            found = -c / b if b > 0 else (math.inf if c <= 0 else 0.0)
        return max(0.0, min(found, self.peak_concurrency))


@dataclass(frozen=True, slots=True)
class LoadToCapacity:
    """What one task carries. vCPU per (request per second), vCPU of an idle task, requests per second."""

    vcpu_per_request: Interval
    idle_vcpu: float
    explained: Share
    """Share of the variance of CPU per task that requests explain (1 = a straight line)."""
    requests_per_second_per_task: Interval
    bound_by: str
    """`cpu`, `latency` or `observed load` (capacity lies beyond what the data can show)."""
    usl: Usl | None
    scale_on: ScaleOn
    reason: str
    warnings: tuple[Notice, ...] = ()


def load_to_capacity(
    usage: pd.DataFrame,
    *,
    latency_objective_s: float | None = None,
    cpu_used_per_reserved: float = 0.8,
    queue_name: str | None = None,
    seed: int = 0,
) -> LoadToCapacity | Rejection:
    """Fit one service's usage (frames.USAGE rows). A Rejection says why no load can be told.

    latency_objective_s: highest acceptable p99 target response time; without it only CPU binds.
    cpu_used_per_reserved: highest share of a task's CPU reservation to plan for.
    queue_name: the queue this worker drains, where it has one; backlog then is what to scale on.
    """
    service = str(usage["service"].iloc[0]) if len(usage) else "the service"
    table = _per_task(usage)
    if queue_name is not None:
        return Rejection(service, f"it drains the queue {queue_name}: scale on {ScaleOn.BACKLOG}, not on requests")
    reason = _unfit(table)
    if reason:
        return Rejection(service, reason)
    x, y = table["requests"].to_numpy(), table["cpu"].to_numpy()
    idle, slope = _huber(x, y)
    if slope <= 0:
        return Rejection(service, f"CPU does not grow with requests; scale on {ScaleOn.CPU}")
    lines = _resampled(table, seed)
    reserved = float(table["reserved"].iloc[-1])
    explained = _explained(y, idle + slope * x)
    usl = _fit_usl(table) if latency_objective_s is not None else None
    return _judge(
        table, (idle, slope), lines, reserved * cpu_used_per_reserved, explained, usl, latency_objective_s
    )


def _per_task(usage: pd.DataFrame) -> pd.DataFrame:
    """Columns requests (per second), cpu, reserved (vCPU), memory (share of the reservation), latency (s)."""
    tasks = usage["running_tasks"].where(usage["running_tasks"] > 0)
    table = pd.DataFrame(
        {
            "timestamp": usage["timestamp"],
            "requests": usage["requests_per_second"] / tasks,
            "cpu": usage["cpu_used_vcpu"] / tasks,
            "reserved": usage["cpu_reserved_vcpu"] / tasks,
            "memory": usage["memory_used_mib"] / usage["memory_reserved_mib"],
            "latency": usage["latency_p99_s"],
        }
    )
    needed = np.isfinite(table[["requests", "cpu", "reserved"]].to_numpy()).all(axis=1)
    kept: pd.DataFrame = table[needed].sort_values("timestamp", kind="stable")
    return kept


def _unfit(table: pd.DataFrame) -> str | None:
    if len(table) < MIN_POINTS:
        return f"only {len(table)} periods have requests and CPU; at least {MIN_POINTS} are needed"
    low, high = table["requests"].quantile([0.02, 0.98])
    if high <= 0 or high < MIN_LOAD_SPREAD * low:
        return (
            f"load per task hardly varies ({low:.3g} to {high:.3g} requests per second), so no slope can be "
            "told from noise"
        )
    return None


def _huber(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Intercept (not below 0) and slope by Huber's M-estimator."""
    if not np.ptp(y):
        return float(y[0]), 0.0
    intercept, slope = _robust(np.column_stack([np.ones_like(x), x]), y)
    if intercept >= 0:
        return float(intercept), float(slope)
    return 0.0, float(_robust(x[:, None], y)[0])


def _robust(columns: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Coefficients by statsmodels' RLM; plain least squares where they already fit to rounding."""
    from statsmodels.robust.norms import HuberT
    from statsmodels.robust.robust_linear_model import RLM

    plain, *_ = np.linalg.lstsq(columns, y, rcond=None)
    if np.median(np.abs(y - columns @ plain)) <= 1e-9 * np.ptp(y):
        return np.asarray(plain)
    near = CONVERGED * float(np.abs(plain).max())  # the deviance, the default, still moves when these no longer do
    return np.asarray(RLM(y, columns, M=HuberT()).fit(maxiter=30, conv="coefs", tol=near).params)


def _resampled(table: pd.DataFrame, seed: int) -> np.ndarray:
    """(RESAMPLES, 2) lines fitted to whole days drawn with replacement; hours where days are too few."""
    day = table["timestamp"].dt.floor("1D" if table["timestamp"].dt.floor("1D").nunique() >= 5 else "1h")
    blocks = [block.to_numpy() for _, block in table.groupby(day)[["requests", "cpu"]]]
    rng = np.random.default_rng(seed)
    lines = []
    for _ in range(RESAMPLES):
        drawn = np.concatenate([blocks[i] for i in rng.integers(0, len(blocks), len(blocks))])
        drawn = drawn[:: max(1, len(drawn) // RESAMPLED_ROWS)]
        lines.append(_huber(drawn[:, 0], drawn[:, 1]))
    return np.array(lines)


def _explained(y: np.ndarray, fitted: np.ndarray) -> Share:
    """1 - MAD^2 of residuals over MAD^2 of the data: R squared that outliers cannot spoil."""
    spread = np.median(np.abs(y - np.median(y)))
    left = np.median(np.abs(y - fitted - np.median(y - fitted)))
    return Share(float(max(0.0, 1 - (left / spread) ** 2)) if spread > 0 else 0.0)


def _fit_usl(table: pd.DataFrame) -> Usl | None:
    """USL by robust least squares on (concurrency, latency), or None where latency does not rise with load."""
    from scipy.optimize import least_squares
    from scipy.stats import spearmanr

    seen = table[np.isfinite(table["latency"]) & (table["latency"] > 0) & (table["requests"] > 0)]
    if len(seen) < MIN_POINTS:
        return None
    x, latency = seen["requests"].to_numpy(), seen["latency"].to_numpy()
    if spearmanr(x, latency).statistic < 0.3:
        return None
    concurrency = x * latency
    floor = float(np.quantile(latency, 0.05))

    def off(parameters: np.ndarray) -> np.ndarray:
        gamma, alpha, beta = parameters
        n = concurrency
        modelled = (1 + alpha * (n - 1) + beta * n * (n - 1)) / gamma
        return np.asarray((modelled - latency) / floor)

    start = [1 / floor, 0.05, 0.001]
    fit = least_squares(off, start, bounds=([1e-9, 0, 0], [np.inf, 1, np.inf]), loss="soft_l1")
    return Usl(*(float(value) for value in fit.x)) if fit.success else None


def _judge(
    table: pd.DataFrame,
    line: tuple[float, float],
    lines: np.ndarray,
    cpu_limit: float,
    explained: Share,
    usl: Usl | None,
    latency_objective_s: float | None,
) -> LoadToCapacity:
    idle, slope = line
    carried = np.maximum(0.0, cpu_limit - lines[:, 0]) / np.maximum(lines[:, 1], 1e-12)
    by_cpu = Interval(
        float(np.quantile(carried, 0.05)),
        max(0.0, cpu_limit - idle) / slope,
        float(np.quantile(carried, 0.95)),
    )
    by_latency = _latency_limit(table, usl, latency_objective_s)
    reach = float(table["requests"].quantile(0.995)) * REACH
    limits = {"cpu": by_cpu.mid, "latency": by_latency, "observed load": reach}
    bound_by = min(limits, key=lambda name: limits[name])
    carries = Interval(*(min(value, by_latency, reach) for value in (by_cpu.low, by_cpu.mid, by_cpu.high)))
    scale_on, reason = _scale_on(table, bound_by, explained)
    slopes = Interval(float(np.quantile(lines[:, 1], 0.05)), slope, float(np.quantile(lines[:, 1], 0.95)))
    return LoadToCapacity(
        slopes, idle, explained, carries, bound_by, usl, scale_on, reason, _notices(bound_by, explained, reach)
    )


def _latency_limit(table: pd.DataFrame, usl: Usl | None, objective_s: float | None) -> float:
    """Requests per second per task at the latency objective; without end where latency does not bind."""
    if objective_s is None:
        return math.inf
    if usl is not None:
        concurrency = usl.concurrency_at(objective_s)
        return usl.throughput(concurrency) if math.isfinite(concurrency) else math.inf
    late = table[table["latency"] > objective_s]
    return float(late["requests"].quantile(0.05)) if len(late) > 0.01 * len(table) else math.inf


def _scale_on(table: pd.DataFrame, bound_by: str, explained: Share) -> tuple[ScaleOn, str]:
    memory = table[["memory", "requests"]].dropna()
    share = float((table["cpu"] / table["reserved"]).quantile(0.99))
    if len(memory) and float(memory["memory"].quantile(0.99)) > max(0.7, 1.3 * share):
        from scipy.stats import spearmanr

        if spearmanr(memory["memory"], memory["requests"]).statistic > 0.5:
            return ScaleOn.MEMORY, "memory grows with requests and comes nearer to its reservation than CPU"
    if bound_by == "latency":
        return ScaleOn.REQUESTS, "latency reaches its objective before CPU reaches its share"
    if explained >= GOOD_FIT:
        return ScaleOn.CPU, f"CPU binds, and requests explain {explained:.0%} of it"
    return ScaleOn.CPU, f"requests explain only {explained:.0%} of CPU, so CPU tells the load better"


def _notices(bound_by: str, explained: Share, reach: float) -> tuple[Notice, ...]:
    notices = []
    if bound_by == "observed load":
        notices.append(
            Notice(
                "beyond-observed-load",
                f"the task can carry more than was ever seen; capacity is stated up to {reach:.3g} requests "
                "per second, which is half as much again as the highest load",
            )
        )
    if explained < GOOD_FIT:
        notices.append(
            Notice("weak-fit", f"requests explain only {explained:.0%} of CPU: costs of requests differ")
        )
    return tuple(notices)
