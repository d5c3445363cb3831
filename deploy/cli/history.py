"""`deploy history [verify]`: the runs and whether their journals hold."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from deploy.options import Json
from planner import terminal


def register(app: typer.Typer) -> None:
    group = typer.Typer(
        help="List the runs, or check that their journals are unaltered.", invoke_without_command=True
    )
    app.add_typer(group, name="history")

    @group.callback()
    def show(
        context: typer.Context,
        journal: Annotated[Path, typer.Option(help="Folder of journals")] = Path("journal"),
        as_json: Json = False,
    ) -> None:
        """List every run in a folder of journals, newest first."""
        from deploy.history import history
        from deploy.session import errors_told

        context.obj = journal
        if context.invoked_subcommand is not None:
            return
        with errors_told():
            runs = history(_folder(journal))
        if as_json:
            terminal.print_json({"runs": [asdict(run) for run in runs]})
            return
        from rich.markup import escape
        from rich.table import Table

        table = Table("began", "run", "cluster", "author", "approver", "reason", "state")
        for run in runs:
            cells = (run.began_at, run.run, run.cluster, run.author, run.approver, run.reason, run.state)
            table.add_row(*(escape(cell) for cell in cells))
        terminal.console().print(table)

    @group.command()
    def verify(
        context: typer.Context,
        journal: Annotated[Path | None, typer.Option(help="Folder of journals")] = None,
        as_json: Json = False,
    ) -> None:
        """Check the hash chain of every journal. Exit 1 if one was altered."""
        from deploy.cli.verify import report
        from deploy.history import verify_history

        report(verify_history(_folder(journal or context.obj)), as_json)


def _folder(journal: Path) -> Path:
    if not journal.is_dir():
        raise terminal.BadInput(f"There is no folder {journal}: name the folder of journals with --journal.")
    return journal
