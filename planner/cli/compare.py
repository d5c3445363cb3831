"""`planner compare`: ECS on EC2, Fargate, Managed Instances, EKS, own Kubernetes and AKS on the same demand."""

from __future__ import annotations

import csv
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from planner import terminal
from planner.cli.price.shared import (
    CurrencyCode,
    PricesFolder,
    Rate,
    RateDate,
    check_region,
    chosen_currency,
    open_book,
    read_plan,
    write_file,
)

if TYPE_CHECKING:
    from planner.alternatives import Comparison, Demanded
    from planner.prices import PriceBook


def register(app: typer.Typer) -> None:
    app.command(help="Compare platforms on the demand of a plan.json or a TASKS csv.")(compare)


def compare(
    source: Annotated[Path, typer.Argument(help="plan.json, or TASKS csv as `planner pack` reads it")],
    region: Annotated[str | None, typer.Option("--region", help="AWS Region; a plan brings its own")] = None,
    hours: Annotated[
        Path | None, typer.Option(help="CSV: service,hour_of_week,tasks (168 hours), for a TASKS csv")
    ] = None,
    platform: Annotated[list[str] | None, typer.Option(help="Only these platforms; repeat for more")] = None,
    family: Annotated[list[str] | None, typer.Option(help="Instance families, e.g. m7g; repeat")] = None,
    architecture: Annotated[list[str] | None, typer.Option(help="x86_64, arm64; repeat for both")] = None,
    zones: Annotated[int, typer.Option(min=1, help="Zones that tasks are spread over")] = 3,
    headroom: Annotated[float, typer.Option(min=0, help="Instances beyond the packed fleet, as a share")] = 0.10,
    lcus: Annotated[float, typer.Option(min=0, help="Mean LCUs of each load balancer")] = 1.0,
    load_balancers: Annotated[int, typer.Option(min=0, help="Application Load Balancers")] = 1,
    staff_usd_per_hour: Annotated[float, typer.Option(min=0, help="Loaded cost of an engineer's hour")] = 75.0,
    staff_hours: Annotated[
        list[str] | None, typer.Option(help="Hours a month on one platform, e.g. ecs-ec2=10; repeat")
    ] = None,
    kubernetes_packing: Annotated[
        str,
        typer.Option("--kubernetes-packing", "--eks-packing", help="karpenter, or packer for the planner's own"),
    ] = "karpenter",
    eks_auto_mode: Annotated[bool, typer.Option(help="EKS nodes in Auto Mode, with its fee")] = False,
    eks_extended_support: Annotated[bool, typer.Option(help="EKS on an old Kubernetes version")] = False,
    prefix_delegation: Annotated[bool, typer.Option(help="EKS with VPC CNI prefix delegation")] = False,
    fargate_spot_discount: Annotated[
        float | None, typer.Option(min=0, max=0.99, help="Where no Fargate Spot price is known, e.g. 0.6")
    ] = None,
    azure_region: Annotated[str, typer.Option(help="Azure region of the AKS alternative")] = "uksouth",
    azure_load_balancing_usd_per_hour: Annotated[
        float | None, typer.Option(min=0, help="Azure load balancing; the price book has none")
    ] = None,
    azure_disk_usd_per_gb_month: Annotated[
        float | None, typer.Option(min=0, help="Azure system disks; the price book has none")
    ] = None,
    time_limit: Annotated[float, typer.Option(min=0, help="Seconds of search for each packing")] = 30,
    prices: PricesFolder = None,
    csv_file: Annotated[Path | None, typer.Option("--csv", help="Write every cost line there")] = None,
    html_file: Annotated[
        Path | None, typer.Option("--html", help="Write a page with figures there; it needs no network")
    ] = None,
    currency: CurrencyCode = "USD",
    rate: Rate = None,
    rate_date: RateDate = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document")] = False,
) -> None:
    from planner.alternatives import Assumptions, Platform, Question, as_document
    from planner.alternatives import compare as run
    from planner.comparison import packer, question_of
    from planner.units import Seconds

    if kubernetes_packing not in {"karpenter", "packer"}:
        raise terminal.BadInput(f"{kubernetes_packing} is no way to choose nodes: use karpenter or packer.")
    into = chosen_currency(currency, rate, rate_date)
    book = open_book(prices)
    plan = read_plan(source) if source.suffix == ".json" else None
    where = region or (plan.scope.region if plan else None)
    if where is None:
        raise terminal.BadInput("A TASKS csv names no Region: pass --region, e.g. --region eu-west-2.")
    check_region(book, where)
    assumed = Assumptions(
        staff_usd_per_hour=staff_usd_per_hour, headroom=headroom, lcus_each=lcus, load_balancers=load_balancers,
        fargate_spot_discount=fargate_spot_discount, azure_region=azure_region,
        azure_load_balancing_usd_per_hour=azure_load_balancing_usd_per_hour,
        azure_disk_usd_per_gb_month=azure_disk_usd_per_gb_month,
        kubernetes_packing=kubernetes_packing, eks_auto_mode=eks_auto_mode,
        eks_extended_support=eks_extended_support, prefix_delegation=prefix_delegation,
        staff_hours_per_month=_staff_hours(staff_hours or []),
    )  # fmt: skip
    filters = {"architectures": _architectures(architecture), "families": family}
    pack = partial(packer, time_limit=Seconds(time_limit), clock=time.monotonic)
    question = (
        Question(_tasks(source, hours), book, where, pack(zones), assumed, zones=zones, **filters)
        if plan is None
        else question_of(plan, book, where, pack, assumed, **filters)
    )
    wanted = tuple(_platform(name) for name in platform) if platform else tuple(Platform)
    with terminal.progress("Evaluating platforms", total=len(wanted)) as advance:
        comparison = run(question, wanted, advance)
    if csv_file is not None:
        write_file(csv_file, _csv(comparison))
    if html_file is not None:
        write_file(html_file, _page(comparison, source, where, book))
    if as_json:
        terminal.print_json(as_document(comparison) | {"region": where, "price_book": _book(book)})
    else:
        _show(comparison, into)
    if comparison.cheapest is None:
        raise typer.Exit(terminal.EXIT_REFUSED)


