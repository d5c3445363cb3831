"""`planner pull`: the CloudWatch history of one cluster into the store."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Annotated

import typer

from planner import terminal

if TYPE_CHECKING:
    from planner.aws.slices import PullPlan
    from planner.aws.transfer import PullReport


def register(app: typer.Typer) -> None:
    app.command("pull")(pull)


def pull(
    cluster: Annotated[str, typer.Option(help="Name or ARN of the ECS cluster.")],
    store: Annotated[str, typer.Option(help="Folder of the archive, or s3://bucket/prefix.")],
    since: Annotated[
        str, typer.Option(help="How far back: 12h, 14d, 2w, or a moment such as 2026-05-01.")
    ] = "14d",
    until: Annotated[
        str | None, typer.Option(help="Read up to this moment (UTC); by default AWS's present.")
    ] = None,
    as_of: Annotated[
        str | None, typer.Option(help="Take this as the present instead of AWS's clock; for repeatable runs.")
    ] = None,
    endpoint_url: Annotated[str | None, typer.Option(help="Another AWS endpoint, e.g. the sandbox's.")] = None,
    region: Annotated[str | None, typer.Option(help="AWS Region, e.g. eu-west-2.")] = None,
    profile: Annotated[str | None, typer.Option(help="Profile of the AWS configuration.")] = None,
    role_arn: Annotated[str | None, typer.Option(help="Role to assume for reading.")] = None,
    period: Annotated[int, typer.Option(help="Finest period in seconds: 60, 300 or 3600.")] = 60,
    container_insights: Annotated[bool, typer.Option(help="Read Container Insights too, where it is on.")] = True,
    max_usd: Annotated[
        float | None, typer.Option(help="Do not start when the pull would cost more than this.")
    ] = None,
    dry_run: Annotated[bool, typer.Option(help="Show the plan and its price, and read no datapoint.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The report as JSON.")] = False,
) -> None:
    """Complete the archive of a cluster's metrics; what it holds already is not fetched again.

    The price is shown before the first datapoint is asked for. Exit code 1 when something could not be read.
    """
    from planner.aws import connect, discover
    from planner.aws import pull as transfer
    from planner.metrics import MetricStore
    from planner.moments import moment, start_of

    if period not in (60, 300, 3600):
        raise terminal.BadInput(f"--period {period} is not 60, 300 or 3600.")
    clients = connect(region=region, profile=profile, endpoint_url=endpoint_url, role_arn=role_arn)
    with terminal.progress(f"Reading cluster {cluster}"):
        estate = discover(clients, cluster)
    now = moment(as_of, "--as-of") if as_of else clients.server_time
    end = min(moment(until, "--until"), now) if until else now
    archive = MetricStore(store)
    try:
        with _Progress() as shown:
            report = transfer(
                clients,
                estate,
                archive,
                start_of(since, end),
                end,
                as_of=now,
                finest_s=period,
                insights=container_insights,
                confirm=lambda plan: shown.confirm(plan, max_usd, dry_run),
                progress=shown.advance,
            )
    except OSError as error:
        raise terminal.BadInput(
            f"The store {store!r} cannot be written: {error.strerror or error}. What was written before is "
            "valid; make room or choose another --store and pull again."
        ) from error
    _show(report, dry_run, as_json)
    if report.refusals and not dry_run:
        raise typer.Exit(terminal.EXIT_REFUSED)


class _Progress:
    """The plan and its price, then a bar over datapoints."""

    def __init__(self) -> None:
        self.advance: Callable[[float], None] = lambda _points: None
        self._bar: AbstractContextManager[Callable[[float], None]] | None = None

    def __enter__(self) -> _Progress:
        return self

    def __exit__(self, *error: object) -> None:
        if self._bar is not None:
            self._bar.__exit__(None, None, None)

    def confirm(self, plan: PullPlan, max_usd: float | None, dry_run: bool) -> bool:
        price = f"${plan.usd:,.2f}" if plan.usd >= 0.01 else f"${plan.usd:.4f}"
        terminal.console().print(
            f"{plan.points:,} datapoints in {len(plan.calls):,} calls, {plan.metrics_requested:,} metrics "
            f"requested: {price}; {plan.already_stored:,} datapoints are stored already",
            markup=False,
        )
        if max_usd is not None and plan.usd > max_usd:
            raise terminal.Refusal(
                f"The pull would cost {price}, more than --max-usd {max_usd}: shorten --since or raise the limit."
            )
        if dry_run:
            return False
        self._bar = terminal.progress("Pulling datapoints", float(plan.points))
        self.advance = self._bar.__enter__()
        return True


def _show(report: PullReport, dry_run: bool, as_json: bool) -> None:
    if as_json:
        terminal.print_json(report.to_json() | {"dry_run": dry_run})
        return
    out = terminal.console()
    done = "would be read" if dry_run else "read"
    out.print(
        f"{report.datapoints:,} datapoints {done} of {report.series:,} series of {report.cluster} in "
        f"{report.calls:,} calls (${report.usd:,.4f}) into {report.store}",
        markup=False,
    )
    if report.empty_series:
        out.print(f"{report.empty_series:,} series have no datapoints in this window", markup=False)
    for warning in report.warnings:
        out.print(f"Note: {warning}", markup=False, soft_wrap=True)
    for refusal in report.refusals:
        out.print(f"Not read: {refusal.what}: {refusal.reason}", markup=False, soft_wrap=True)
