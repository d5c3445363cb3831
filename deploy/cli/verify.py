"""`deploy verify BUNDLE`: is the live state the approved one?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from deploy.options import Bundle, EndpointUrl, Json, Profile, Region, duration
from planner import terminal

if TYPE_CHECKING:
    from deploy.model import Check


def register(app: typer.Typer) -> None:
    @app.command()
    def verify(
        bundle: Bundle,
        region: Region = None,
        endpoint_url: EndpointUrl = None,
        profile: Profile = None,
        wait: Annotated[str, typer.Option(help="How long tasks that still start are waited for: 0m, 10m")] = "10m",
        as_json: Json = False,
    ) -> None:
        """Check the applied state, now or later. Exit 1 if any check is NG."""
        from deploy import session
        from deploy.verify import verify as check_state

        with session.errors_told():
            config = session.read_bundle(bundle)
            cloud = session.cloud(config, session.Target(region, endpoint_url, profile))
            with terminal.progress("Reading the live state"):
                checks = check_state(config, cloud, cloud.calls.clock, settles_within=duration(wait, "--wait"))
        report(checks, as_json)


def report(checks: Sequence[Check], as_json: bool) -> None:
    """Show checks; exit 1 if any is NG."""
    failed = [check for check in checks if check.status == "NG"]
    if as_json:
        terminal.print_json({"ok": not failed, "checks": [asdict(check) for check in checks]})
    else:
        from rich.markup import escape
        from rich.table import Table

        table = Table("", "check", "reason")
        for check in checks:
            table.add_row(check.status.value, escape(check.name), escape(check.reason))
        terminal.console().print(table)
    if failed:
        raise typer.Exit(terminal.EXIT_REFUSED)
