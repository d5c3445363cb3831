"""The library's values as a reader sees them: one table, as HTML and as plain text. Computes nothing."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Any

from planner.units import usd_per_month

if TYPE_CHECKING:
    from deploy.drift import Drift
    from deploy.kernel.drill import Hour
    from deploy.kernel.record import Line
    from deploy.model import Approval, ChangeSet, Check, Outcome
    from planner.documents import ConfigDocument

LONGEST = 160
COLOURS = {"OK": "#1a7f37", "NG": "#b42318", "SKIP": "#6b7280", "good": "#1a7f37", "bad": "#b42318", "": "inherit"}


@dataclass(frozen=True, slots=True)
class Shown:
    """A title, a table and a remark; shown as HTML in a notebook and as text where there is no HTML."""

    title: str
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    remark: str = ""
    mood: str = ""
    """good, bad or nothing"""
    hidden: Mapping[str, Any] = field(default_factory=dict)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/html": self.html(), "text/plain": self.text()}

    def html(self) -> str:
        parts = [f'<p style="color:{COLOURS[self.mood]}"><strong>{escape(self.title)}</strong></p>']
        if self.rows:
            head = "".join(f'<th style="text-align:left">{escape(name)}</th>' for name in self.columns)
            body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in self.rows)
            parts.append(f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>")
        if self.remark:
            parts.append(f"<p>{escape(self.remark)}</p>")
        return f'<div class="ecs-deploy">{"".join(parts)}</div>'

    def text(self) -> str:
        lines = [self.title]
        if self.rows:
            widths = [max(map(len, column)) for column in zip(self.columns, *self.rows, strict=True)]
            lines += [_line(row, widths) for row in (self.columns, *self.rows)]
        return "\n".join([*lines, *([self.remark] if self.remark else [])])


def _cell(text: str) -> str:
    colour = (
        f' style="text-align:left;color:{COLOURS[text]}"'
        if text in COLOURS and text
        else ' style="text-align:left"'
    )
    return f"<td{colour}>{escape(text)}</td>"


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()


def text_of(value: Any) -> str:
    """One value on one line; terminal control characters are shown, not obeyed."""
    text = (
        "-"
        if value is None
        else value
        if isinstance(value, str)
        else json.dumps(value, sort_keys=True, default=str)
    )
    text = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."


def table(title: str, columns: str, rows: Iterable[Sequence[Any]], remark: str = "", mood: str = "") -> Shown:
    named = tuple(columns.split("|"))
    return Shown(title, named, tuple(tuple(map(text_of, row)) for row in rows), remark, mood)


def money(usd_per_hour: float | None) -> str:
    return "not known" if usd_per_hour is None else f"{usd_per_month(usd_per_hour):,.2f} USD a month"


def plan(config: ConfigDocument, sha256: str, interrupted: str | None) -> Shown:
    scope = config.scope
    rows = [
        ("bundle", sha256),
        ("account", scope.account_id),
        ("Region", scope.region),
        ("cluster", scope.cluster),
        ("author", config.author),
        ("resources", str(len(config.resources))),
        ("today", money(config.today_usd_per_hour)),
        ("as planned", money(config.plan_usd_per_hour)),
    ]
    remark = (
        f"A run of this bundle was interrupted ({interrupted}): %apply goes on with it." if interrupted else ""
    )
    return table("Plan", "what|value", rows, remark)


def checks(title: str, found: Sequence[Check]) -> Shown:
    failed = [check for check in found if check.status == "NG"]
    remark = f"{len(failed)} of {len(found)} checks are NG." if failed else f"{len(found)} checks, none is NG."
    rows = [(check.status.value, check.name, check.reason) for check in found]
    return table(title, "|check|reason", rows, remark, "bad" if failed else "good")


def changes(found: ChangeSet) -> Shown:
    if found.is_empty:
        return Shown("Diff", remark="Nothing to do: the live state is what the bundle asks for.", mood="good")
    rows = [(c.resource_id, c.path, c.before, c.after, c.effect.value, c.note) for c in found.changes]
    today, planned = money(found.today_usd_per_hour), money(found.plan_usd_per_hour)
    remark = f"{len(found.changes)} changes; today {today}, as planned {planned}."
    return table("Diff", "resource|field|before|after|effect|note", rows, remark)


def approval(given: Approval) -> Shown:
    statement = given.statement
    rows = [
        ("approver", statement.approver),
        ("author", statement.author),
        ("reason", statement.reason),
        ("bundle", statement.bundle_sha256),
        ("approved at", statement.approved_at),
        ("valid until", statement.expires_at),
        ("cost ceiling", f"{statement.cost_ceiling_usd_per_month:,.2f} USD a month"),
        ("key", f"{statement.algorithm} {statement.key_id}"),
    ]
    return table("Approved", "what|value", rows, "The signature is valid for this bundle, here and now.", "good")


def outcome(title: str, ended: Outcome) -> Shown:
    rows: list[tuple[Any, ...]] = [
        ("steps", f"{ended.steps_done} of {ended.steps_total}"),
        ("journal", ended.journal),
        *((f"deployment of {service}", arn) for service, arn in sorted(ended.deployments.items())),
        *((f"image {image}", digest) for image, digest in sorted(ended.digests.items())),
    ]
    if ended.failure is not None:
        rows += [("stopped task", reason) for reason in ended.failure.stop_reasons]
        rows += [("log", line) for line in ended.failure.last_log_lines]
    rows += [("note", note) for note in ended.notes]
    return table(title, "what|value", rows, "", "good" if ended.succeeded else "bad")


def progress(title: str, lines: Sequence[tuple[str, str]], counts: Sequence[Sequence[Any]]) -> Shown:
    rows = [("", at, text) for at, text in lines] + [("now", "", text_of(" ".join(map(str, c)))) for c in counts]
    return table(title, "|at|event", rows)


def deployments(rows: Sequence[Sequence[Any]], remark: str = "") -> Shown:
    return table("Watch", "service|desired|running|pending|deployment|failed|reason", rows, remark)


def drift(found: Sequence[Drift]) -> Shown:
    if not found:
        return Shown("Drift", remark="No drift: the live state is the approved one.", mood="good")
    rows = [(d.resource_id, d.path, d.approved, d.live, d.terraform, d.who) for d in found]
    return table(
        "Drift", "resource|field|approved|live|Terraform|who", rows, f"{len(found)} fields differ.", "bad"
    )


def drill(day: Any, hours: Sequence[Hour], lost: int | None) -> Shown:
    rows = [
        (
            f"{hour.at:%a %H:%M}",
            hour.service,
            hour.desired,
            hour.running_least,
            f"{hour.short_samples} of 12",
            "not known" if hour.cpu_percent_most is None else f"{hour.cpu_percent_most:.0f} %",
        )
        for hour in hours
    ]
    ahead = f"Zone {day.zone} is lost at {day.lost_at}:00."
    remark = ahead if lost is None else f"Zone {day.zone} is lost, and {lost} instances with it."
    columns = "hour|service|desired, most|running, least|5-minute samples short of tasks|CPU used / reserved, most"
    return table(f"Drill: {day.day} from {day.begins}:00 ({day.timezone})", columns, rows, remark)


def history(lines: Sequence[Line], path: str, remark: str) -> Shown:
    rows = [(line.sequence, f"{line.at:%Y-%m-%d %H:%M:%S}", line.kind, dict(line.body)) for line in lines]
    return table(f"History: {path}", "line|at (UTC)|kind|what", rows, remark)


def banner(state: str, mood: str = "", remark: str = "") -> Shown:
    """What stands at the top of an executed notebook."""
    return Shown(f"ECS deploy: {state}", remark=remark, mood=mood)
