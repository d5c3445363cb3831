"""Options that the verbs of `deploy` share, each spelled once."""

from __future__ import annotations

import re
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from planner.terminal import BadInput

Bundle = Annotated[Path, typer.Argument(help="config.json or its folder")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON")]

Region = Annotated[str | None, typer.Option(help="AWS Region; the bundle's own by default")]
AnyRegion = Annotated[str | None, typer.Option(help="AWS Region", envvar="AWS_REGION")]
EndpointUrl = Annotated[str | None, typer.Option(help="Another AWS endpoint, e.g. the sandbox's")]
Profile = Annotated[str | None, typer.Option(help="AWS profile")]

Lock = Annotated[str | None, typer.Option(help="s3://bucket/key or dynamodb://table; a local file by default")]
State = Annotated[
    str | None, typer.Option(help="Terraform state (file or s3://bucket/key) that must not undo this")
]


class ExecutorName(StrEnum):
    BOTO3 = "boto3"
    TERRAFORM = "terraform"


Executor = Annotated[ExecutorName, typer.Option(help="boto3, or terraform for a signed plan file")]
TerraformPlan = Annotated[Path | None, typer.Option(help="The saved plan that is signed and applied")]
TerraformDir = Annotated[
    Path | None, typer.Option(help="Folder of the Terraform configuration; the plan file's by default")
]
Approvers = Annotated[
    Path | None, typer.Option(help="Allow-list of keys; ~/.config/ecs-deploy/approvers.json by default")
]


def duration(text: str, what: str) -> timedelta:
    """Read 90s, 30m, 8h or 2d; BadInput names the option that it was given with."""
    units = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhd])", text.strip())
    if not found:
        raise BadInput(f"{what} {text!r} is no length of time: write it as 90s, 30m, 8h or 2d.")
    return timedelta(**{units[found[2]]: float(found[1])})
