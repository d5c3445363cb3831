"""`deploy apply BUNDLE`: carry out what was signed."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deploy.options import (
    Approvers,
    Bundle,
    EndpointUrl,
    Executor,
    ExecutorName,
    Json,
    Lock,
    Profile,
    Region,
    TerraformDir,
    TerraformPlan,
)
from planner import terminal

if TYPE_CHECKING:
    from deploy.model import Outcome


def register(app: typer.Typer) -> None:
    @app.command()
    def apply(
        bundle: Bundle,
        approval: Annotated[Path, typer.Option(help="approval.json from `deploy approve`")],
        journal: Annotated[Path, typer.Option(help="Folder for the journal of this run")],
        approvers: Approvers = None,
        lock: Lock = None,
        wait: Annotated[bool, typer.Option(help="Wait until the working hours are over")] = False,
        executor: Executor = ExecutorName.BOTO3,
        terraform_plan: TerraformPlan = None,
        terraform_dir: TerraformDir = None,
        region: Region = None,
        endpoint_url: EndpointUrl = None,
        profile: Profile = None,
        as_json: Json = False,
    ) -> None:
        """Apply the approved bundle, or go on with an interrupted run of it. Exit 1 unless all of it succeeded."""
        from deploy import session
        from deploy.apply import apply as carry_out
        from deploy.approve import load_approval
        from deploy.keys import default_approvers_path, read_approvers

        with session.errors_told():
            config = session.read_bundle(bundle)
            trusted = read_approvers(approvers or default_approvers_path())
            given = load_approval(approval)
            world = session.world(
                config, session.Target(region, endpoint_url, profile), journal, lock=lock, say=_say(as_json)
            )
            if executor == "terraform":
                from deploy.terraform import apply_plan

                if terraform_plan is None:
                    raise terminal.BadInput("--executor terraform needs the signed plan: pass --terraform-plan.")
                folder = terraform_dir or terraform_plan.parent
                outcome = apply_plan(config, given, trusted, world, journal, folder, terraform_plan)
            else:
                outcome = carry_out(config, given, trusted, world, journal, wait_for_hours=wait)
        report(outcome, as_json, "applied")


def _say(as_json: bool):  # type: ignore[no-untyped-def]
    console = terminal.console()
    return (lambda _text: None) if as_json else (lambda text: console.print(text, markup=False))


def report(outcome: Outcome, as_json: bool, verb: str) -> None:
    """Show how a run ended; exit 1 unless it succeeded."""
    from deploy.rollout import describe

    if as_json:
        terminal.print_json(asdict(outcome))
    else:
        console = terminal.console()
        for note in outcome.notes:
            console.print(note, markup=False)
        if outcome.succeeded:
            console.print(
                f"Everything {verb} ({outcome.steps_done} steps). Journal: {outcome.journal}", markup=False
            )
        else:
            if outcome.failure is not None:
                console.print(describe(outcome.failure), markup=False)
            for line in outcome.failure.last_log_lines if outcome.failure else ():
                console.print(f"  | {line}", markup=False)
            console.print(
                f"Not {verb}: {outcome.steps_done} of {outcome.steps_total} steps were done. "
                f"Take it back with: deploy rollback --journal {outcome.journal}",
                markup=False,
            )
    if not outcome.succeeded:
        raise typer.Exit(terminal.EXIT_REFUSED)
