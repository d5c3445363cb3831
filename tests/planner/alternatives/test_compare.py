"""Every platform on the same demand: sums that can be checked by hand, limits by name, and what would flip it."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.alternatives import (
    Assumptions,
    Comparison,
    Demanded,
    DemandedService,
    Evaluation,
    Packed,
    PlannedFleet,
    Platform,
    Question,
    as_document,
    break_even_factor,
    compare,
    evaluate,
    excess_share,
    levels,
    tornado,
)
from planner.alternatives.assumptions import assumptions_from
from planner.alternatives.reserves import aks_room, eks_cpu_reserved, eks_room, kubernetes_room
from planner.cost import CostLine, Kind, total
from planner.model import Architecture, InstanceType, Rejection, Resources, TaskType
from planner.prices import load
from planner.units import CpuUnits, MiB, UsdPerHour, usd_per_month

BOOK = load()
BARE = Assumptions(headroom=0, staff_usd_per_hour=0, load_balancers=0, root_volume_gb=1e-9)
"""Only machines, tasks and control planes cost something."""


def service(
    name: str = "web", tasks: tuple[int, ...] = (4,), cpu: int = 512, memory: int = 1024, **more: object
) -> DemandedService:
    return DemandedService(name, Resources(CpuUnits(cpu), MiB(memory), 1), tasks, **more)  # type: ignore[arg-type]


def one_task_an_instance(tasks: Sequence[TaskType], types: Sequence[InstanceType]) -> Packed | Rejection:
    """A packer simple enough to check by hand: every task on its own, on the cheapest type that holds it."""
    counts: dict[str, int] = {}
    cost = 0.0
    for task in tasks:
        best = min(
            (t for t in types if task.needs.fits_in(t.room) and task.architecture in {None, t.architecture}),
            key=lambda t: (t.usd_per_hour, t.instance_type),
        )
        counts[best.instance_type] = counts.get(best.instance_type, 0) + task.count
        cost += task.count * best.usd_per_hour
    return Packed(tuple(counts.items()), UsdPerHour(cost), UsdPerHour(cost))


def question(*services: DemandedService, assumed: Assumptions = BARE, **more: object) -> Question:
    return Question(Demanded(services or (service(),)), BOOK, "eu-west-2", one_task_an_instance, assumed, **more)  # type: ignore[arg-type]


def compute(evaluation: Evaluation) -> float:
    return total(line for line in evaluation.lines if line.kind is Kind.COMPUTE)


# Platforms


def test_fargate_is_the_mean_count_at_the_size_fargate_rounds_to() -> None:
    found = evaluate(Platform.ECS_FARGATE, question(service(tasks=(2, 4), cpu=512, memory=900)))

    # 0.5 vCPU and 900 MiB become 0.5 vCPU and 1 GiB: 3 x (0.5 x 0.04656 + 1 x 0.00511) = 0.08517
    assert found.refused == ()
    assert compute(found) == pytest.approx(0.08517)


def test_arm_costs_its_own_rates_and_names_images_to_rebuild() -> None:
    x86_only = service(architecture=Architecture.X86_64)
    found = evaluate(Platform.ECS_FARGATE_ARM, question(x86_only))

    # 4 x (0.5 x 0.03725 + 1 x 0.00409) = 0.09086
    assert compute(found) == pytest.approx(0.09086)
    assert "images are for x86_64 only and must be rebuilt: web" in found.cannot


def test_fargate_spot_without_a_price_or_an_assumed_discount_is_refused() -> None:
    refused = evaluate(Platform.ECS_FARGATE_SPOT, question())
    assumed = replace(BARE, fargate_spot_discount=0.6, fargate_spot_on_demand_share=0.25)
    priced = evaluate(Platform.ECS_FARGATE_SPOT, question(assumed=assumed))

    assert refused.usd_per_hour is None
    assert "--fargate-spot-discount" in refused.refused[0].reason
    # 4 x 0.02839 = 0.11356; a quarter at the full price, three quarters at 0.4 of it: x 0.55
    assert compute(priced) == pytest.approx(0.11356 * 0.55)


def test_managed_instances_are_ec2_plus_the_fee_on_machines_only() -> None:
    ec2 = evaluate(Platform.ECS_EC2, question())
    managed = evaluate(Platform.ECS_MANAGED_INSTANCES, question())
    fee = total(line for line in managed.lines if line.kind is Kind.FEE)

    assert compute(managed) == pytest.approx(compute(ec2))
    assert fee == pytest.approx(0.12 * compute(ec2))


def test_eks_auto_mode_adds_its_fee_on_the_nodes() -> None:
    plain = evaluate(Platform.EKS_EC2, question())
    auto = evaluate(Platform.EKS_EC2, question(assumed=replace(BARE, eks_auto_mode=True)))

    assert total(line for line in auto.lines if line.kind is Kind.FEE) == pytest.approx(0.12 * compute(plain))


def test_the_managed_instances_fee_of_a_family_wins_over_the_general_one() -> None:
    gpu = DemandedService("vision", Resources(CpuUnits(1024), MiB(2048), 1, 1), (1,))
    found = evaluate(Platform.ECS_MANAGED_INSTANCES, question(gpu, families=["g6"]))

    # g6 was measured at 7.8 % where 12 % is the general figure
    assert total(line for line in found.lines if line.kind is Kind.FEE) == pytest.approx(0.078 * compute(found))


def test_eks_adds_a_cluster_and_its_pods_need_more_of_a_node() -> None:
    found = evaluate(Platform.EKS_EC2, question())
    cluster = total(line for line in found.lines if line.kind is Kind.CONTROL_PLANE)

    assert usd_per_month(cluster) == pytest.approx(73.00)
    assert compute(found) >= compute(evaluate(Platform.ECS_EC2, question()))


def test_eks_fargate_adds_256_mib_to_each_pod_before_rounding() -> None:
    found = evaluate(Platform.EKS_FARGATE, question(service(cpu=512, memory=1024)))

    # 1,024 + 256 MiB need the size of 2 GiB: 4 x (0.5 x 0.04656 + 2 x 0.00511) = 0.134
    assert compute(found) == pytest.approx(0.134)
    assert any("no ARM" in text for text in found.cannot)


def test_own_kubernetes_pays_three_nodes_etcd_volumes_and_a_load_balancer() -> None:
    found = evaluate(Platform.KUBERNETES_EC2, question())
    control_plane = [line for line in found.lines if line.kind is Kind.CONTROL_PLANE]

    # 3 x m7i.large 0.11655 + 150 GB x 0.0928 / 730 + NLB 0.02646
    assert total(control_plane) == pytest.approx(3 * 0.11655 + 150 * 0.0928 / 730 + 0.02646)


def test_aks_without_a_disk_price_is_a_lower_bound() -> None:
    found = evaluate(Platform.AKS, question())
    priced = replace(BARE, azure_disk_usd_per_gb_month=0.15)

    assert not found.is_complete
    assert [r.what for r in found.missing] == ["Azure system disks"]
    assert "--azure-disk-usd-per-gb-month" in found.missing[0].reason
    assert {line.item.split("_")[0] for line in found.lines if line.kind is Kind.COMPUTE} == {"Standard"}
    assert evaluate(Platform.AKS, question(assumed=priced)).is_complete


def test_aks_pays_a_balancer_for_each_and_at_most_a_gigabyte_an_lcu() -> None:
    def balancing(found: Evaluation) -> float:
        return total(line for line in found.lines if line.kind is Kind.LOAD_BALANCING)

    assumed = replace(BARE, load_balancers=2, lcus_each=3)
    measured = (
        CostLine("a: hours", Kind.LOAD_BALANCING, None, None, UsdPerHour(0.02646), "", "", ""),
        CostLine("a: LCUs", Kind.LOAD_BALANCING, None, None, UsdPerHour(5 * 0.0084), "", "", ""),
    )

    # 2 x 0.025 + 2 x 3 GB x 0.005; measured: 1 x 0.025 + 5 GB x 0.005
    assert balancing(evaluate(Platform.AKS, question(assumed=assumed))) == pytest.approx(0.05 + 0.03)
    assert balancing(evaluate(Platform.AKS, question(load_balancing=measured))) == pytest.approx(0.025 + 0.025)


def test_a_plan_s_fleet_stands_in_for_packing_and_managed_instances_pay_their_fee_on_it() -> None:
    machine = CostLine("m7i.large", Kind.COMPUTE, None, "own", UsdPerHour(1.0), "", "", "")
    task = CostLine("Fargate vCPU", Kind.COMPUTE, "web", "FARGATE", UsdPerHour(0.5), "", "", "")
    asked = question(planned=PlannedFleet((machine, task), 10, 0.8))

    found, managed = (evaluate(p, asked) for p in (Platform.ECS_EC2, Platform.ECS_MANAGED_INSTANCES))

    assert compute(found) == pytest.approx(1.5)
    assert found.filled == 0.8
    assert total(line for line in managed.lines if line.kind is Kind.FEE) == pytest.approx(0.12)  # not on Fargate


def test_what_is_saved_pays_back_the_person_days() -> None:
    found = compare(
        question(assumed=replace(BARE, staff_usd_per_hour=73)), [Platform.ECS_EC2, Platform.ECS_FARGATE]
    )
    fargate = next(e for e in found.evaluations if e.platform is Platform.ECS_FARGATE)
    assert found.home is not None
    assert found.home.usd_per_hour is not None
    assert fargate.usd_per_hour is not None
    saved = usd_per_month(found.home.usd_per_hour - fargate.usd_per_hour)

    assert found.migration_usd(fargate) == pytest.approx(10 * 8 * 73)  # 10 person-days of 8 hours
    assert found.payback_months(fargate) == pytest.approx(10 * 8 * 73 / saved)
    assert found.payback_months(found.home) is None


def test_the_cheapest_with_the_present_images_is_told_apart() -> None:
    x86_only = service(architecture=Architecture.X86_64)
    found = compare(question(x86_only), [Platform.ECS_FARGATE, Platform.ECS_FARGATE_ARM])

    assert found.cheapest is not None
    assert found.cheapest_with_present_images is not None
    assert (found.cheapest.platform, found.cheapest.rebuild) == (Platform.ECS_FARGATE_ARM, ("web",))
    assert found.cheapest_with_present_images.platform is Platform.ECS_FARGATE


def test_aks_in_a_region_without_prices_is_refused_by_name() -> None:
    found = evaluate(Platform.AKS, question(assumed=replace(BARE, azure_region="ukwest")))

    assert found.usd_per_hour is None
    assert found.refused[0].what == "Azure VMs in ukwest"
    assert "--azure-region ukwest" in found.refused[0].reason


def test_gpu_services_are_refused_by_name_where_there_are_no_gpus() -> None:
    gpu = DemandedService("vision", Resources(CpuUnits(1024), MiB(2048), 1, 1), (1,))

    for platform in (Platform.ECS_FARGATE, Platform.EKS_FARGATE, Platform.AKS):
        assert [r.what for r in evaluate(platform, question(gpu)).refused] == ["vision"]
    on_ec2 = evaluate(Platform.ECS_EC2, question(gpu))
    assert on_ec2.refused == ()
    assert any(line.item.startswith("g") for line in on_ec2.lines)


def test_a_task_larger_than_every_machine_is_refused_by_name() -> None:
    found = evaluate(Platform.ECS_EC2, question(service("huge", cpu=10**6, memory=1024), max_vcpu=64))

    assert [(r.what, r.reason) for r in found.refused] == [("huge", "one task is larger than the largest machine")]


def test_daemon_services_take_room_on_machines_and_are_told_on_fargate() -> None:
    agent = DemandedService("agent", Resources(CpuUnits(1024), MiB(2048)), (0,), daemon=True)
    found = evaluate(Platform.ECS_FARGATE, question(service(), agent))

    assert any(text.endswith("another way: agent") for text in found.cannot)
    assert [r.what for r in found.missing] == ["sidecars for agent"]
    # 1,536 CPU units fit a 2-vCPU machine, but not beside the agent's 1,024
    large = service(cpu=1536, memory=1024, tasks=(1,))
    alone = compute(evaluate(Platform.ECS_EC2, question(large)))
    assert compute(evaluate(Platform.ECS_EC2, question(large, agent))) > alone


def test_a_missing_load_balancer_price_makes_the_figure_a_lower_bound() -> None:
    asked = Question(Demanded((service(),)), BOOK, "eu-north-1", one_task_an_instance, Assumptions())

    found = evaluate(Platform.ECS_EC2, asked)

    assert {r.what for r in found.missing} >= {"alb_hour in eu-north-1", "alb_lcu_hour in eu-north-1"}
    assert not found.is_complete


def test_measured_load_balancer_lines_replace_assumed_ones() -> None:
    line = CostLine("public", Kind.LOAD_BALANCING, None, None, UsdPerHour(0.05), "measured", "plan", "2026")
    found = evaluate(Platform.ECS_FARGATE, question(load_balancing=(line,)))

    assert total(x for x in found.lines if x.kind is Kind.LOAD_BALANCING) == 0.05


def test_headroom_and_staff_are_explicit() -> None:
    bare = evaluate(Platform.ECS_EC2, question())
    assumed = replace(
        BARE, headroom=0.2, staff_usd_per_hour=73, staff_hours_per_month=dict.fromkeys(Platform, 10.0)
    )
    found = evaluate(Platform.ECS_EC2, question(assumed=assumed))

    assert compute(found) == pytest.approx(1.2 * compute(bare))
    assert found.usd_per_hour is not None
    assert found.infrastructure_usd_per_hour is not None
    # 10 hours x 73 USD / 730
    assert found.usd_per_hour - found.infrastructure_usd_per_hour == pytest.approx(1.0)


# Reserves


def test_eks_reserves_follow_the_node_bootstrap() -> None:
    # 6 % of the first core, 1 % of the second, 0.5 % of the next two, 0.25 % of the other four
    assert eks_cpu_reserved(8) == pytest.approx(0.06 + 0.01 + 2 * 0.005 + 4 * 0.0025)
    none = Assumptions(kubernetes_daemons=Resources())
    room = eks_room(BOOK.instance_types["m5.large"], none, Resources())

    assert isinstance(room, Resources)
    # 2048 - 0.07 x 1024 rounded up; 7946 - 255 - 29 x 11 - 100; 29 pods
    assert room == Resources(CpuUnits(2048 - 72), MiB(7946 - 255 - 319 - 100), 29)


def test_prefix_delegation_raises_the_pod_limit_and_what_it_reserves() -> None:
    dense = Assumptions(kubernetes_daemons=Resources(), prefix_delegation=True)
    room = eks_room(BOOK.instance_types["m5.large"], dense, Resources())

    assert isinstance(room, Resources)
    assert (room.enis, room.memory_mib) == (110, 7946 - 255 - 1210 - 100)
    own = kubernetes_room(BOOK.instance_types["m5.large"], dense, Resources())
    assert own == room


def test_aks_reserves_follow_the_documented_table() -> None:
    size = next(s for s in BOOK.azure_sizes if s.vm_size == "Standard_D4s_v5")
    room = aks_room(size, Assumptions(kubernetes_daemons=Resources()), Resources())

    # 4 cores keep 140 millicores; 16 GiB less 3 % is 15,892; 20 x 110 + 50 = 2,250; 100 for eviction
    assert room == Resources(CpuUnits(4096 - math.ceil(0.14 * 1024)), MiB(15892 - 2250 - 100), 110)


# Levels


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=60), st.integers(1, 8))
def test_levels_hold_every_hour_and_count_every_hour(hours: list[tuple[int, int]], count: int) -> None:
    demanded = Demanded(
        (service("a", tuple(a for a, _ in hours)), service("b", tuple(b for _, b in hours), cpu=1024))
    )
    found = levels(demanded, count)

    assert len(found) <= count
    assert sum(level.hours for level in found) == len(hours)
    assert excess_share(demanded, found) >= -1e-12
    assert all(any(level.tasks["a"] >= a and level.tasks["b"] >= b for level in found) for a, b in hours)


def test_as_many_levels_as_different_hours_add_nothing() -> None:
    demanded = Demanded((service(tasks=(1, 5, 1, 9, 5)),))

    assert excess_share(demanded, levels(demanded, 3)) == 0
    assert excess_share(demanded, levels(demanded, 1)) == pytest.approx(45 / 21 - 1)


def test_a_demand_without_services_or_with_unequal_hours_is_refused() -> None:
    with pytest.raises(ValueError, match="no service"):
        Demanded(())
    with pytest.raises(ValueError, match="different numbers of hours"):
        Demanded((service("a", (1,)), service("b", (1, 2))))
    with pytest.raises(ValueError, match="twice"):
        Demanded((service("a"), service("a")))


# The comparison


@pytest.fixture(scope="module")
def compared() -> Comparison:
    assumed = Assumptions(fargate_spot_discount=0.6)
    return compare(question(service(tasks=(2, 6)), service("api", (3, 3), cpu=1024, memory=4096), assumed=assumed))


def test_platforms_with_the_same_machines_are_packed_once() -> None:
    asked = 0

    def counting(tasks: Sequence[TaskType], types: Sequence[InstanceType]) -> Packed | Rejection:
        nonlocal asked
        asked += 1
        return one_task_an_instance(tasks, types)

    compare(
        replace(question(service(tasks=(2, 6))), pack=counting), [Platform.ECS_EC2, Platform.ECS_MANAGED_INSTANCES]
    )

    assert asked == 2  # two levels of demand, both platforms


def test_every_platform_is_there_cheapest_complete_one_first(compared: Comparison) -> None:
    costs = [e.usd_per_hour for e in compared.evaluations if e.is_complete]

    assert {e.platform for e in compared.evaluations} == set(Platform)
    assert costs == sorted(costs)  # type: ignore[type-var]
    assert compared.cheapest is compared.evaluations[0]
    bills = {e.platform: e.infrastructure_usd_per_hour for e in compared.evaluations if e.is_complete}
    assert compared.cheapest_without_staff is not None
    assert bills[compared.cheapest_without_staff.platform] == min(bills.values())  # type: ignore[type-var]
    assert compared.evaluations[-1].platform is Platform.AKS  # its price is incomplete, so it is not ranked


def test_a_flip_levels_the_two_platforms(compared: Comparison) -> None:
    by_platform = {e.platform: e for e in compared.evaluations}
    groups = {
        "staff rate": lambda line: line.kind is Kind.STAFF,
        "Fargate prices": lambda line: line.capacity_provider in {"FARGATE", "FARGATE_SPOT"},
    }
    checked = 0
    for flip in compared.flips:
        if flip.group not in groups:
            continue
        costs = [
            sum(
                line.usd_per_hour * (flip.factor if groups[flip.group](line) else 1)
                for line in by_platform[p].lines
            )
            for p in (flip.leader, flip.challenger)
        ]
        assert costs[0] == pytest.approx(costs[1])
        checked += 1
    assert checked >= 3


def test_no_factor_levels_platforms_that_share_the_group_equally() -> None:
    a = [CostLine("x", Kind.STAFF, None, None, UsdPerHour(1), "", "", "")]
    b = [*a, CostLine("y", Kind.COMPUTE, None, None, UsdPerHour(1), "", "", "")]

    assert break_even_factor(a, b, lambda line: line.kind is Kind.STAFF) is None
    # 1 = 1 + x needs x = 0, which no price change reaches
    assert break_even_factor(a, b, lambda line: line.kind is Kind.COMPUTE) is None


def test_the_tornado_has_the_ten_inputs_that_move_the_decision_most(compared: Comparison) -> None:
    swings = [bar.swing_usd_per_hour for bar in compared.tornado]

    assert len(compared.tornado) == 10
    assert swings == sorted(swings, reverse=True)
    assert compared.cheapest is not None
    assert compared.rival is not None
    assert compared.rival.platform is Platform.ECS_EC2  # the question is whether to leave it
    for bar in compared.tornado:
        if bar.cheapest_at_high is compared.cheapest.platform:
            assert bar.high_advantage_usd_per_hour >= 0


def test_a_single_complete_platform_has_no_tornado(compared: Comparison) -> None:
    assert tornado(compared.evaluations[:1]) == ()


def test_the_document_has_no_hole_in_its_sums(compared: Comparison) -> None:
    document = as_document(compared)

    for record in document["platforms"]:
        lines = math.fsum(line["usd_per_hour"] for line in record["lines"])
        assert record["usd_per_hour"] == pytest.approx(lines)
        assert record["usd_per_month"] == pytest.approx(sum(record["usd_per_month_by_kind"].values()))
    assert document["cheapest"] == document["platforms"][0]["platform"]
    assert len(document["sensitivity"]) == 10


def test_the_document_says_every_assumption(compared: Comparison) -> None:
    assumed = as_document(compared)["assumptions"]

    assert assumed["fargate_spot_discount"] == 0.6
    assert assumed["staff_hours_per_month"]["kubernetes-ec2"] == 80
    assert assumed["kubernetes_daemons"] == {"cpu_units": 256, "memory_mib": 384, "pods": 4}
    assert json.loads(json.dumps(assumed, allow_nan=False)) == assumed


# Parameters of the notebook


def test_parameters_change_only_what_they_name() -> None:
    found = assumptions_from({"staff_usd_per_hour": 60.0, "staff_hours": {"ecs-ec2": 10}, "plan": "plan.json"})

    assert found.staff_usd_per_hour == 60
    assert found.staff_hours_per_month[Platform.ECS_EC2] == 10
    assert found.staff_hours_per_month[Platform.EKS_EC2] == Assumptions().staff_hours_per_month[Platform.EKS_EC2]


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"staff_hours": {"nomad": 1}}, "staff_hours names nomad, which is no platform"),
        ({"migration_days": {"aks": float("nan")}}, "migration_days of aks is nan"),
        ({"headroom": -0.1}, "headroom is -0.1"),
    ],
)
def test_parameters_that_are_none_are_refused(values: dict[str, object], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        assumptions_from(values)
