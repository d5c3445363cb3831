"""`deploy patch`: a new image for one service, as a bundle to approve."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from planner import terminal


def register(app: typer.Typer) -> None:
    @app.command()
    def patch(
        service: Annotated[str, typer.Option(help="ECS service")],
        image: Annotated[str, typer.Option(help="Image reference, best with its digest: repo:tag@sha256:...")],
        cluster: Annotated[str, typer.Option(help="ECS cluster")],
        author: Annotated[str, typer.Option(help="Who asks for it; somebody else has to approve", envvar="USER")],
        out: Annotated[Path, typer.Option(help="Folder for config.json")] = Path("patch"),
        region: Annotated[str | None, typer.Option(help="AWS Region", envvar="AWS_REGION")] = None,
        endpoint_url: Annotated[str | None, typer.Option(help="Another AWS endpoint, e.g. the sandbox's")] = None,
        profile: Annotated[str | None, typer.Option(help="AWS profile")] = None,
        as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON")] = False,
    ) -> None:
        """Make a bundle that changes the image of one service and nothing else; approve and apply it as usual."""
        from deploy import session
        from deploy.aws import AwsCloud
        from deploy.patch import patch as make
        from planner.documents import dump_config

        if region is None:
            raise terminal.BadInput("Say the Region with --region or AWS_REGION.")
        with session.errors_told():
            calls = session.calls(session.Target(region, endpoint_url, profile), region)
            config = make(AwsCloud(calls, cluster), service, image, author, calls.clock.now())
            out.mkdir(parents=True, exist_ok=True)
            sha256 = dump_config(config, out / session.CONFIG_NAME)
        if as_json:
            terminal.print_json({"bundle": str(out / session.CONFIG_NAME), "sha256": sha256})
        else:
            terminal.console().print(f"{out / session.CONFIG_NAME}\nNext: deploy diff {out}", markup=False)
