"""Lines of money: known sums, splits that add up, cents that add up."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.cost import (
    IDLE,
    CostLine,
    Currency,
    Kind,
    LcuLoad,
    MissingPrice,
    Placement,
    alb_lines,
    by_provider,
    by_service,
    cross_zone_line,
    fargate_lines,
    fee_lines,
    fleet_lines,
    format_money,
    item_line,
    lcus,
    metered_line,
    monthly_cents,
    per_instance_lines,
    period_of,
    pull_line,
    reconcile,
    shown_cents,
    split_by_service,
    total,
    write_csv,
    write_focus,
)
from planner.cost.export import FOCUS_COLUMNS
from planner.cost.money import currency, rate_note
from planner.model import Price, Rejection, Resources
from planner.prices import FargatePrice, load
from planner.units import CpuUnits, MiB, UsdPerHour, cpu_units, mib, usd_per_month

M5_LARGE = Price(0.111, "hour", "test", "2025-04-04")
START = datetime(2026, 11, 2, tzinfo=UTC)


def line(usd: float, service: str | None = "web", item: str = "m5.large") -> CostLine:
    return CostLine(item, Kind.COMPUTE, service, "asg", UsdPerHour(usd), "a sum", "test", "2026-01-01")


def test_a_fleet_is_count_times_price_by_type() -> None:
    prices = {"m5.large": M5_LARGE, "c5.large": Price(0.101, "hour", "test", "2025-04-04")}

    lines = fleet_lines([("m5.large", 2), ("c5.large", 1), ("m5.large", 1)], prices, "asg")

    # 3 x 0.111 + 1 x 0.101 = 0.434
    assert total(lines) == pytest.approx(0.434)
    assert [(item.item, item.basis) for item in lines] == [
        ("c5.large", "1 x c5.large at 0.101 USD/h"),
        ("m5.large", "3 x m5.large at 0.111 USD/h"),
    ]


def test_an_instance_without_a_price_is_refused_by_name() -> None:
    prices = {"m5.large": M5_LARGE, "m8a.large": Rejection("m8a.large in eu-west-2", "no price")}

    with pytest.raises(MissingPrice, match=r"m8a\.large in eu-west-2: no price") as caught:
        fleet_lines([("m5.large", 1), ("m8a.large", 1), ("x9.large", 1)], prices)

    assert [r.what for r in caught.value.reasons] == ["m8a.large in eu-west-2", "x9.large"]


# Worked examples from AWS's own pricing pages


PAGE = "AWS Fargate pricing page, examples for US East (N. Virginia), a copy of 2025"


def a_second(usd: float, unit: str) -> Price:
    """The page's examples state prices by the second."""
    return Price(usd * 3600, unit, PAGE, "2025")


LINUX_X86 = FargatePrice(
    a_second(0.000011244, "vCPU-hour"), a_second(0.000001235, "GiB-hour"), a_second(0.0000000308, "GiB-hour")
)
LINUX_ARM = FargatePrice(
    a_second(0.0000089944, "vCPU-hour"), a_second(0.0000009889, "GiB-hour"), a_second(0.0000000308, "GiB-hour")
)
WINDOWS = FargatePrice(
    a_second(0.0000254167, "vCPU-hour"), a_second(0.0000027778, "GiB-hour"), Rejection("storage", "no example"),
    a_second(0.0000127778, "vCPU-hour"),
)  # fmt: skip


