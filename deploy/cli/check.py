"""`deploy check BUNDLE`: would it work, here, now?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from planner import terminal


def register(app: typer.Typer) -> None:
    @app.command()
    def check(
        bundle: Annotated[Path, typer.Argument(help="config.json or its folder")],
        state: Annotated[
            str | None, typer.Option(help="Terraform state (file or s3://bucket/key) that must not undo this")
        ] = None,
        region: Annotated[str | None, typer.Option(help="AWS Region; the bundle's own by default")] = None,
        endpoint_url: Annotated[str | None, typer.Option(help="Another AWS endpoint, e.g. the sandbox's")] = None,
        profile: Annotated[str | None, typer.Option(help="AWS profile")] = None,
        as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON")] = False,
    ) -> None:
        """Check images, secrets, roles, quotas and whether the rollout fits. Exit 1 if any check is NG."""
        from deploy import session
        from deploy.cli.verify import report
        from deploy.verbs import check_bundle

        with session.errors_told():
            config = session.read_bundle(bundle)
            cloud = session.cloud(config, session.Target(region, endpoint_url, profile))
            with terminal.progress("Checking"):
                checks = check_bundle(config, cloud, state)
        report(checks, as_json)
