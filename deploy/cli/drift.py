"""`deploy drift`: approved, live and Terraform side by side."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from deploy.options import EndpointUrl, Json, Profile, Region
from planner import terminal


def register(app: typer.Typer) -> None:
    @app.command()
    def drift(
        bundle: Annotated[
            Path | None, typer.Argument(help="config.json or its folder; else the newest run's")
        ] = None,
        journal: Annotated[
            Path | None, typer.Option(help="Folder of journals to take the newest applied run from")
        ] = None,
        state: Annotated[str | None, typer.Option(help="Terraform state: a file, or s3://bucket/key")] = None,
        region: Region = None,
        endpoint_url: EndpointUrl = None,
        profile: Profile = None,
        as_json: Json = False,
    ) -> None:
        """Show what is not as approved, and who changed it where CloudTrail tells. Exit 1 if anything drifted."""
        from deploy import session
        from deploy.drift import drift as compare
        from deploy.tfstate import managed, read_state

        with session.errors_told():
            config = session.read_bundle(bundle) if bundle is not None else _newest(journal)
            cloud = session.cloud(config, session.Target(region, endpoint_url, profile))
            known = managed(read_state(state, cloud.calls.call), config.scope.cluster) if state else ()
            with terminal.progress("Comparing"):
                found = compare(config, cloud, known)
        if as_json:
            terminal.print_json({"drift": [asdict(item) for item in found]})
        elif not found:
            terminal.console().print("No drift.")
        else:
            _show(found)
        if found:
            raise typer.Exit(terminal.EXIT_REFUSED)


def _newest(journal: Path | None) -> Any:
    """The bundle of the newest run that succeeded and was not taken back."""
    from deploy.history import history
    from deploy.journal import read_journal
    from planner.documents import ConfigDocument

    if journal is None:
        raise terminal.BadInput("Say what was approved: name a BUNDLE, or a folder of journals with --journal.")
    for run in history(journal):
        if run.state == "succeeded":
            return ConfigDocument.model_validate(read_journal(Path(run.journal))[0].body["bundle"])
    raise terminal.BadInput(f"{journal} holds no run that succeeded: name a BUNDLE.")


def _show(found: Any) -> None:
    from rich.markup import escape
    from rich.table import Table

    from deploy.cli.diff import _text

    table = Table("resource", "field", "approved", "live", "Terraform", "who")
    for item in found:
        values = (
            item.resource_id,
            item.path,
            _text(item.approved),
            _text(item.live),
            _text(item.terraform),
            item.who,
        )
        table.add_row(*(escape(str(value)) for value in values))
    terminal.console().print(table)
