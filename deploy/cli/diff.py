"""`deploy diff BUNDLE`: what would change, by its effect."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer

from deploy.options import Bundle, EndpointUrl, Json, Profile, Region, State
from planner import terminal

if TYPE_CHECKING:
    from deploy.model import ChangeSet
    from planner.documents import ConfigDocument


def register(app: typer.Typer) -> None:
    @app.command()
    def diff(
        bundle: Bundle,
        state: State = None,
        region: Region = None,
        endpoint_url: EndpointUrl = None,
        profile: Profile = None,
        as_json: Json = False,
    ) -> None:
        """Show what applying the bundle would change. Exit 0: nothing to do, 1: there are changes."""
        from deploy import session
        from deploy.diff import diff as difference
        from deploy.observe import observe

        with session.errors_told():
            config = session.read_bundle(bundle)
            cloud = session.cloud(config, session.Target(region, endpoint_url, profile))
            with terminal.progress("Reading the live state"):
                observation = observe(config, cloud)
            changes = difference(observation.live, observation.wanted, config)
            digest = changes.digest  # what an approval holds; notes are for people
            if state is not None:
                from deploy.tfstate import managed, read_state, with_terraform_notes

                known = managed(read_state(state, cloud.calls.call), config.scope.cluster)
                changes = with_terraform_notes(changes, known)
        problems = [asdict(problem) for problem in observation.problems]
        if as_json:
            terminal.print_json(as_data(changes, config) | {"digest": digest, "problems": problems})
        else:
            show(changes, config)
            for problem in observation.problems:
                terminal.console().print(f"Refused: {problem.what} {problem.reason}.", markup=False)
        if changes.changes or observation.problems:
            raise typer.Exit(terminal.EXIT_REFUSED)


def as_data(changes: ChangeSet, config: ConfigDocument) -> dict[str, Any]:
    return {
        "changes": [asdict(change) for change in changes.changes],
        "digest": changes.digest,
        "today_usd_per_hour": changes.today_usd_per_hour,
        "plan_usd_per_hour": changes.plan_usd_per_hour,
        "headroom": {
            r.name: {"before": r.headroom_before, "after": r.headroom_after}
            for r in config.resources
            if r.headroom_before is not None or r.headroom_after is not None
        },
    }


def show(changes: ChangeSet, config: ConfigDocument) -> None:
    from rich.markup import escape
    from rich.table import Table

    from planner.units import usd_per_month

    console = terminal.console()
    if changes.is_empty:
        console.print("Nothing to do: the live state is what the bundle asks for.")
        return
    table = Table("resource", "field", "before", "after", "effect", "USD a month", "headroom")
    resources = {resource.id: resource for resource in config.resources}
    shown: set[str] = set()
    for change in changes.changes:
        resource = None if change.resource_id in shown else resources.get(change.resource_id)
        shown.add(change.resource_id)
        money = _arrow(resource, "today_usd_per_hour", "plan_usd_per_hour", lambda v: f"{usd_per_month(v):,.0f}")
        room = _arrow(resource, "headroom_before", "headroom_after", lambda v: f"{v:.0%}")
        table.add_row(
            *(
                escape(text)
                for text in (change.resource_id, change.path, _text(change.before), _text(change.after))
            ),
            escape("\n".join(text for text in (change.effect.value, change.note) if text)),
            money,
            room,
        )
    console.print(table)
    if changes.today_usd_per_hour is not None and changes.plan_usd_per_hour is not None:
        today, plan = usd_per_month(changes.today_usd_per_hour), usd_per_month(changes.plan_usd_per_hour)
        console.print(f"{len(changes.changes)} changes; {today:,.0f} USD a month today, {plan:,.0f} as planned.")


def _arrow(resource: Any, before: str, after: str, text: Any) -> str:
    if resource is None:
        return ""
    values = [getattr(resource, name) for name in (before, after)]
    return "" if all(v is None for v in values) else " -> ".join("?" if v is None else text(v) for v in values)


def _text(value: Any) -> str:
    import json

    if isinstance(value, str):
        return value
    text = "-" if value is None else json.dumps(value, sort_keys=True, ensure_ascii=False)
    return text if len(text) <= 160 else text[:157] + "..."
