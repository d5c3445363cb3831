"""`planner price ...`: what things cost, with source and date, and what to choose at those prices."""

from __future__ import annotations

import typer

from planner.cli.price import choices, exports, quotes


def register(app: typer.Typer) -> None:
    price = typer.Typer(help="Prices with their source and date.", no_args_is_help=True)
    app.add_typer(price, name="price")
    for verbs in (quotes, choices, exports):
        verbs.register(price)
