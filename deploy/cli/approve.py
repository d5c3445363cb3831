"""`deploy approve BUNDLE`: sign what was shown."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from deploy.options import (
    Bundle,
    EndpointUrl,
    Executor,
    ExecutorName,
    Json,
    Profile,
    Region,
    State,
    TerraformDir,
    TerraformPlan,
    duration,
)
from planner import terminal


def register(app: typer.Typer) -> None:
    @app.command()
    def approve(
        bundle: Bundle,
        key: Annotated[
            str, typer.Option(help="Private key (PEM) from `deploy keys new`, or a KMS key ARN or alias")
        ],
        approver: Annotated[str, typer.Option(help="Your name, as it stands beside the key in the allow-list")],
        reason: Annotated[str, typer.Option(help="Why, in one sentence")],
        cost_ceiling: Annotated[float, typer.Option(help="USD a month that the plan may cost at most")],
        out: Annotated[Path, typer.Option(help="Where to write the approval")] = Path("approval.json"),
        expires: Annotated[str, typer.Option(help="How long it is valid: 8h, 30m, 2d")] = "8h",
        working_hours: Annotated[
            str | None, typer.Option(help='Hours in which availability is not lowered: "MON-FRI 08:00-18:00"')
        ] = None,
        timezone: Annotated[str, typer.Option(help="IANA time zone of the working hours")] = "UTC",
        holidays: Annotated[
            str | None, typer.Option(help="Bank holidays that are no working days, e.g. GB-ENG")
        ] = None,
        executor: Executor = ExecutorName.BOTO3,
        terraform_plan: TerraformPlan = None,
        terraform_dir: TerraformDir = None,
        state: State = None,
        force: Annotated[bool, typer.Option(help="Approve although Terraform would undo some of it")] = False,
        region: Region = None,
        endpoint_url: EndpointUrl = None,
        profile: Profile = None,
        as_json: Json = False,
    ) -> None:
        """Sign the bundle together with the live state and the checks, as they are at this moment."""
        from deploy import session
        from deploy.approve import dump_approval
        from deploy.hours import parse_hours
        from deploy.verbs import approve_bundle

        with session.errors_told():
            config = session.read_bundle(bundle)
            target = session.Target(region, endpoint_url, profile)
            hours = parse_hours(working_hours, timezone, holidays) if working_hours else None
            with terminal.progress("Reading the live state and checking"):
                approval = approve_bundle(
                    config,
                    session.cloud(config, target),
                    key,
                    approver=approver,
                    reason=reason,
                    expires_in=duration(expires, "--expires"),
                    cost_ceiling_usd_per_month=cost_ceiling,
                    working_hours=hours,
                    executor=executor.value,
                    terraform_plan=terraform_plan,
                    terraform_folder=terraform_dir,
                    terraform_state=state,
                    force=force,
                )
            out.parent.mkdir(parents=True, exist_ok=True)
            dump_approval(approval, out)
        statement = approval.statement
        result: dict[str, Any] = {
            "approval": str(out),
            "bundle_sha256": statement.bundle_sha256,
            "expires_at": statement.expires_at,
            "approver": statement.approver,
            "key_id": statement.key_id,
        }
        if as_json:
            terminal.print_json(result)
        else:
            terminal.console().print(
                f"{approver} approved {statement.bundle_sha256[:12]} until {statement.expires_at}: {out}",
                markup=False,
            )