@pytest.mark.parametrize(
    ("rates", "tasks", "vcpu", "gib", "storage_gib", "seconds_a_day", "usd_a_month"),
    [
        # 5 x 1 x 0.000011244 x 600 x 30 = 1.01; 5 x 2 x 0.000001235 x 600 x 30 = 0.22; 10 GB over the free
        # 20: 5 x 10 x 0.0000000308 x 600 x 30 = 0.03
        pytest.param(LINUX_X86, 5, 1, 2, 30, 600, 1.26, id="example 1"),
        # 0.81 + 0.18 + 0.03
        pytest.param(LINUX_ARM, 5, 1, 2, 30, 600, 1.02, id="example 2, Graviton"),
        # 10 x 0.25 x 0.000011244 x 3600 x 30 = 3.04; 10 x 1 x 0.000001235 x 3600 x 30 = 1.33
        pytest.param(LINUX_X86, 10, 0.25, 1, 20, 3600, 4.37, id="example 3, EKS pods"),
        # 27.45 for vCPU, 13.80 for the licence, 6.00 for memory
        pytest.param(WINDOWS, 10, 1, 2, 20, 3600, 47.25, id="example 4, Windows"),
    ],
)
def test_the_fargate_pricing_page_s_examples_come_out_to_the_cent(
    rates: FargatePrice,
    tasks: int,
    vcpu: float,
    gib: float,
    storage_gib: float,
    seconds_a_day: int,
    usd_a_month: float,
) -> None:
    each = rates.task_usd_per_hour(cpu_units(vcpu), mib(gib), storage_gib)

    assert not isinstance(each, Rejection)
    assert round(tasks * each * seconds_a_day / 3600 * 30, 2) == usd_a_month


def test_fargate_lines_of_example_3_are_those_of_the_page() -> None:
    """vCPU 3.04 and memory 1.33 of the 4.37 USD a month, from the price book's own rates."""
    rates = load().fargate("us-east-1")
    assert isinstance(rates, FargatePrice)

    lines = fargate_lines("pods", 10, cpu_units(0.25), mib(1), rates.vcpu_hour, rates.gib_hour)

    assert [round(line.usd_per_hour * 30, 2) for line in lines] == [3.04, 1.33]  # an hour a day


def test_load_balancer_pricing_page_example_1() -> None:
    """AWS Elastic Load Balancing pricing page, Application Load Balancer example 1 (us-east-1): 1 new
    connection a second lasting 2 minutes, 4 requests a second, 300 KB a connection, 60 rules.
    New connections 1/25 = 0.04, active 120/3,000 = 0.04, bytes 1.08 GB = 1.08, rules (60 - 10) x 4 / 1,000
    = 0.2. Charged: 1.08 LCU x 0.008 = 0.00864 an hour; with 0.0225 an hour 0.03114; 22.42 USD over 720 h."""
    load = LcuLoad(1, 120, 1.08, 4, 60)
    lines = alb_lines("web", Price(0.0225, "hour", "AWS", "2023"), Price(0.008, "LCU-hour", "AWS", "2023"), load)

    assert load.dimensions == pytest.approx(
        {"new connections": 0.04, "active connections": 0.04, "processed bytes": 1.08, "rule evaluations": 0.2}
    )
    assert lcus(load) == pytest.approx(1.08)
    assert total(lines) == pytest.approx(0.03114)
    assert round(total(lines) * 24 * 30, 2) == 22.42


@pytest.mark.parametrize("gb", [float("nan"), float("inf"), -0.1])
def test_a_load_that_is_none_is_refused(gb: float) -> None:
    with pytest.raises(ValueError, match="gb per hour is"):
        LcuLoad(gb_per_hour=gb)


def test_eks_cluster_is_73_dollars_a_month() -> None:
    """AWS EKS pricing page: 0.10 USD an hour for a cluster; 730 hours make 73.00. Extended support 0.60 an
    hour makes 438.00."""
    standard = item_line("EKS", Kind.CONTROL_PLANE, 1, Price(0.10, "hour", "AWS", "2026"))
    extended = item_line("EKS", Kind.CONTROL_PLANE, 1, Price(0.60, "hour", "AWS", "2026"))

    assert monthly_cents([standard]) == [7300]
    assert monthly_cents([extended]) == [43800]


# Splits


def test_shared_instances_are_split_by_the_larger_share_and_idle_is_shown() -> None:
    room = Resources(CpuUnits(2048), MiB(8000))
    needs = {"web": Resources(CpuUnits(512), MiB(1000)), "api": Resources(CpuUnits(256), MiB(2000))}

    lines = split_by_service(
        [Placement("m5.large", 1, room, {"web": 2, "api": 1}, "asg")], needs, {"m5.large": M5_LARGE}
    )

    # web: 2 x max(512/2048, 1000/8000) = 0.5; api: max(256/2048, 2000/8000) = 0.25; idle 0.25
    assert by_service(lines) == pytest.approx({"(idle)": 0.02775, "api": 0.02775, "web": 0.0555})
    assert total(lines) == pytest.approx(0.111)


