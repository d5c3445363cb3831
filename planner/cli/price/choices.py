"""`planner price break-even|commitment|spot-mix`: what to choose at these prices."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from planner import terminal
from planner.cli.price.shared import (
    AsJson,
    PricesFolder,
    Region,
    check_region,
    open_book,
    read_plan,
    refuse,
    write_file,
)

if TYPE_CHECKING:
    from planner.cost.break_even import BreakEven
    from planner.cost.commitment import Commitment, Floats

QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99}


def register(price: typer.Typer) -> None:
    price.command("break-even")(break_even)
    price.command("commitment")(commitment)
    price.command("spot-mix")(spot_mix)


def break_even(
    instance_type: Annotated[str, typer.Argument(help="EC2 instance type, e.g. m7g.large")],
    region: Region,
    vcpu: Annotated[float, typer.Option(min=0.25, help="vCPU of a task")],
    memory_gib: Annotated[float, typer.Option(min=0.125, help="Memory of a task in GiB")],
    spot: Annotated[bool, typer.Option(help="Against the instance's Spot price")] = False,
    awsvpc_trunking: Annotated[bool, typer.Option(help="The account has awsvpcTrunking on")] = True,
    prices: PricesFolder = None,
    html_file: Annotated[Path | None, typer.Option("--html", help="Write the curves there, as a page")] = None,
    as_json: AsJson = False,
) -> None:
    """How full an instance must be, on average, for EC2 to cost less than Fargate."""
    from planner.cost.break_even import break_even as reckon
    from planner.model import Rejection, Resources
    from planner.prices import catalogue, smallest_size
    from planner.units import cpu_units, mib

    book = open_book(prices)
    check_region(book, region)
    types, rejected = catalogue(
        book, region, instance_types=[instance_type], awsvpc_trunking=awsvpc_trunking, spot=spot
    )
    if not types:
        known = next((r for r in rejected if r.what == instance_type), None)
        raise terminal.BadInput(f"{instance_type}: {known.reason if known else 'no such instance type'}.")
    needs = Resources(cpu_units(vcpu), mib(memory_gib), enis=1)
    size = smallest_size(needs)
    if isinstance(size, Rejection):
        raise refuse(size)
    rates = book.fargate(region, types[0].architecture)
    if isinstance(rates, Rejection):
        raise refuse(rates)
    task = rates.task_usd_per_hour(size.cpu_units, size.memory_mib)
    assert not isinstance(task, Rejection)
    found = reckon(types[0].room, needs, types[0].usd_per_hour, task)
    if found is None:
        raise terminal.Refusal(f"A task of {vcpu:g} vCPU and {memory_gib:g} GiB does not fit {instance_type}.")
    if html_file is not None:
        write_file(html_file, _break_even_page(found, instance_type, region, vcpu, memory_gib))
    record = {
        "instance_type": instance_type,
        "region": region,
        "instance_usd_per_hour": found.instance_usd_per_hour,
        "fargate_usd_per_task_hour": found.fargate_usd_per_task_hour,
        "fargate_size": {"cpu_units": size.cpu_units, "memory_mib": size.memory_mib},
        "tasks_per_instance": found.tasks_per_instance,
        "break_even_tasks": found.tasks,
        "break_even_utilisation": found.utilisation,
        "curve": [{"utilisation": u, "ec2": e, "fargate": f} for u, e, f in found.curve()],
    }
    if as_json:
        terminal.print_json(record)
        return
    print(f"{found.tasks_per_instance} tasks fit one {instance_type} at {found.instance_usd_per_hour:g} USD/h;")
    print(f"one such task on Fargate costs {found.fargate_usd_per_task_hour:.6g} USD/h.")
    if found.utilisation > 1:
        print("Fargate is the cheaper one even against a full instance.")
    else:
        print(f"EC2 is the cheaper one when instances are over {found.utilisation:.0%} full on average.")


def _break_even_page(found: BreakEven, instance_type: str, region: str, vcpu: float, memory_gib: float) -> str:
    from planner.alternatives.figures import break_even_curves
    from planner.report.page import render_figures

    told = (
        f"A task of {vcpu:g} vCPU and {memory_gib:g} GiB in {region}: {found.tasks_per_instance} fit one"
        f" {instance_type}, and {found.tasks:.2f} on Fargate cost as much as it"
    )
    return render_figures([(break_even_curves({instance_type: found}), told)], f"{instance_type} or Fargate")


def commitment(
    usage: Annotated[
        Path, typer.Argument(help="plan.json, or a CSV of hours: usd_per_hour, or p50[,p90,p99] of a forecast")
    ],
    discount: Annotated[float | None, typer.Option(min=0, max=0.99, help="Share off on-demand")] = None,
    instance_type: Annotated[
        str | None, typer.Option(help="Take the discount from this type's prices instead")
    ] = None,
    region: Annotated[str | None, typer.Option("--region", help="AWS Region of --instance-type")] = None,
    years: Annotated[int, typer.Option(help="1 or 3, with --instance-type")] = 1,
    payment: Annotated[str, typer.Option(help="No Upfront, Partial Upfront or All Upfront")] = "No Upfront",
    plan: Annotated[
        str, typer.Option(help="Compute, EC2Instance, reserved-standard or reserved-convertible")
    ] = "Compute",
    prices: PricesFolder = None,
    as_json: AsJson = False,
) -> None:
    """How much to commit, as a newsvendor problem over hours, with the regret of being wrong."""
    from planner.cost.commitment import commit

    if usage.suffix == ".json":
        _show_commitment(*_of_plan(usage, years, prices), as_json)
        return
    if (discount is None) == (instance_type is None):
        raise terminal.BadInput("Pass either --discount, e.g. 0.27, or --instance-type with --region.")
    source = "--discount"
    if instance_type is not None:
        discount, source = _discount(instance_type, region, years, payment, plan, prices)
    assert discount is not None
    try:
        hours, scenarios = _usage(usage)
        found = commit(hours, [discount], scenarios)
    except ValueError as error:
        raise terminal.BadInput(f"{usage.name}: {error}.") from None
    _show_commitment(found, [discount], source, as_json)


def _of_plan(document: Path, years: int, prices: Path | None) -> tuple[Commitment, Sequence[float], str]:
    """A plan's instances, hour by hour over its week, at the price book's own discounts."""
    from planner.model import Rejection
    from planner.purchases import purchases

    found = purchases(read_plan(document), open_book(prices), years).commitment
    if isinstance(found, Rejection):
        raise refuse(found)
    return found.commitment, found.discounts, f"{found.offer}, {found.price_date}"


def _show_commitment(found: Commitment, discounts: Sequence[float], source: str, as_json: bool) -> None:
    if as_json:
        terminal.print_json(_commitment_record(found, discounts, source))
        return
    off = " and ".join(f"{discount:.1%}" for discount in discounts)
    print(f"Commit {found.commitment_usd_per_hour:.4f} USD/h at {off} off ({source}).")
    print(f"Expected {found.expected_usd_per_hour:.4f} USD/h instead of {found.on_demand_usd_per_hour:.4f};")
    print(f"covers {found.coverage:.0%} of usage, {found.utilisation:.0%} of the commitment is used.")
    for regret in found.regrets:
        print(f"  should it be {regret.scenario}: {regret.regret_usd_per_hour:.4f} USD/h over the best choice")


def _discount(
    instance_type: str, region: str | None, years: int, payment: str, plan: str, prices: Path | None
) -> tuple[float, str]:
    from planner.model import Rejection

    if region is None:
        raise terminal.BadInput("--instance-type needs --region, e.g. --region eu-west-2.")
    book = open_book(prices)
    check_region(book, region)
    on_demand = book.instance(region, instance_type)
    if isinstance(on_demand, Rejection):
        raise refuse(on_demand)
    offering = plan.removeprefix("reserved-")
    if plan.startswith("reserved-"):
        found = book.reserved(region, instance_type, years=years, offering_class=offering, payment=payment)
    else:
        found = book.savings_plan(region, instance_type, plan=plan, years=years, payment=payment)
    if isinstance(found, Rejection):
        raise refuse(found)
    share = 1 - found.usd_per_hour / on_demand.usd_per_hour
    return share, f"{plan}, {years} year(s), {payment}, {found.date}"


def _usage(path: Path) -> tuple[Floats, dict[str, Floats]]:
    """Equally likely hours, and the scenarios whose regret is told."""
    import numpy as np

    from planner.cli.place import read_text
    from planner.cost.commitment import samples_of_quantiles

    rows = list(csv.DictReader(read_text(path).splitlines()))
    if not rows:
        raise terminal.BadInput(f"{path.name} has no hours.")
    if "usd_per_hour" in rows[0]:
        hours = _column(rows, "usd_per_hour", path)
        return hours, {"30 % less": hours * 0.7, "as stated": hours, "30 % more": hours * 1.3}
    known = [name for name in QUANTILES if name in rows[0]]
    if "p50" not in known:
        raise terminal.BadInput(f"{path.name} needs a column usd_per_hour, or p50 with p90 and p99.")
    columns = {name: _column(rows, name, path) for name in known}
    samples = samples_of_quantiles({QUANTILES[name]: list(columns[name]) for name in known})
    scenarios = {f"the {name} of every hour": columns[name] for name in known}
    return np.ravel(samples), {"half the median of every hour": columns["p50"] / 2, **scenarios}


def _column(rows: list[dict[str, str]], name: str, path: Path) -> Floats:
    import numpy as np

    values = []
    for line, row in enumerate(rows, start=2):
        try:
            values.append(float(row[name]))
        except (TypeError, ValueError):
            raise terminal.BadInput(
                f"{path.name}, row {line}, column {name}: {row[name]!r} is no number."
            ) from None
    return np.array(values)


def _commitment_record(found: Commitment, discounts: Sequence[float], source: str) -> dict[str, Any]:
    return {
        "discount": discounts[0],
        "discounts": list(discounts),
        "discount_source": source,
        "commitment_usd_per_hour": found.commitment_usd_per_hour,
        "expected_usd_per_hour": found.expected_usd_per_hour,
        "on_demand_usd_per_hour": found.on_demand_usd_per_hour,
        "saving_usd_per_hour": found.saving_usd_per_hour,
        "coverage": found.coverage,
        "utilisation": found.utilisation,
        "regret": [
            {
                "scenario": r.scenario,
                "usd_per_hour": r.usd_per_hour,
                "best_commitment_usd_per_hour": r.best_commitment_usd_per_hour,
                "regret_usd_per_hour": r.regret_usd_per_hour,
            }
            for r in found.regrets
        ],
    }


def spot_mix(
    instance_type: Annotated[str, typer.Argument(help="EC2 instance type, e.g. m7g.large")],
    region: Region,
    instances: Annotated[float, typer.Option(min=0, help="Instances of the fleet")],
    pools: Annotated[int, typer.Option(min=1, max=200, help="Type and zone pairs Spot is spread over")],
    headroom: Annotated[float, typer.Option(min=0, max=1, help="Share that may be lost unnoticed")] = 0.1,
    short_minutes: Annotated[float, typer.Option(min=0, help="Short minutes a month allowed")] = 43.8,
    recovery_minutes: Annotated[float, typer.Option(min=0, help="From loss to running tasks")] = 5.0,
    prices: PricesFolder = None,
    as_json: AsJson = False,
) -> None:
    """The cheapest share of Spot whose expected shortfall stays within the allowance (43.8 min = 99.9 %)."""
    from planner.cost.spot import SpotRisk, best_spot_mix
    from planner.model import Rejection
    from planner.units import UsdPerHour

    book = open_book(prices)
    check_region(book, region)
    on_demand, spot = book.instance(region, instance_type), book.spot(region, instance_type)
    if isinstance(on_demand, Rejection):
        raise refuse(on_demand)
    if isinstance(spot, Rejection):
        raise refuse(spot)
    if spot.interruption_band is None:
        raise terminal.Refusal(f"The Spot Advisor has no interruption band of {instance_type} in {region}.")
    risk = SpotRisk(spot.interruption_band, pools, headroom, recovery_minutes)
    all_on_demand, all_spot = UsdPerHour(instances * on_demand.usd), UsdPerHour(instances * spot.price.usd)
    best, tried = best_spot_mix(all_on_demand, all_spot, instances, risk, short_minutes)
    shown = [
        {
            "spot_share": m.spot_share, "usd_per_hour": m.usd_per_hour,
            "short_minutes_per_month": m.short_minutes_per_month,
            "interruptions_per_month": m.interruptions_per_month,
        }
        for m in tried
    ]  # fmt: skip
    record = {
        "spot_share": best.spot_share,
        "usd_per_hour": best.usd_per_hour,
        "on_demand_usd_per_hour": all_on_demand,
        "interruption_band": spot.interruption_band,
        "spot_price_date": spot.price.date,
        "shares": shown,
    }
    if as_json:
        terminal.print_json(record)
        return
    print(
        f"{best.spot_share:.0%} on Spot: {best.usd_per_hour:.4f} USD/h instead of {instances * on_demand.usd:.4f},"
    )
    print(
        f"{best.short_minutes_per_month:.2f} short minutes and {best.interruptions_per_month:.1f} reclaimed"
        " instances expected a month."
    )
