"""How one capacity provider is run for several services at once: chosen by replay, judged on later weeks.

Each service brings the tasks that its own scaling policy asks for, minute by minute. They are placed on shared
instances as ECS places them, under one setting of managed scaling after another; a minute in which tasks wait
for an instance has fewer of them running. The setting with fewest instance-hours is taken that leaves every
service room for a worse week than the known ones had. What the same rule would have taken on the first weeks
is then judged on the week that followed, which it had not seen (the services' own policies may have). That
tasks wait does not make a service ask for more of them here: the replay of one service alone
(`scaling.choose_capacity`) has that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

import numpy as np
from numpy.typing import NDArray

from planner.fleet import FleetRules, FleetRun, misfits, replay_fleet, scarcest, usual_strategy
from planner.model import InstanceType, Rejection, TaskType
from planner.scaling import Policy, TaskCounts, simulate, task_counts
from planner.scaling.choose import weekly_bound
from planner.scaling.outcome import Trajectory
from planner.scaling.replay import column_of
from planner.scaling.rounding import wholes
from planner.scaling.search import STRAIN
from planner.units import DAYS_PER_WEEK, MINUTES_PER_DAY, MINUTES_PER_HOUR

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
Loads = Mapping[str, FloatArray]
NONE: Final[Loads] = {}

TARGETS: Final = (100, 95, 90, 80, 70, 60)
"""Percent of target capacity; under 100 an instance boots before it is needed."""
MINIMUM_QUANTILES: Final = (0.5, 0.9, 0.99, 1.0)
"""Minimum sizes, as quantiles of the instances that the tasks need when none is kept."""
MINIMUM_STEPS: Final = (2, 4)
"""Instances of a launch at the least, tried where no instances are kept."""
HEADROOM: Final = 2
"""Maximum size and largest step over the most that the known weeks had: a bound against runaways."""
WARM_UP_MINUTES: Final = 5
"""instanceWarmupPeriod, 300 s by default."""


@dataclass(frozen=True, slots=True)
class Hosted:
    """One service on the provider. Arrays are by minute and of one length for all services."""

    task: TaskType
    wanted: IntArray
    """Tasks that its policy asks for."""
    running: IntArray
    """Tasks that run where instances are always there."""
    needed: IntArray
    """Running tasks under which the minute violates; 0 where the demand is unknown."""
    strained: IntArray
    """The same with demand raised by a share, so that near misses count."""
    known: NDArray[np.bool_]
    """Minutes with demand."""

    @property
    def name(self) -> str:
        return self.task.service


@dataclass(frozen=True, slots=True)
class Setting:
    target_capacity_percent: int
    min_size: int
    minimum_step: int = 1


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a setting came to, by day; shape (days,) or (days, services)."""

    setting: Setting
    strategy: str
    instance_hours: FloatArray
    violations: IntArray
    strains: IntArray
    most_instances: int
    largest_launch: int


@dataclass(frozen=True, slots=True)
class UnseenWeek:
    """The choice on the weeks before one, and what that week made of it."""

    week: int
    """Counted from 0, the first known one, which nothing precedes."""
    setting: Setting
    attainment: float
    """Of the service that kept least."""
    held: bool
    reachable: bool
    """Whether any setting held it."""
    cost_ratio: float | None
    """Instance-hours over those of the cheapest setting that held it; None where none did."""


@dataclass(frozen=True, slots=True)
class ProviderPoint:
    setting: Setting
    instance_hours_per_week: float
    attainment: float
    """Of the service that kept least."""
    holds: bool
    """Whether every service has room for a worse week."""


@dataclass(frozen=True, slots=True)
class ProviderChoice:
    chosen: ProviderPoint
    strategy: str
    max_size: int
    maximum_step: int
    attainment: dict[str, float]
    """By service, on the known weeks."""
    unseen: tuple[UnseenWeek, ...]
    frontier: tuple[ProviderPoint, ...]
    tried: int
    reason: str


def hosted(
    task: TaskType,
    demand_vcpu: FloatArray,
    start: datetime,
    policy: Policy,
    utilisation: float,
    loads: Loads = NONE,
    needs_vcpu: FloatArray | None = None,
) -> Hosted:
    """A service as its policy scales it on `demand_vcpu`, shape (minutes,), with instances always there.

    `needs_vcpu` is the vCPU of whole tasks that each minute needs where that is more than its demand, as where
    memory fills tasks first (`scaling.signals.binding`).
    """
    judged = demand_vcpu if needs_vcpu is None else needs_vcpu
    served = policy.task_vcpu * utilisation
    metrics = {t.metric for t in policy.target_tracking} | {step.metric for step in policy.step}
    if {column_of(metric) for metric in metrics} <= {"vcpu"}:
        counts: TaskCounts | Trajectory = task_counts(demand_vcpu, start, policy, utilisation=utilisation)
    else:
        counts = simulate(demand_vcpu, start, policy, utilisation=utilisation, loads=loads).trajectory
    return Hosted(
        task,
        counts.desired,
        counts.running,
        np.nan_to_num(wholes(judged / served)).astype(np.int64),
        np.nan_to_num(wholes(judged * (1 + STRAIN) / served)).astype(np.int64),
        np.isfinite(demand_vcpu),
    )


