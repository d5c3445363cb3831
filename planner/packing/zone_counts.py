"""Few instances: how many of each type in each zone, by an integer program over dual cuts (HiGHS).

Whatever is packed, dual prices d say of instances that hold tasks: the most they can hold, worth(type) each, is at
least what the tasks are worth. So every set of dual prices is a row over the numbers of instances: for the
tasks that run in a zone, and for all tasks in what is left when a zone is lost. The program takes zones, loss
and the number of types together, with whole instances; its bound holds for every fleet that keeps the rules.
Where its answer cannot hold the tasks even when they may be broken, a linear program gives the row that says so
(Benders 1962); where they only cannot be put whole, that answer is ruled out.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import permutations
from typing import Any, Final

import numpy as np

from planner.packing.bound import common_step
from planner.packing.clock import Deadline
from planner.packing.master import quiet_highs
from planner.packing.pricing import Pricing
from planner.packing.problem import PackedInstances, PackingProblem
from planner.packing.shapes import Shapes
from planner.packing.small import run_to_optimum, whole_bound
from planner.packing.variants import UNLIMITED
from planner.packing.whole_program import WholeProgram
from planner.packing.zone_fit import Fitted, fit_zones

_MOST_COST: Final = 6.0
"""USD per hour over the price of the dearest type."""
_MOST_SHAPES: Final = 12
"""Above this the solver was seen to run on without looking at its time limit (HiGHS 1.x, 20 shapes)."""
_MOST_NUMBERS: Final = 400
"""Types times zones."""
_ROUNDS: Final = 60
NODES: Final = 1_500
"""Of all rounds together: some 15 seconds at most."""
FEW_NODES: Final = 150
_PRICING_NODES: Final = 20_000
_FIT_NODES: Final = 400
_REPAIRS: Final = 5
_SLACK: Final = 1e-9
_MOST_UNDECIDED: Final = 4
"""Answers of which it stays open whether they hold the tasks, before the search is given up."""


@dataclass(frozen=True)
class Counted:
    """The bound (USD per hour) and the fleet, where one below the limit was found; `running` tasks a unit."""

    bound: Fraction
    instances: tuple[PackedInstances, ...] | None = None
    running: Counter[int] = field(default_factory=Counter)


def solve_by_counts(
    problem: PackingProblem,
    shapes: Shapes,
    counts: list[int],
    on_spot: list[int],
    duals: list[Any],
    cost: Fraction,
    deadline: Deadline,
    *,
    wants_fleet: bool,
    nodes: int = NODES,
) -> Counted | None:
    """A bound, and the cheapest fleet below `cost` (USD per hour) where there is one; None where the problem is
    not small. `duals` (n) USD a task are prices to start from."""
    size = len(shapes.offers) * problem.zones
    if not is_few(shapes.count, float(cost), shapes) or size > _MOST_NUMBERS:
        return None
    if any(v.by_zone for v in shapes.offers):
        return None
    search = _Search(problem, shapes, counts, on_spot, cost, deadline, nodes)
    for worth in [*_directions(shapes), *duals]:
        search.learn(worth)
    return search.run(wants_fleet)


def is_few(shape_count: int, cost: float, shapes: Shapes) -> bool:
    """True where there are so few tasks and shapes that numbers of instances can be settled."""
    return shape_count <= _MOST_SHAPES and cost <= _MOST_COST * float(shapes.prices.max())


def _directions(shapes: Shapes) -> list[Any]:
    """(n) worths by the price of each resource and of mixtures of two."""
    unit = 1.0 / np.maximum(shapes.rooms.max(axis=0), 1)
    resources = len(unit)
    rows = [np.eye(resources)[r] for r in range(resources)]
    for a in range(resources):
        for b in range(a + 1, resources):
            for share in np.linspace(0.1, 0.9, 9):
                rows.append(share * np.eye(resources)[a] + (1.0 - share) * np.eye(resources)[b])
    return [shapes.needs @ (row * unit) for row in rows]


@dataclass
class _Search(WholeProgram):
    """Columns of the program: instances by zone and type, types used, running tasks and those of them that may be
    on Spot by service and zone."""

    problem: PackingProblem
    shapes: Shapes
    counts: list[int]
    on_spot: list[int]
    cost: Fraction
    deadline: Deadline
    most_nodes: int

    def __post_init__(self) -> None:
        super().__init__()
        self.zones, self.types = self.problem.zones, len(self.shapes.offers)
        self.scale = float(self.shapes.prices.max())
        self.step = common_step(self.shapes)
        self.pricing = Pricing(self.shapes)
        # Rows need what an instance can hold even where that is less than its price.
        self.pricing.prices = np.zeros_like(self.pricing.prices)
        services = len(self.counts)
        self.shape_of = {u: i for i, group in enumerate(self.shapes.members) for u in group}
        survives = self.problem.survive_zone_loss
        firm = self.counts if survives else [n - f for n, f in zip(self.counts, self.on_spot, strict=True)]
        self.most = np.minimum(self.shapes.demand(firm + self.on_spot), self.shapes.most)
        most = [int(self.cost / price) for price in self.shapes.exact_prices]
        self.buys = np.array(
            [
                [self._column(self.shapes.prices[t] / self.scale, 0, most[t]) for t in range(self.types)]
                for _ in range(self.zones)
            ],
            np.int32,
        )
        self.running = np.zeros((services, self.zones), np.int32)
        self.loose = np.zeros((services, self.zones), np.int32)
        for s, (count, on_spot) in enumerate(zip(self.counts, self.on_spot, strict=True)):
            for z in range(self.zones):
                self.running[s, z] = self._column(0.0, count // self.zones, -(-count // self.zones))
                self.loose[s, z] = self._column(0.0, 0, min(on_spot, -(-count // self.zones)))
        self._state_rules(most)
        self.best: Fitted | None = None
        self.nodes = 0
        self.levels: dict[tuple[int, int, int], int] = {}
        self.most_bought = most

    def _state_rules(self, most: list[int]) -> None:
        for s, (count, on_spot) in enumerate(zip(self.counts, self.on_spot, strict=True)):
            self._row(count, count, dict.fromkeys(self.running[s].tolist(), 1.0))
            self._row(on_spot, on_spot, dict.fromkeys(self.loose[s].tolist(), 1.0))
            for z in range(self.zones):
                if on_spot:
                    self._row(0.0, self.infinity, {int(self.running[s, z]): 1.0, int(self.loose[s, z]): -1.0})
        for t in np.flatnonzero(self.shapes.limits < UNLIMITED).tolist():
            self._row(0.0, float(self.shapes.limits[t]), dict.fromkeys(self.buys[:, t].tolist(), 1.0))
        bases = sorted({v.base for v in self.shapes.offers})
        if self.problem.max_types is not None and len(bases) > self.problem.max_types:
            used = {base: self._column(0.0, 0, 1) for base in bases}
            self._row(0.0, float(self.problem.max_types), dict.fromkeys(used.values(), 1.0))
            for t, variant in enumerate(self.shapes.offers):
                bought = dict.fromkeys(self.buys[:, t].tolist(), 1.0)
                self._row(-self.infinity, 0.0, bought | {used[variant.base]: -float(most[t])})
        prices = self.shapes.prices / self.scale
        for z in range(1, self.zones):
            # Zones are alike, so the dearer may come first.
            earlier = dict(zip(self.buys[z - 1].tolist(), prices.tolist(), strict=True))
            later = dict(zip(self.buys[z].tolist(), (-prices).tolist(), strict=True))
            self._row(0.0, self.infinity, earlier | later)
        everything = {k: float(prices[t]) for z in range(self.zones) for t, k in enumerate(self.buys[z].tolist())}
        self._row(0.0, self._below(), everything)
        self.cost_row = int(self.solver.getNumRow()) - 1

    def _below(self) -> float:
        """Only what is cheaper by a step, or by a little."""
        small = self.step / self.cost <= 1e-6
        return float(self.cost * Fraction(999_999, 10**6) if small else self.cost - self.step / 2) / self.scale

    def learn(self, worth: Any) -> None:
        """Add the rows that prices (n) of tasks give, whatever their unit."""
        top = float(worth.max(initial=0.0))
        if top <= 0.0:
            return
        # The dearest type may be worth 2^40 in whole numbers at most; a task rarely needs a 64th of that less.
        whole = np.floor(worth / top * 2.0**34).astype(np.int64)
        found = self.pricing.price(whole, self.most, _PRICING_NODES, 1e-7)
        needed = float(self.shapes.demand(self.counts + self.on_spot) @ whole)
        d, held = whole / needed, found[:, 1] / needed
        firm = np.array([d[self.shape_of[s]] if s in self.shape_of else 0.0 for s in range(len(self.counts))])
        loose = np.array(
            [
                d[self.shape_of[s + len(self.counts)]] if s + len(self.counts) in self.shape_of else 0.0
                for s in range(len(self.counts))
            ]
        )
        for z in range(self.zones):
            self._row(-_SLACK, self.infinity, self._in_zone(z, held, firm, loose))
            if self.problem.survive_zone_loss:
                others = [o for o in range(self.zones) if o != z]
                terms = {int(k): float(held[t]) for o in others for t, k in enumerate(self.buys[o])}
                for s in np.flatnonzero(self.on_spot).tolist():
                    for o in others:
                        terms[int(self.loose[s, o])] = float(firm[s] - loose[s])
                self._row(float(firm @ self.counts) - _SLACK, self.infinity, terms)

    def _in_zone(self, z: int, held: Any, firm: Any, loose: Any) -> dict[int, float]:
        terms = {int(k): float(held[t]) for t, k in enumerate(self.buys[z])}
        for s in range(len(self.counts)):
            terms[int(self.running[s, z])] = -float(firm[s])
            if self.on_spot[s]:
                terms[int(self.loose[s, z])] = float(firm[s] - loose[s])
        return terms

    def run(self, wants_fleet: bool) -> Counted | None:
        bound, exact, undecided = Fraction(0), True, 0
        for _ in range(_ROUNDS):
            if self.deadline.passed() or self.nodes >= self.most_nodes:
                break
            reached, values = self._solved()
            if exact:
                bound = max(bound, reached)
            if values is None or bound >= self.cost:
                break
            bought = values[self.buys]
            if self._cut_off(values):
                if wants_fleet:
                    self._repair(bought)
                continue
            if not wants_fleet:
                break
            fitted = self._fitted(bought)
            if fitted.instances is not None:
                self._take(bought, fitted)
                break
            self._repair(bought)
            exact = exact and fitted.is_impossible
            undecided += not fitted.is_impossible
            if undecided > _MOST_UNDECIDED:
                break
            self._rule_out(bought)
        bound = min(bound, self.cost)
        if self.best is None:
            return Counted(bound) if bound else None
        return Counted(bound, self.best.instances, self.best.running)

    def _solved(self) -> tuple[Fraction, Any]:
        """What every fleet costs at least, and the columns' values; None where nothing is below the limit, or
        nothing was found."""
        # A solver that goes on from the answer before can run without end (HiGHS 1.x), so each is a new one.
        solver, _ = quiet_highs()
        solver.passModel(self.solver.getLp())
        solver.setOptionValue("mip_allow_restart", False)
        run_to_optimum(
            solver, self.most_nodes - self.nodes, self.deadline, within=0.9 * float(self.step) / self.scale
        )
        self.nodes += max(1, int(solver.getInfo().mip_node_count))
        status = str(solver.getModelStatus()).rsplit(".", 1)[-1]
        if status == "kInfeasible":
            return self.cost, None
        bound = float(solver.getInfo().mip_dual_bound) * self.scale
        reached = whole_bound(bound, self.shapes) if math.isfinite(bound) else Fraction(0)
        values = np.array(solver.getSolution().col_value)
        if not solver.getSolution().value_valid or values.shape[0] != solver.getNumCol():
            return reached, None
        return reached, np.round(values).astype(np.int64)

    def _cut_off(self, values: Any) -> bool:
        """Add rows that the answer breaks; False where broken tasks fit everywhere."""
        bought, running, loose = values[self.buys], values[self.running], values[self.loose]
        found: dict[bytes, tuple[Any, Any]] = {}
        for z in range(self.zones):
            tasks = self.shapes.demand([*(running[:, z] - loose[:, z]).tolist(), *loose[:, z].tolist()])
            found[bought[z].tobytes() + tasks.tobytes()] = (bought[z], tasks)
            if self.problem.survive_zone_loss:
                left, on_spot = bought.sum(axis=0) - bought[z], loose.sum(axis=1) - loose[:, z]
                tasks = self.shapes.demand([*(np.array(self.counts) - on_spot).tolist(), *on_spot.tolist()])
                found[left.tobytes() + tasks.tobytes()] = (left, tasks)
        rows = [
            row for instances, tasks in found.values() if (row := self._broken_row(instances, tasks)) is not None
        ]
        for row in rows:
            self.learn(row)
        return bool(rows)

    def _broken_row(self, instances: Any, tasks: Any) -> Any:
        """Prices (n) by which the tasks are worth more than the instances can hold, or None: the duals of leaving
        out as little as possible, by column generation."""
        from scipy.optimize import linprog

        shapes, n = self.shapes, self.shapes.count
        types = np.flatnonzero(instances)
        size = (shapes.needs / np.maximum(shapes.rooms.max(axis=0), 1)).sum(axis=1) + 1e-6
        columns = [
            (k, np.eye(n, dtype=np.int64)[i])
            for k, t in enumerate(types)
            for i in np.flatnonzero(shapes.fits[:, t])
        ]
        for _ in range(60):
            left = -np.vstack([np.eye(n), np.zeros((len(types), n))])
            held = np.zeros((n + len(types), len(columns)))
            for c, (k, pattern) in enumerate(columns):
                held[:n, c], held[n + k, c] = -pattern, 1.0
            answer = linprog(
                np.concatenate([size, np.zeros(len(columns))]), A_ub=np.hstack([left, held]),
                b_ub=np.concatenate([-tasks, instances[types]]), method="highs",
            )  # fmt: skip
            if answer.status != 0 or answer.fun < 1e-7:
                return None
            duals = np.maximum(-answer.ineqlin.marginals[:n], 0.0)
            rent = np.maximum(-answer.ineqlin.marginals[n:], 0.0)
            top = float(duals.max(initial=0.0))
            if top <= 0.0:
                return None
            whole = np.floor(duals / top * 2.0**34).astype(np.int64)
            found = self.pricing.price(whole, self.most, _PRICING_NODES, 1e-7)
            worth = found[:, 1] * (top / 2.0**34)
            if float(duals @ tasks - worth[types] @ instances[types]) > 1e-6:
                return duals
            more = [
                (k, self.pricing.patterns[t].copy())
                for k, t in enumerate(types)
                if self.pricing.patterns[t] @ duals > rent[k] + 1e-9
            ]
            if not more:
                return None
            columns += more
        return None

    def _fitted(self, bought: Any, nodes: int = _FIT_NODES, share: float = 0.5) -> Fitted:
        part = self.deadline.share(share)
        return fit_zones(self.problem, self.shapes, self.counts, self.on_spot, bought, part, nodes)

    def _price(self, bought: Any) -> Fraction:
        prices = self.shapes.exact_prices
        return sum((prices[t] * int(n) for t, n in enumerate(bought.sum(axis=0)) if n), Fraction(0))

    def _take(self, bought: Any, fitted: Fitted) -> None:
        """Keep a fleet that is the cheapest so far, and ask for cheaper ones from now on."""
        self.best, self.cost = fitted, self._price(bought)
        self.solver.changeRowBounds(self.cost_row, 0.0, self._below())

    def _repair(self, bought: Any) -> None:
        """Try a few fleets with one instance more than too few, from the cheapest to the dearest."""
        used = np.flatnonzero(bought.sum(axis=0))
        types = {self.shapes.offers[t].base for t in used.tolist()}
        options = []
        for t, variant in enumerate(self.shapes.offers):
            may = variant.base in types or len(types) < (self.problem.max_types or len(self.shapes.offers))
            for z in range(self.zones) if may else ():
                wider = bought.copy()
                wider[z, t] += 1
                if self._price(wider) < self.cost and wider[:, t].sum() <= self.shapes.limits[t]:
                    options.append((self._price(wider), t, z, wider))
        options.sort(key=lambda option: option[:3])
        for k in np.unique(np.linspace(0, len(options) - 1, _REPAIRS).astype(int)).tolist() if options else ():
            if self.deadline.passed():
                return
            wider = options[k][3]
            fitted = self._fitted(wider, _FIT_NODES // 8, 0.05)
            if fitted.instances is not None:
                self._take(wider, fitted)
                return

    def _rule_out(self, bought: Any) -> None:
        """No zone-wise part of these instances holds the tasks: somewhere there must be more."""
        for order in set(permutations(tuple(row) for row in bought.tolist())):
            terms: dict[int, float] = {}
            for z, row in enumerate(order):
                for t, n in enumerate(row):
                    if n == 0:
                        terms[int(self.buys[z, t])] = 1.0
                    elif n < self.most_bought[t]:
                        terms[self._at_least(z, t, n + 1)] = 1.0
            self._row(1.0, self.infinity, terms)

    def _at_least(self, z: int, t: int, n: int) -> int:
        """A column that can be 1 only where zone z has n instances of type t."""
        if (z, t, n) not in self.levels:
            self.levels[z, t, n] = self._column(0.0, 0, 1)
            self._row(0.0, self.infinity, {int(self.buys[z, t]): 1.0, self.levels[z, t, n]: -float(n)})
        return self.levels[z, t, n]
