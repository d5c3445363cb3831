"""`planner schema plan|config`: the JSON Schema of a document."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from planner import terminal


class DocumentKind(StrEnum):
    PLAN = "plan"
    CONFIG = "config"


def register(app: typer.Typer) -> None:
    @app.command()
    def schema(
        kind: Annotated[DocumentKind, typer.Argument(help="Which document")],
        as_json: Annotated[bool, typer.Option("--json", help="The schema is always JSON")] = True,
    ) -> None:
        """Print the JSON Schema of plan.json or of the configuration bundle."""
        del as_json
        from planner.documents import ConfigDocument, PlanDocument

        document = PlanDocument if kind is DocumentKind.PLAN else ConfigDocument
        terminal.print_json(document.model_json_schema())
