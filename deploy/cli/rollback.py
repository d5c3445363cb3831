"""`deploy rollback --journal FILE`: take a whole run back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from deploy.options import Approvers, EndpointUrl, Json, Lock, Profile, Region
from planner import terminal


def register(app: typer.Typer) -> None:
    @app.command()
    def rollback(
        journal: Annotated[Path, typer.Option(help="Journal of the run, or the folder with just one")],
        force: Annotated[bool, typer.Option(help="Overwrite what somebody changed since, too")] = False,
        approvers: Approvers = None,
        lock: Lock = None,
        region: Region = None,
        endpoint_url: EndpointUrl = None,
        profile: Profile = None,
        as_json: Json = False,
    ) -> None:
        """Restore the state before the run, wherever it ended. May be run again after an interruption."""
        from deploy import session
        from deploy.cli.apply import _say, report
        from deploy.journal import read_journal
        from deploy.keys import default_approvers_path, read_approvers
        from deploy.rollback import read_past
        from deploy.rollback import rollback as take_back

        with session.errors_told():
            path = _file(journal)
            config = read_past(read_journal(path)).config
            target = session.Target(region, endpoint_url, profile)
            world = session.world(config, target, path.parent, lock=lock, say=_say(as_json))
            trusted = read_approvers(approvers or default_approvers_path())
            outcome = take_back(path, world, approvers=trusted, force=force)
        report(outcome, as_json, "taken back")


def _file(journal: Path) -> Path:
    if not journal.is_dir():
        return journal
    found = sorted(journal.glob("*.jsonl"))
    if len(found) != 1:
        raise terminal.BadInput(f"{journal} holds {len(found)} journals: name the file of the run to take back.")
    return found[0]