def _book(book: Any) -> dict[str, Any]:
    from planner.prices.quotes import book_record

    return book_record(book)


def _page(comparison: Comparison, source: Path, region: str, book: PriceBook) -> str:
    from planner.report import render_comparison

    return render_comparison(comparison, f"Platforms for {source.name}", region, str(book.region_date(region)))


def _tasks(source: Path, hours: Path | None) -> Demanded:
    from planner.alternatives import Demanded, DemandedService
    from planner.cli.place import read_text
    from planner.packing import tables
    from planner.units import HOURS_PER_WEEK

    try:
        tasks = tables.read_tasks(read_text(source), source.name)
    except tables.TableError as error:
        raise terminal.BadInput(str(error)) from None
    by_hour = _hours(hours, {t.service for t in tasks}) if hours else {}
    try:
        return Demanded(
            tuple(
                DemandedService(
                    t.service, t.needs, by_hour.get(t.service, (t.count,) * HOURS_PER_WEEK), t.architecture,
                    t.host_ports, t.distinct_instance,
                )
                for t in tasks
            )
        )  # fmt: skip
    except ValueError as error:
        raise terminal.BadInput(f"{source}: {error}.") from None


def _hours(path: Path, known: set[str]) -> dict[str, tuple[int, ...]]:
    """Tasks by service and hour of week; every hour of a service that is named must be there once."""
    from planner.cli.place import read_text
    from planner.units import HOURS_PER_WEEK

    counts: dict[str, dict[int, int]] = {}
    for line, row in enumerate(csv.DictReader(read_text(path).splitlines()), start=2):
        try:
            service, hour, tasks = row["service"], int(row["hour_of_week"]), int(row["tasks"])
        except (KeyError, TypeError, ValueError):
            raise terminal.BadInput(
                f"{path.name}, row {line}: service,hour_of_week,tasks must hold a name and whole numbers."
            ) from None
        if service not in known or not 0 <= hour < HOURS_PER_WEEK or tasks < 0:
            raise terminal.BadInput(
                f"{path.name}, row {line}: {service!r} must be a service of the tasks, its hour 0 to 167."
            )
        counts.setdefault(service, {})[hour] = tasks
    short = [name for name, found in counts.items() if len(found) != HOURS_PER_WEEK]
    if short:
        raise terminal.BadInput(f"{path.name} does not have all 168 hours of {', '.join(sorted(short))}.")
    return {name: tuple(found[hour] for hour in range(HOURS_PER_WEEK)) for name, found in counts.items()}