def test_shares_that_add_to_more_than_the_instance_are_scaled_down() -> None:
    room = Resources(CpuUnits(1000), MiB(1000))
    needs = {"cpu": Resources(CpuUnits(900), MiB(100)), "memory": Resources(CpuUnits(100), MiB(900))}

    lines = split_by_service([Placement("t", 1, room, {"cpu": 1, "memory": 1})], needs, {"t": M5_LARGE})

    # 0.9 and 0.9 of the instance become a half each; nothing is idle
    assert by_service(lines) == pytest.approx({"cpu": 0.0555, "memory": 0.0555})
    assert IDLE not in by_service(lines)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.integers(1, 9), st.dictionaries(st.sampled_from("abcd"), st.integers(0, 3))), min_size=1)
)
def test_the_split_always_adds_to_the_fleet(placements: list[tuple[int, dict[str, int]]]) -> None:
    room = Resources(CpuUnits(4096), MiB(16000))
    needs = {name: Resources(CpuUnits(200 * (i + 1)), MiB(2500 - 500 * i)) for i, name in enumerate("abcd")}
    placed = [Placement("m5.large", count, room, tasks) for count, tasks in placements]

    split = split_by_service(placed, needs, {"m5.large": M5_LARGE})
    fleet = fleet_lines([(p.instance_type, p.count) for p in placed], {"m5.large": M5_LARGE})

    assert total(split) == pytest.approx(total(fleet), abs=1e-12)
    assert all(item.usd_per_hour > 0 for item in split)


def test_a_fee_is_a_share_of_compute_only() -> None:
    lines = [line(1.0), item_line("ALB", Kind.LOAD_BALANCING, 1, Price(0.02, "hour", "test", "2026"))]

    fees = fee_lines(lines, Price(0.12, "share of on-demand", "test", "2026"), "Managed Instances fee")

    assert [fee.usd_per_hour for fee in fees] == [pytest.approx(0.12)]


def test_root_volumes_are_charged_by_the_month() -> None:
    # 3 instances x 30 GB x 0.0928 USD/GB-month / 730 h
    lines = per_instance_lines(3, Price(0.0928, "GB-month", "test", "2022"), "root volume", Kind.STORAGE, 30)

    assert usd_per_month(total(lines)) == pytest.approx(3 * 30 * 0.0928)


def test_metered_items_are_charged_by_the_month() -> None:
    nat = metered_line("NAT", Kind.NETWORK, 500, Price(0.05, "GB", "test", "2026"))
    zones = cross_zone_line(1000, Price(0.01, "GB", "test", "2026"))
    # 40 queries pulled every 6 hours for 30 days are 4,800 metrics: 0.048 USD
    pulls = pull_line(40, 120, Price(0.01, "1000 metrics requested", "test", "2026"))

    assert monthly_cents([nat]) == [2500]  # 500 x 0.05
    assert monthly_cents([zones]) == [2000]  # out and in: 2 x 1000 x 0.01
    assert usd_per_month(pulls.usd_per_hour) == pytest.approx(0.048)


# Sums


@settings(deadline=None, max_examples=100)
@given(st.lists(st.floats(0, 1e5, allow_nan=False), min_size=1, max_size=40))
def test_shown_cents_add_to_the_rounded_total(amounts: list[float]) -> None:
    cents = shown_cents(amounts)

    assert sum(cents) == round(math.fsum(a * 100 for a in amounts))
    assert all(abs(c - a * 100) <= 1 for c, a in zip(cents, amounts, strict=True))