def choose_provider(
    services: Sequence[Hosted],
    offer: InstanceType,
    zones: tuple[str, ...],
    *,
    slo: float,
    smallest: int = 0,
    boot_minutes: int = 3,
    seed: int = 0,
    advance: Callable[[float], None] = lambda _share: None,
) -> ProviderChoice | tuple[Rejection, ...]:
    """The setting of managed scaling for `services` on instances of one type, or why they do not fit.

    `smallest` is the least minimum size; `slo` the share of minutes that every service must keep; `advance` hears
    the share that is done. Where no setting leaves room, the one nearest to it is taken and the reason says so.
    """
    if refused := misfits([service.task for service in services], offer):
        return refused
    rules = FleetRules(zones, boot_minutes=boot_minutes, warm_up_minutes=WARM_UP_MINUTES)
    counts = {service.name: service.wanted for service in services}
    resource = scarcest(counts, [service.task for service in services], offer)
    settings = _settings(services, offer, rules, resource, smallest, seed)
    replays = []
    for setting in settings:
        replays.append(_replay(services, offer, rules, resource, setting, seed))
        advance(1 / len(settings))
    judged = np.stack([_by_day(service.known) for service in services], axis=1)
    return _chosen(replays, judged, services, slo)


def _ran(
    services: Sequence[Hosted], offer: InstanceType, rules: FleetRules, resource: str, setting: Setting, seed: int
) -> tuple[FleetRun, str]:
    strategy = usual_strategy(resource, setting.target_capacity_percent)
    rules = replace(
        rules,
        min_size=setting.min_size,
        target_capacity_percent=setting.target_capacity_percent,
        minimum_step=setting.minimum_step,
        strategy=strategy,
    )
    counts = {service.name: service.wanted for service in services}
    return replay_fleet(counts, [service.task for service in services], offer, rules, seed), strategy


def _settings(
    services: Sequence[Hosted], offer: InstanceType, rules: FleetRules, resource: str, smallest: int, seed: int
) -> list[Setting]:
    alone, _ = _ran(services, offer, rules, resource, Setting(100, smallest), seed)
    sizes = np.ceil(np.quantile(alone.instances, MINIMUM_QUANTILES)).astype(int)
    minimums = sorted({smallest, *(max(smallest, int(size)) for size in sizes)})
    kept = [Setting(target, size) for target in TARGETS for size in minimums]
    return kept + [Setting(target, smallest, step) for target in TARGETS for step in MINIMUM_STEPS]


def _replay(
    services: Sequence[Hosted], offer: InstanceType, rules: FleetRules, resource: str, setting: Setting, seed: int
) -> Replayed:
    run, strategy = _ran(services, offer, rules, resource, setting, seed)
    serving = [np.maximum(0, s.running - run.pending[s.name]) for s in services]
    return Replayed(
        setting,
        strategy,
        _by_day(run.instances) / MINUTES_PER_HOUR,
        np.stack([_by_day(s.needed > n) for s, n in zip(services, serving, strict=True)], axis=1),
        np.stack([_by_day(s.strained > n) for s, n in zip(services, serving, strict=True)], axis=1),
        int(run.instances.max()),
        max(1, int(np.diff(run.instances).max(initial=1))),
    )


def _by_day(minutes: NDArray[np.generic]) -> IntArray:
    """Sums over days from the first minute on; the last may be short."""
    return np.add.reduceat(minutes.astype(np.int64), range(0, len(minutes), MINUTES_PER_DAY))


def _chosen(replays: list[Replayed], judged: IntArray, services: Sequence[Hosted], slo: float) -> ProviderChoice:
    hours = np.stack([replay.instance_hours for replay in replays], axis=1)
    missed = np.stack([replay.violations for replay in replays], axis=2)
    strained = np.stack([replay.strains for replay in replays], axis=2)
    best, holds = _pick(hours, strained, judged, slo)
    attained = 1 - missed.sum(axis=0) / np.maximum(1, judged.sum(axis=0))[:, None]
    weeks = len(judged) / DAYS_PER_WEEK
    points = [
        ProviderPoint(
            replay.setting, float(hours[:, i].sum()) / weeks, float(attained[:, i].min()), bool(holds[i])
        )
        for i, replay in enumerate(replays)
    ]
    unseen = _unseen_weeks(replays, hours, missed, strained, judged, slo)
    return ProviderChoice(
        chosen=points[best],
        strategy=replays[best].strategy,
        max_size=HEADROOM * replays[best].most_instances,
        maximum_step=max(HEADROOM * replays[best].largest_launch, replays[best].setting.minimum_step),
        attainment={service.name: float(attained[k, best]) for k, service in enumerate(services)},
        unseen=unseen,
        frontier=_frontier(points),
        tried=len(points),
        reason=_reason(points[best], int(holds.sum()), len(points), unseen, _short_by_themselves(services, slo)),
    )


