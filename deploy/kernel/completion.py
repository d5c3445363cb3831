"""Completion of a verb's arguments: its options, and files where it wants one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

OPTIONS: dict[str, tuple[str, ...]] = {
    "plan": ("--region", "--endpoint-url", "--journal", "--lock"),
    "check": (),
    "diff": (),
    "approve": ("--key", "--approver", "--reason", "--cost-ceiling", "--expires"),
    "apply": ("--wait",),
    "watch": ("--seconds",),
    "verify": (),
    "rollback": ("--force", "--region", "--endpoint-url"),
    "drift": (),
    "history": ("--head",),
    "patch": ("--service", "--image", "--cluster", "--author", "--out", "--region", "--endpoint-url"),
    "drill": ("--zone", "--day", "--begins", "--hours", "--lost-at", "--timezone"),
}
WANTS_A_FILE = {"plan": ".json", "approve": ".json", "rollback": ".jsonl", "history": ".jsonl"}
PATH_OPTIONS = frozenset({"--journal", "--key"})


def add_completers(shell: Any) -> None:
    for verb in OPTIONS:
        shell.set_hook("complete_command", complete, str_key=f"%{verb}")


def complete(_shell: Any, event: Any) -> list[str]:
    """What may stand at the cursor; `event` has IPython's `line`, `symbol` and `command`."""
    verb = str(event.command).lstrip("%")
    before = str(event.line).split()
    previous = before[-1] if event.symbol == "" or len(before) < 2 else before[-2]
    if str(event.symbol).startswith("-"):
        return [option for option in OPTIONS[verb] if option.startswith(event.symbol)]
    if verb not in WANTS_A_FILE and previous not in PATH_OPTIONS:
        return list(OPTIONS[verb])
    return files(str(event.symbol), WANTS_A_FILE.get(verb, ""))


def files(start: str, suffix: str) -> list[str]:
    """Folders and files with the suffix that begin with `start`."""
    folder = Path(start).parent if start and not start.endswith("/") else Path(start or ".")
    try:
        found = sorted(folder.iterdir())
    except OSError:
        return []
    prefix = "" if str(folder) == "." and not start.startswith("./") else f"{folder}/"
    shown = [path for path in found if not path.name.startswith(".")]
    named = [f"{prefix}{path.name}{'/' if path.is_dir() else ''}" for path in shown]
    return [name for name in named if name.startswith(start) and name.endswith(("/", suffix))]
