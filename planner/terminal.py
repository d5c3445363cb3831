"""What every command shares at the terminal: output as text or JSON, progress, one-sentence errors.

Exit codes: 0 done, 1 a finding or a refusal, 2 bad input. A command raises `BadInput` or `Refusal`;
`run` shows the sentence (as JSON when `--json` was asked for) and exits. `deploy` uses this module too.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    import typer
    from rich.console import Console

EXIT_DONE = 0
EXIT_REFUSED = 1
EXIT_BAD_INPUT = 2


class UserError(Exception):
    """One clear sentence that says what is wrong and what to do next."""

    exit_code = EXIT_BAD_INPUT


class BadInput(UserError):
    """The files, options or endpoint handed in cannot be used."""


class Refusal(UserError):
    """The input is fine; the answer is no, with a reason."""

    exit_code = EXIT_REFUSED


def console() -> Console:
    """People's output goes to standard error, so that standard output stays clean for results."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def print_json(value: Any) -> None:
    """One JSON document on standard output: sorted keys, no NaN (a NaN would be a silent wrong answer)."""
    sys.stdout.write(json.dumps(value, indent=2, sort_keys=True, allow_nan=False, default=str) + "\n")


@contextmanager
def progress(title: str, total: float | None = None) -> Iterator[Callable[[float], None]]:
    """A progress bar on standard error; yields `advance(amount)`.

    On something that is not a terminal (CI, a pipe) it prints the title once instead.
    """
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
    )

    shown = console()
    if not shown.is_terminal:
        shown.print(f"{title} ...", markup=False)
        yield lambda _amount: None
        return
    columns: list[Any] = [SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn()]
    if total is not None:
        columns.append(MofNCompleteColumn())
    columns.append(TimeElapsedColumn())
    with Progress(*columns, console=shown, transient=True) as bar:
        task = bar.add_task(title, total=total)
        yield lambda amount: bar.update(task, advance=amount)


def fail(error: UserError, as_json: bool) -> NoReturn:
    """Show one sentence and leave with the error's exit code; nothing else is printed."""
    if as_json:
        print_json({"error": str(error), "exit_code": error.exit_code})
    else:
        console().print(f"Error: {error}", markup=False, soft_wrap=True)
    raise SystemExit(error.exit_code)


def run(app: typer.Typer, name: str) -> NoReturn:
    """Run a Typer app; known errors become one sentence, credentials and endpoints included.

    A traceback is shown only for a defect of ours, or with ECS_PLANNER_TRACEBACK set.
    """
    import typer
    from typer.exceptions import TyperException

    as_json = "--json" in sys.argv
    try:
        # Not standalone: a misused option becomes one sentence too, not a box.
        raise SystemExit(app(prog_name=name, standalone_mode=False) or EXIT_DONE)
    except TyperException as error:
        fail(BadInput(_misuse(error, name)), as_json)
    except (typer.Abort, KeyboardInterrupt):
        fail(Refusal("Interrupted; nothing more was done."), as_json)
    except UserError as error:
        if os.environ.get("ECS_PLANNER_TRACEBACK"):
            raise
        fail(error, as_json)
    except Exception as error:
        known = explain(error)
        if known is None or os.environ.get("ECS_PLANNER_TRACEBACK"):
            raise
        fail(known, as_json)


def _misuse(error: Exception, name: str) -> str:
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else name
    option = getattr(getattr(error, "param", None), "opts", None)
    told = str(error).rstrip(".")
    if option and option[0] not in told and "Missing" not in told:
        told = f"{option[0]}: {told}"
    return f"{told}: see `{command} --help`."


def explain(error: Exception) -> UserError | None:
    """Say in one sentence what an AWS client error means to a user; None where it is our own defect."""
    module = type(error).__module__
    if not module.startswith(("botocore", "boto3")):
        return None
    name = type(error).__name__
    if name in {"NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError"}:
        return BadInput(
            "No usable AWS credentials were found: set AWS_PROFILE or run `aws sso login`, then try again."
        )
    if name in {"TokenRetrievalError", "UnauthorizedSSOTokenError", "SSOTokenLoadError"}:
        return BadInput("The AWS SSO session has expired: run `aws sso login`, then try again.")
    if name == "ProfileNotFound":
        return BadInput(f"{error}: set AWS_PROFILE to a profile that `aws configure list-profiles` shows.")
    if name == "NoRegionError":
        return BadInput("No AWS Region is set: pass --region, e.g. --region eu-west-2.")
    if name in {
        "EndpointConnectionError",
        "ConnectTimeoutError",
        "ReadTimeoutError",
        "ConnectionClosedError",
    }:
        return BadInput(f"{error} Check --endpoint-url and the network, then try again.")
    if name == "InvalidRegionError":
        return BadInput(f"{error} Pass --region with a Region such as eu-west-2.")
    response: dict[str, Any] = getattr(error, "response", {})
    if response:
        code = response.get("Error", {}).get("Code", "")
        message = response.get("Error", {}).get("Message", str(error))
        operation = getattr(error, "operation_name", "the call")
        if code in {"ExpiredToken", "ExpiredTokenException", "RequestExpired"}:
            return BadInput("The AWS credentials have expired: renew them, then try again.")
        if code.startswith(
            ("AccessDenied", "UnauthorizedOperation", "UnrecognizedClient", "InvalidClientTokenId")
        ):
            return BadInput(
                f"AWS refused {operation}: {message} Use a role with the permissions in docs/guide/iam.md."
            )
        return BadInput(f"AWS answered {operation} with {code}: {message}")
    return BadInput(f"{name}: {error}")
