"""`deploy patch`: a new image for one service, as a bundle to approve."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from deploy.options import AnyRegion, EndpointUrl, Json, Profile


def register(app: typer.Typer) -> None:
    @app.command()
    def patch(
        service: Annotated[str, typer.Option(help="ECS service")],
        image: Annotated[str, typer.Option(help="Image reference, best with its digest: repo:tag@sha256:...")],
        cluster: Annotated[str, typer.Option(help="ECS cluster")],
        author: Annotated[str, typer.Option(help="Who asks for it; somebody else has to approve", envvar="USER")],
        out: Annotated[Path, typer.Option(help="Folder for config.json")] = Path("patch"),
        region: AnyRegion = None,
        endpoint_url: EndpointUrl = None,
        profile: Profile = None,
        as_json: Json = False,
    ) -> None:
        """Make a bundle that changes the image of one service and nothing else; approve and apply it as usual."""
        from deploy import session
        from deploy.aws import AwsCloud
        from deploy.patch import patch as make

        with session.errors_told():
            calls = session.calls_in(region, session.Target(region, endpoint_url, profile))
            config = make(AwsCloud(calls, cluster), service, image, author, calls.clock.now())
            session.write_bundle(config, out, as_json)
