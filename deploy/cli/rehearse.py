"""`deploy rehearse`: the main job from end to end in a sandbox."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deploy.options import Json
from planner import terminal

if TYPE_CHECKING:
    from deploy.rehearse import Rehearsal


def register(app: typer.Typer) -> None:
    @app.command()
    def rehearse(
        out: Annotated[Path, typer.Option(help="Folder for runs")] = Path("runs"),
        seed: Annotated[int, typer.Option(help="Of the sample estate")] = 0,
        as_json: Json = False,
    ) -> None:
        """Plan a sample estate and carry the plan out, in a sandbox on this machine; no AWS account is touched."""
        from deploy.rehearse import rehearse as run

        shown = terminal.console()
        if as_json:
            done = run(out, lambda _step: None, seed=seed)
        elif shown.is_terminal:
            with shown.status("Starting") as status:
                done = run(out, lambda step: status.update(f"{step} ..."), seed=seed)
        else:
            done = run(out, lambda step: shown.print(f"{step} ...", markup=False), seed=seed)
        _show(done, as_json)
        if not done.verified:
            raise typer.Exit(terminal.EXIT_REFUSED)


def _show(done: Rehearsal, as_json: bool) -> None:
    places = {"report": done.report, "plan": done.plan, "configuration": done.config, "journal": done.journal}
    if as_json:
        terminal.print_json(
            {name: str(path) for name, path in places.items()}
            | {
                "today_usd_per_month": done.today_usd_per_month,
                "plan_usd_per_month": done.plan_usd_per_month,
                "changes": list(done.changes),
                "verified": done.verified,
            }
        )
        return
    shown = terminal.console()
    shown.print()
    for name, path in places.items():
        shown.print(f"{name.capitalize():<16}{path}", markup=False, soft_wrap=True)
    shown.print(
        f"{'Live state':<16}{'equals the plan' if done.verified else 'DIFFERS from the plan'}\n", markup=False
    )
    shown.print(f"Today           ${done.today_usd_per_month:,.0f} a month", markup=False)
    shown.print(f"The plan        ${done.plan_usd_per_month:,.0f} a month", markup=False)
    shown.print(f"What changes    {'; '.join(done.changes) or 'nothing'}", markup=False, soft_wrap=True)