def keeps_room(services: Sequence[Hosted], run: FleetRun, slo: float) -> bool:
    """Whether every service had room for a worse week on a fleet."""
    budget = (1 - slo) * DAYS_PER_WEEK * MINUTES_PER_DAY
    for service in services:
        serving = np.maximum(0, service.running - run.pending[service.name])
        strains = _by_day(service.strained > serving)[:, None]
        if weekly_bound(strains, _by_day(service.known))[0] > budget:
            return False
    return True


def _pick(hours: FloatArray, strained: IntArray, judged: IntArray, slo: float) -> tuple[int, NDArray[np.bool_]]:
    """The cheapest setting with room in every service, else the one nearest to it; which ones have room.

    `hours` (days, settings), `strained` (days, services, settings), `judged` (days, services).
    """
    budget = (1 - slo) * DAYS_PER_WEEK * MINUTES_PER_DAY
    bounds = np.stack([weekly_bound(strained[:, k], judged[:, k]) for k in range(judged.shape[1])])
    worst = bounds.max(axis=0)
    holds = worst <= budget
    order = np.lexsort((hours.sum(axis=0), np.where(holds, 0.0, worst)))
    return int(order[0]), holds


def _short_by_themselves(services: Sequence[Hosted], slo: float) -> list[str]:
    """Services without room for a worse week even where instances are always there."""

    def alone(service: Hosted) -> FleetRun:
        nothing = np.zeros(len(service.wanted), np.int64)
        return FleetRun(nothing, {service.name: nothing})

    return [service.name for service in services if not keeps_room([service], alone(service), slo)]


def _unseen_weeks(
    replays: list[Replayed], hours: FloatArray, missed: IntArray, strained: IntArray, judged: IntArray, slo: float
) -> tuple[UnseenWeek, ...]:
    """A replay of all weeks begins as a replay of the first ones does, so each setting runs once."""
    found = []
    for week in range(1, len(judged) // DAYS_PER_WEEK):
        first = week * DAYS_PER_WEEK
        days = slice(first, first + DAYS_PER_WEEK)
        taken, _ = _pick(hours[:first], strained[:first], judged[:first], slo)
        known = np.maximum(1, judged[days].sum(axis=0))[:, None]
        attained = (1 - missed[days].sum(axis=0) / known).min(axis=0)
        held, cost = attained >= slo, hours[days].sum(axis=0)
        ratio = float(cost[taken] / cost[held].min()) if held.any() else None
        found.append(
            UnseenWeek(
                week, replays[taken].setting, float(attained[taken]), bool(held[taken]), bool(held.any()), ratio
            )
        )
    return tuple(found)


def _frontier(points: list[ProviderPoint]) -> tuple[ProviderPoint, ...]:
    kept: list[ProviderPoint] = []
    for point in sorted(points, key=lambda p: (p.instance_hours_per_week, -p.attainment)):
        if not kept or point.attainment > kept[-1].attainment:
            kept.append(point)
    return tuple(kept)


def _reason(
    chosen: ProviderPoint, holding: int, tried: int, unseen: tuple[UnseenWeek, ...], short: list[str]
) -> str:
    setting = chosen.setting
    told = f"target capacity {setting.target_capacity_percent} %, never under {setting.min_size} instances"
    if setting.minimum_step > 1:
        told += f", {setting.minimum_step} a launch at the least"
    if holding:
        told += f": fewest instance-hours of the {holding} of {tried} settings that leave every service room"
    elif short:
        told = (
            f"no setting leaves every service room for a worse week, because {', '.join(short)} would not have it "
            f"with instances always there: lower the target or raise the floor of {short[0]} first; {told} comes "
            "nearest"
        )
    else:
        told = (
            f"no setting of {tried} leaves every service room for a worse week, because tasks wait for instances "
            f"to boot: use a warm pool or give the services a floor; {told} comes nearest"
        )
    reachable = [week for week in unseen if week.reachable]
    if not unseen:
        return f"{told}; less than two weeks are known, so it was judged on no unseen week"
    missing = len(unseen) - len(reachable)
    return (
        f"{told}; chosen on the weeks before each, it held {sum(week.held for week in reachable)} of "
        f"{len(reachable)} unseen weeks" + (f" ({missing} more were out of reach)" if missing else "")
    )
