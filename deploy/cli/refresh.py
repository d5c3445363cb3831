"""`deploy refresh`: a new machine image for the instances of one capacity provider, as a bundle to approve."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from deploy.options import AnyRegion, EndpointUrl, Json, Profile


def register(app: typer.Typer) -> None:
    @app.command()
    def refresh(
        provider: Annotated[str, typer.Option(help="Capacity provider whose instances are replaced")],
        cluster: Annotated[str, typer.Option(help="ECS cluster")],
        author: Annotated[str, typer.Option(help="Who asks for it; somebody else has to approve", envvar="USER")],
        image_id: Annotated[
            str | None, typer.Option(help="AMI; the newest ECS-optimised one of the architecture by default")
        ] = None,
        out: Annotated[Path, typer.Option(help="Folder for config.json")] = Path("refresh"),
        region: AnyRegion = None,
        endpoint_url: EndpointUrl = None,
        profile: Profile = None,
        as_json: Json = False,
    ) -> None:
        """Make a bundle that replaces a provider's instances in waves; approve and apply it as usual."""
        from deploy import session
        from deploy.aws import AwsCloud
        from deploy.refresh import refresh as make

        with session.errors_told():
            calls = session.calls_in(region, session.Target(region, endpoint_url, profile))
            config = make(AwsCloud(calls, cluster), provider, author, calls.clock.now(), image_id)
            session.write_bundle(config, out, as_json)