def _architectures(names: list[str] | None) -> Any:
    from planner.model import Architecture

    try:
        return [Architecture(name) for name in names] if names else None
    except ValueError as error:
        raise terminal.BadInput(f"{error}: use x86_64 or arm64.") from None


def _platform(name: str) -> Any:
    from planner.alternatives import Platform

    try:
        return Platform(name)
    except ValueError:
        raise terminal.BadInput(f"{name} is no platform: use one of {', '.join(Platform)}.") from None


def _staff_hours(pairs: list[str]) -> Any:
    from planner.alternatives.assumptions import STAFF_HOURS

    hours = dict(STAFF_HOURS)
    for pair in pairs:
        name, _, value = pair.partition("=")
        platform = _platform(name)
        try:
            hours[platform] = float(value)
        except ValueError:
            hours[platform] = -1.0
        if not 0 <= hours[platform] < float("inf"):
            raise terminal.BadInput(f"{pair} is not PLATFORM=HOURS a month, e.g. ecs-ec2=10.")
    return hours


def _csv(comparison: Comparison) -> str:
    """Every platform's cost lines, the platform in the first column."""
    from planner.cost import write_csv

    rows: list[str] = []
    for evaluation in comparison.evaluations:
        head, *lines = write_csv(evaluation.lines).splitlines()
        rows = rows or [f"platform,{head}"]
        rows += [f"{evaluation.platform.value},{line}" for line in lines]
    return "\n".join(rows) + "\n"


def _show(comparison: Comparison, into: Any) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from planner.alternatives.words import headline
    from planner.cost import format_money
    from planner.cost.money import rate_note
    from planner.units import usd_per_month

    table = Table("platform", title="A month of 730 hours, staff included")
    for name in ("total", "without staff", "staff hours", "to get there, days"):
        table.add_column(name, justify="right")
    for e in comparison.evaluations:
        usd, bare = e.usd_per_hour, e.infrastructure_usd_per_hour
        if usd is None or bare is None:
            table.add_row(e.title, "refused", "", "", "")
            continue
        least = "" if e.is_complete else "at least "
        table.add_row(
            e.title, least + format_money(usd_per_month(usd), into), format_money(usd_per_month(bare), into),
            f"{e.staff_hours_per_month:g}", f"{e.migration_days:g}",
        )  # fmt: skip
    out = Console(highlight=False, soft_wrap=True)
    out.print(table)
    rate = comparison.assumed.staff_usd_per_hour
    out.print(
        f"Staff at {rate:g} USD an hour; hours and days are assumptions, so set your own with --staff-hours."
    )
    for sentence in headline(comparison):
        out.print(escape(sentence))
    for e in comparison.evaluations:
        out.print(f"[bold]{escape(e.title)}[/bold]")
        for rejection in e.refused:
            out.print(f"  refused: {escape(rejection.what)}: {escape(rejection.reason)}")
        for rejection in e.missing:
            out.print(f"  not in the figure: {escape(rejection.what)}: {escape(rejection.reason)}")
        for text in (
            *e.notes,
            *(f"cannot: {c}" for c in e.cannot),
            *(f"decide again: {r}" for r in e.re_evaluate),
        ):
            out.print(f"  {escape(text)}")
    _show_changes(comparison, out, into)
    if note := rate_note(into):
        out.print(note)


def _show_changes(comparison: Comparison, out: Any, into: Any) -> None:
    from rich.markup import escape

    from planner.alternatives.words import break_even_sentences, flips
    from planner.cost import format_money
    from planner.units import usd_per_month

    for sentence in break_even_sentences(comparison):
        out.print(escape(sentence))
    out.print("[bold]What would flip it[/bold]")
    for title, changes in flips(comparison):
        out.print(f"  {title}: {'; or '.join(changes) if changes else 'no single change of demand or price'}")
    if comparison.tornado and (lead := comparison.cheapest) and (rival := comparison.rival):
        out.print(f"[bold]What moves the saving of {lead.title} against {rival.title} most, a month[/bold]")
    for bar in comparison.tornado:
        low, high = (usd_per_month(x) for x in (bar.low_advantage_usd_per_hour, bar.high_advantage_usd_per_hour))
        out.print(
            f"  {bar.input:<30} x{bar.low:g} {format_money(low, into):>12}   x{bar.high:g}"
            f" {format_money(high, into):>12}   {bar.reason}"
        )
