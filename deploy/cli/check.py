"""`deploy check BUNDLE`: would it work, here, now?"""

from __future__ import annotations

import typer

from deploy.options import Bundle, EndpointUrl, Json, Profile, Region, State
from planner import terminal


def register(app: typer.Typer) -> None:
    @app.command()
    def check(
        bundle: Bundle,
        state: State = None,
        region: Region = None,
        endpoint_url: EndpointUrl = None,
        profile: Profile = None,
        as_json: Json = False,
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
