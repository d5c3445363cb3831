"""`planner`: one module a verb, each imported light; heavy libraries load inside the verb."""

from __future__ import annotations

import importlib
import pkgutil
from typing import NoReturn

import typer

from planner import terminal

app = typer.Typer(
    name="planner",
    help="Plan the capacity and cost of container services on Amazon ECS.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


@app.callback()
def _root() -> None:
    """Plan the capacity and cost of container services on Amazon ECS."""


def _register_verbs() -> None:
    """Each module is a verb, but for parts of one, which begin with an underscore."""
    for module in sorted(pkgutil.iter_modules(__path__), key=lambda m: m.name):
        if module.name.startswith("_"):
            continue
        importlib.import_module(f"{__name__}.{module.name}").register(app)


def main() -> NoReturn:
    _register_verbs()
    terminal.run(app, "planner")
