"""`deploy emit PLAN`: the configuration bundle and its rendering."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from deploy.options import Json
from planner import terminal


class Format(StrEnum):
    AWS = "aws"
    TERRAFORM = "terraform"
    CLOUDFORMATION = "cloudformation"


def register(app: typer.Typer) -> None:
    @app.command()
    def emit(
        plan: Annotated[Path, typer.Argument(help="plan.json")],
        out: Annotated[Path, typer.Option("--out", help="Folder for config.json and the rendering")],
        format_: Annotated[Format, typer.Option("--format", help="What to render")] = Format.AWS,
        as_json: Json = False,
    ) -> None:
        """Turn a plan into config.json (the bundle that is approved) and a rendering of it. Reads no account."""
        from deploy.emit import config_from_plan
        from deploy.session import errors_told
        from planner.documents import DocumentError, dump_config, load_plan

        with errors_told():
            try:
                config = config_from_plan(load_plan(plan))
            except DocumentError as error:
                raise terminal.BadInput(f"{error}. Make the plan again with `planner report`.") from None
            out.mkdir(parents=True, exist_ok=True)
            files = _render(config, format_, out)
            sha256 = dump_config(config, out / "config.json")
        result = {
            "bundle": str(out / "config.json"),
            "sha256": sha256,
            "resources": len(config.resources),
            "format": format_.value,
            "files": [str(path) for path in files],
        }
        if as_json:
            terminal.print_json(result)
        else:
            terminal.console().print(
                f"{len(config.resources)} resources in {out / 'config.json'} (sha256 {sha256[:12]}), "
                f"{len(files)} {format_.value} files.\nNext: deploy diff {out}",
                markup=False,
            )


def _render(config: Any, format_: Format, out: Path) -> list[Path]:
    from deploy import emit as rendering

    if format_ is Format.AWS:
        requests = rendering.requests_from_config(config)
        problems = [f"{r.resource_id}: {p}" for r in requests for p in rendering.request_problems(r)]
        if problems:
            raise terminal.BadInput(f"The plan leads to a request that AWS would not take: {problems[0]}")
        return rendering.write_requests(requests, out / "aws")
    if format_ is Format.TERRAFORM:
        written: list[Path] = rendering.write_terraform(config, out / "terraform")
        return written
    rendered: list[Path] = rendering.write_template(config, out / "cloudformation")
    return rendered
