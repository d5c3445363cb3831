"""What a verb of the command line or a cell of a notebook starts with: files read, clients made, errors told."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from planner.terminal import BadInput, Refusal, UserError, console, explain, print_json

if TYPE_CHECKING:
    from deploy.apply import World
    from deploy.aws import AwsCloud, Calls
    from deploy.ports import Clock
    from planner.documents import ConfigDocument

CONFIG_NAME = "config.json"


@dataclass(frozen=True, slots=True)
class Target:
    """Where to go."""

    region: str | None = None
    endpoint_url: str | None = None
    profile: str | None = None


def read_bundle(path: Path) -> ConfigDocument:
    """Read config.json, named itself or by its folder; BadInput lists what is wrong."""
    from planner.documents import DocumentError, load_config

    file = path / CONFIG_NAME if path.is_dir() else path
    try:
        return load_config(file)
    except DocumentError as error:
        raise BadInput(f"{error}. Make the bundle again with `deploy emit`.") from None


def calls(target: Target, region: str, clock: Clock | None = None) -> Calls:
    import boto3

    from deploy.aws import Calls
    from deploy.clock import clock_for

    session = boto3.Session(profile_name=target.profile) if target.profile else boto3.Session()
    endpoint_url = target.endpoint_url or os.environ.get("AWS_ENDPOINT_URL")
    if endpoint_url and not endpoint_url.startswith(("http://", "https://")):
        raise BadInput(f"The endpoint {endpoint_url!r} is no URL: write it with http:// or https://.")
    # In a rehearsal waiting lets the sandbox's time pass; anywhere else it is the machine's.
    return Calls(session, target.region or region, endpoint_url, clock or clock_for(endpoint_url, nullcontext))


def calls_in(region: str | None, target: Target) -> Calls:
    """The clients of a Region that was named; BadInput where none was."""
    if region is None:
        raise BadInput("Say the Region with --region or AWS_REGION.")
    return calls(target, region)


def write_bundle(config: ConfigDocument, folder: Path, as_json: bool) -> None:
    """Write config.json into `folder` and tell where it is and what comes next."""
    from planner.documents import dump_config

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / CONFIG_NAME
    sha256 = dump_config(config, path)
    if as_json:
        print_json({"bundle": str(path), "sha256": sha256})
    else:
        console().print(f"{path}\nNext: deploy diff {folder}", markup=False)


def cloud(config: ConfigDocument, target: Target, clock: Clock | None = None) -> AwsCloud:
    from deploy.aws import AwsCloud

    return AwsCloud(calls(target, config.scope.region, clock), config.scope.cluster)


def world(
    config: ConfigDocument,
    target: Target,
    folder: Path,
    *,
    lock: str | None = None,
    clock: Clock | None = None,
    say: Callable[[str], None] = lambda _text: None,
) -> World:
    """Everything a run needs; the lock is a file in `folder` unless `lock` names an S3 object or a table."""
    from deploy.apply import World
    from deploy.lock import BadLock, lock_from

    made = cloud(config, target, clock)
    scope = f"{config.scope.account_id}-{config.scope.region}-{config.scope.cluster}"
    try:
        held = lock_from(lock, made.calls.call, made.calls.clock, folder, scope)
    except BadLock as error:
        raise BadInput(str(error)) from None
    return World(made, made.calls.clock, held, say)


@contextmanager
def errors_told() -> Iterator[None]:
    """Turn what the verbs raise into one sentence with its exit code."""
    from deploy.apply import ApplyRefused
    from deploy.approve import ApprovalRefused
    from deploy.emit import NotSupported
    from deploy.hours import BadHours
    from deploy.journal import JournalError
    from deploy.keys import KeyProblem
    from deploy.observe import WrongPlace
    from deploy.ports import AnswerLost, CallFailed, LockHeld
    from deploy.terraform import TerraformFailed
    from deploy.tfstate import StateProblem
    from planner.documents import DocumentError

    try:
        yield
    except (ApplyRefused, ApprovalRefused, LockHeld) as error:
        raise Refusal(str(error)) from None
    except (
        NotSupported,
        BadHours,
        JournalError,
        KeyProblem,
        WrongPlace,
        StateProblem,
        TerraformFailed,
        DocumentError,
    ) as error:
        raise BadInput(str(error)) from None
    except (CallFailed, AnswerLost) as error:
        raise _aws_error(error) from None
    except OSError as error:
        if error.filename is None:
            raise
        raise BadInput(
            f"{error.filename} cannot be used ({error.strerror}): check its path and permissions."
        ) from None


def _aws_error(error: Exception) -> UserError:
    cause: Any = error.__cause__
    told = explain(cause) if isinstance(cause, Exception) else None
    return told or BadInput(f"{error}.")