@settings(deadline=None, max_examples=40)
@given(
    st.lists(
        st.lists(st.tuples(st.sampled_from(["web", "api", None]), st.floats(0.0001, 10)), min_size=1, max_size=4),
        min_size=1,
        max_size=200,
    )
)
def test_cost_adds_over_time_services_and_providers(hours: list[list[tuple[str | None, float]]]) -> None:
    period = period_of(START, [[line(usd, service) for service, usd in hour] for hour in hours])

    assert math.fsum(period.by_service().values()) == pytest.approx(period.usd)
    assert math.fsum(period.by_provider().values()) == pytest.approx(period.usd)
    assert math.fsum(period.by_month().values()) == pytest.approx(period.usd)
    assert total(period.mean_lines()) * len(hours) == pytest.approx(period.usd)


def test_a_period_is_what_ran_hour_by_hour_not_the_peak() -> None:
    hours = [[line(0.4)]] * 8 + [[line(0.1)]] * 16  # a day: 8 x 0.40 + 16 x 0.10 = 4.80 USD

    period = period_of(START, hours)

    assert period.usd == pytest.approx(4.80)
    assert period.mean_usd_per_hour == pytest.approx(0.20)
    assert period.usd_per_month == pytest.approx(146.00)  # 0.20 x 730
    assert by_provider(period.mean_lines()) == {"asg": pytest.approx(0.20)}


def test_a_period_over_the_end_of_a_month_is_split_there() -> None:
    period = period_of(datetime(2026, 11, 30, 22, tzinfo=UTC), [[line(1.0)]] * 4)

    assert period.by_month() == {"2026-11": 2.0, "2026-12": 2.0}


def test_the_bill_beside_the_reckoning_shows_the_largest_difference_first() -> None:
    rows = reconcile({"EC2": 100.0, "ELB": 20.0}, {"EC2": 90.0, "ELB": 21.0, "EKS": 73.0})

    assert [(row.name, row.difference_usd) for row in rows] == [("EKS", 73.0), ("EC2", -10.0), ("ELB", 1.0)]
    assert [row.difference_per_billed for row in rows] == [None, pytest.approx(-0.1), pytest.approx(0.05)]


# Money and exports


def test_another_currency_needs_a_rate_and_its_date() -> None:
    refused = currency("GBP", None, None)
    pounds = currency("gbp", 0.78, date(2026, 11, 2))

    assert isinstance(refused, Rejection)
    assert "rate and its date" in refused.reason
    assert pounds == Currency("GBP", 0.78, date(2026, 11, 2))
    assert isinstance(currency("GBP", 0, date(2026, 11, 2)), Rejection)
    assert isinstance(currency("pounds", 0.78, date(2026, 11, 2)), Rejection)
    assert isinstance(pounds, Currency)
    assert format_money(1000, pounds) == "£780.00"
    assert rate_note(pounds) == "Converted at 0.78 GBP per USD of 2026-11-02."
    assert format_money(-1234.5) == "-$1,234.50"


def test_csv_months_add_to_the_total_and_formulae_are_escaped() -> None:
    lines = [line(0.001 / 3, item="=HYPERLINK(1)")] * 3

    rows = write_csv(lines).splitlines()[1:]

    # 3 x 0.001/3 x 730 = 0.73 USD: 25 + 24 + 24 cents
    assert [row.split(",")[5] for row in rows] == ["0.25", "0.24", "0.24"]
    assert all(row.startswith("'=HYPERLINK(1)") for row in rows)


def test_focus_rows_carry_every_column_and_leave_staff_out() -> None:
    staff = item_line("staff", Kind.STAFF, 1, Price(10, "hour", "assumption", "2026"))
    period = period_of(START, [[line(0.111), staff]] * 2)

    rows = write_focus(period, account_id="123456789012", region="eu-west-2").splitlines()

    assert rows[0].split(",") == list(FOCUS_COLUMNS)
    assert len(rows) == 3
    first = dict(zip(FOCUS_COLUMNS, rows[1].split(","), strict=True))
    assert first["BilledCost"] == "0.111"
    assert first["ChargePeriodStart"] == "2026-11-02T00:00:00Z"
    assert first["ChargePeriodEnd"] == "2026-11-02T01:00:00Z"
    assert (first["BillingPeriodStart"], first["BillingPeriodEnd"]) == (
        "2026-11-01T00:00:00Z",
        "2026-12-01T00:00:00Z",
    )
    assert first["x_EcsServiceName"] == "web"
