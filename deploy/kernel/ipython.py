"""IPython's decorators and display, with types: IPython has none for them."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import Any, TypeVar, cast

import IPython.core.magic
import IPython.core.magic_arguments
import IPython.display

F = TypeVar("F", bound=Callable[..., Any])

display: Any = IPython.display.display


def arguments() -> Callable[[F], F]:
    """Read the magic's line as arguments, and make its help from them."""
    decorate: Any = IPython.core.magic_arguments.magic_arguments
    return cast(Callable[[F], F], decorate())


def parsed(magic: Any, line: str) -> Any:
    """The magic's arguments, split as a shell does: quotes hold a path with spaces together, "" is an empty one.

    Raises UsageError with argparse's words; ValueError where a quote is not closed.
    """
    return magic.parser.parse_args(shlex.split(line))


def option(*flags: str, **settings: Any) -> Callable[[F], F]:
    """One argument, as argparse's `add_argument`."""
    decorate: Any = IPython.core.magic_arguments.argument
    return cast(Callable[[F], F], decorate(*flags, **settings))


def line_magic(function: F) -> F:
    decorate: Any = IPython.core.magic.line_magic
    return cast(F, decorate(function))
