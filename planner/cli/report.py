"""`planner report`: the report notebook run by papermill: metrics -> plan.json -> report.html."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from planner import terminal
from planner.cli.price.shared import PricesFolder, open_book


def register(app: typer.Typer) -> None:
    @app.command()
    def report(
        cluster: Annotated[str, typer.Option(help="Name of the ECS cluster")],
        region: Annotated[
            str | None, typer.Option(help="AWS Region, e.g. eu-west-2; default: your profile's")
        ] = None,
        profile: Annotated[str | None, typer.Option(help="Profile of the AWS configuration files")] = None,
        since: Annotated[str, typer.Option(help="How far back to look, e.g. 14d")] = "14d",
        as_of: Annotated[str | None, typer.Option(help="Look from this instant (ISO 8601); default: now")] = None,
        params: Annotated[Path | None, typer.Option(help="YAML or JSON file of plan parameters")] = None,
        out: Annotated[Path, typer.Option(help="Folder for runs; each run gets a folder of its own")] = Path(
            "runs"
        ),
        store: Annotated[Path | None, typer.Option(help="Metric store to keep; default: OUT/store")] = None,
        prices: PricesFolder = None,
        bill_tag: Annotated[
            str | None,
            typer.Option(help="KEY=VALUE: today beside the bill of what carries this tag (0.01 USD a request)"),
        ] = None,
        endpoint_url: Annotated[str | None, typer.Option(help="Another AWS endpoint, e.g. the sandbox's")] = None,
        notebook: Annotated[Path | None, typer.Option(help="Report notebook to run instead of the own")] = None,
        as_json: Annotated[bool, typer.Option("--json", help="Print paths and figures as JSON")] = False,
    ) -> None:
        """Plan a cluster and write report.html, plan.json and the executed notebook into a new run folder."""
        from planner.aws.bill import parse_tag
        from planner.report.run import ReportRequest, run_report

        if bill_tag is not None:
            parse_tag(bill_tag)
        open_book(prices)  # a broken folder is told before minutes of metrics are pulled
        made = run_report(
            ReportRequest(
                cluster=cluster, region=region, profile=profile, since=since, as_of=as_of, out=out,
                store=store or out / "store", endpoint_url=endpoint_url, params=params, notebook=notebook,
                prices=prices, bill_tag=bill_tag,
            )
        )  # fmt: skip
        if as_json:
            terminal.print_json(made)
        else:
            _print(made)


def _print(made: dict[str, Any]) -> None:
    shown = terminal.console()
    shown.print(f"Report         {made['report']}", markup=False, soft_wrap=True)
    shown.print(f"Plan           {made['plan']}", markup=False, soft_wrap=True)
    shown.print(f"Today          {made['today_usd_per_month']:,.0f} USD a month", markup=False)
    shown.print(f"The plan       {made['plan_usd_per_month']:,.0f} USD a month", markup=False)
    shown.print(f"What changes   {'; '.join(made['changes']) or 'nothing'}", markup=False, soft_wrap=True)
