"""`deploy verify BUNDLE`: is the live state the approved one?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from planner import terminal

if TYPE_CHECKING:
    from deploy.model import Check


def register(app: typer.Typer) -> None:
    @app.command()
    def verify(
        bundle: Annotated[Path, typer.Argument(help="config.json or its folder")],
        region: Annotated[str | None, typer.Option(help="AWS Region; the bundle's own by default")] = None,
        endpoint_url: Annotated[str | None, typer.Option(help="Another AWS endpoint, e.g. the sandbox's")] = None,
        profile: Annotated[str | None, typer.Option(help="AWS profile")] = None,
        as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON")] = False,
    ) -> None:
        """Check the applied state, now or later. Exit 1 if any check is NG."""
        from deploy import session
        from deploy.verify import verify as check_state

        with session.errors_told():
            config = session.read_bundle(bundle)
            cloud = session.cloud(config, session.Target(region, endpoint_url, profile))
            with terminal.progress("Reading the live state"):
                checks = check_state(config, cloud)
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
