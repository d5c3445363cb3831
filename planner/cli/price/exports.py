"""`planner price plan`: the cost of a plan.json by line, service, provider and month, as CSV and as FOCUS rows."""

from __future__ import annotations

from datetime import UTC, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from planner import terminal
from planner.cli.price.shared import AsJson, CurrencyCode, Rate, RateDate, chosen_currency, read_plan, write_file

if TYPE_CHECKING:
    from planner.cost import CostLine
    from planner.documents import PlanDocument


def register(price: typer.Typer) -> None:
    price.command("plan")(plan)
    price.command("bill")(bill)


def plan(
    document: Annotated[Path, typer.Argument(help="plan.json")],
    csv_file: Annotated[Path | None, typer.Option("--csv", help="Write the plan's lines there")] = None,
    hours_file: Annotated[
        Path | None, typer.Option("--hours-csv", help="Write the cost of each hour and service there")
    ] = None,
    focus_file: Annotated[
        Path | None, typer.Option("--focus", help="Write FOCUS 1.0 rows there, one a service, line and hour")
    ] = None,
    html_file: Annotated[
        Path | None, typer.Option("--html", help="Write bars of today and the plan, and its week, as a page")
    ] = None,
    days: Annotated[int, typer.Option(min=1, max=366, help="Days of hours from --start")] = 7,
    start: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="First day (UTC); the plan's own day if left out")
    ] = None,
    currency: CurrencyCode = "USD",
    rate: Rate = None,
    rate_date: RateDate = None,
    as_json: AsJson = False,
) -> None:
    """What the plan costs beside today: by line, service, capacity provider, hour and month."""
    from planner.cost import by_kind, by_provider, by_service, total, write_csv, write_focus, write_hours
    from planner.plan_cost import lines_by_service, plan_period
    from planner.units import HOURS_PER_DAY

    into = chosen_currency(currency, rate, rate_date)
    read = read_plan(document)
    lines, today = _lines(read, "plan"), _lines(read, "today")
    first = start or datetime.combine(read.created_at.astimezone(UTC).date(), time(), UTC)
    period = plan_period(read, first.replace(tzinfo=UTC), days * HOURS_PER_DAY, split=True)
    if csv_file is not None:
        write_file(csv_file, write_csv(lines))
    if hours_file is not None:
        write_file(hours_file, write_hours(period))
    if focus_file is not None:
        text = write_focus(period, account_id=read.scope.account_id, region=read.scope.region)
        write_file(focus_file, text)
    if html_file is not None:
        write_file(html_file, _page(read))
    split = lines_by_service(lines, read.fleet, read.services)
    record = {
        "plan_usd_per_hour": total(lines),
        "today_usd_per_hour": total(today),
        "by_kind": by_kind(lines),
        "by_capacity_provider": by_provider(lines),
        "by_service": by_service(hourly.line for hourly in split),
        "period": {
            "from": period.hours[0].start, "hours": len(period.hours), "usd": period.usd,
            "usd_by_month": period.by_month(), "usd_by_service": period.by_service(),
            "usd_by_hour": [hour.usd for hour in period.hours],
        },
    }  # fmt: skip
    if as_json:
        terminal.print_json(record | _records(lines))
    else:
        _show(record, lines, into)


def bill(
    document: Annotated[Path, typer.Argument(help="plan.json: what runs today is taken from it")],
    days: Annotated[int, typer.Option(min=1, max=365, help="Whole days up to yesterday")] = 30,
    tag: Annotated[str | None, typer.Option(help="KEY=VALUE: only what carries this cost allocation tag")] = None,
    profile: Annotated[str | None, typer.Option(help="AWS profile")] = None,
    endpoint_url: Annotated[str | None, typer.Option(help="Another AWS endpoint")] = None,
    as_json: AsJson = False,
) -> None:
    """Today's cost as the plan reckons it beside the bill in Cost Explorer (0.01 USD a request)."""
    from planner.aws.bill import COST_EXPLORER_REGION, parse_tag, reconcile_plan
    from planner.aws.clients import connect
    from planner.prices.offers import OddAnswer

    read = read_plan(document)
    pair = parse_tag(tag) if tag is not None else None
    clients = connect(region=COST_EXPLORER_REGION, profile=profile, endpoint_url=endpoint_url)
    try:
        found = reconcile_plan(clients.get("ce"), read, datetime.now(UTC).date(), days, pair)
    except OddAnswer as error:
        raise terminal.Refusal(f"{error}: the bill was not read.") from None
    billed, rows = found.bill, found.rows
    record = {
        "from": billed.start, "until": billed.end, "estimated": billed.estimated,
        "services": [
            {
                "service": row.name, "billed_usd": row.billed_usd, "reckoned_usd": row.reckoned_usd,
                "difference_usd": row.difference_usd, "difference_per_billed": row.difference_per_billed,
            }
            for row in rows
        ],
    }  # fmt: skip
    if as_json:
        terminal.print_json(record)
        return
    told = ", not closed yet" if billed.estimated else ""
    print(f"{billed.start} to {billed.end}{told}: billed, reckoned, difference")
    for row in rows:
        print(f"  {row.name:<50} {row.billed_usd:>12.2f} {row.reckoned_usd:>12.2f} {row.difference_usd:>+12.2f}")


def _page(read: PlanDocument) -> str:
    from planner import figures
    from planner.report import cost_rows
    from planner.report.page import cost_week_rows, render_figures

    shown = [
        (figures.cost_bars(cost_rows(read)), "Today beside the plan, a month of 730 hours"),
        (figures.cost_over_week(cost_week_rows(read)), "The plan in each hour of the week, by service"),
    ]
    return render_figures(shown, f"What {read.scope.cluster} costs")


def _lines(read: PlanDocument, which: str) -> list[CostLine]:
    from planner.plan_cost import cost_line

    try:
        return [cost_line(line) for line in getattr(read.cost, which)]
    except ValueError as error:
        raise terminal.BadInput(f"cost.{which} of the plan: {error}; plan again with this version.") from None


def _records(lines: list[CostLine]) -> dict[str, Any]:
    from planner.cost.export import as_record
    from planner.units import usd_per_month

    return {"lines": [as_record(line) for line in lines], "month_hours": usd_per_month(1.0)}


def _show(record: dict[str, Any], lines: list[CostLine], into: Any) -> None:
    from rich.console import Console
    from rich.table import Table

    from planner.cost import format_money, monthly_cents
    from planner.cost.money import rate_note
    from planner.units import usd_per_month

    table = Table("item", "service", "provider", title="A month of 730 hours")
    table.add_column("cost", justify="right")
    table.add_column("basis")
    for line, cents in zip(lines, monthly_cents(lines), strict=True):
        cells = (line.item, line.service or "", line.capacity_provider or "")
        table.add_row(*map(_plain, cells), format_money(cents / 100, into), _plain(line.basis))
    out = Console(highlight=False)
    out.print(table)
    plan, today = record["plan_usd_per_hour"], record["today_usd_per_hour"]
    out.print(f"plan  {format_money(usd_per_month(plan), into)}")
    out.print(f"today {format_money(usd_per_month(today), into)}")
    if note := rate_note(into):
        out.print(note)


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(text)
