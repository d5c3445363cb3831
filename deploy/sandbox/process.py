"""The sandbox as a process of its own: `python -m deploy.sandbox.process`, and its state file.

It ends when it is asked to, when nobody has called it for a while, or when it gets a signal, so none is
left behind.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import Final

from deploy.sandbox.clock import DEFAULT_START

STATE_FILE: Final = "sandbox.json"
LOG_FILE: Final = "sandbox.log"
IDLE_TIMEOUT_S: Final = 4 * 3600.0
READY_TIMEOUT_S: Final = 90.0


class ProcessError(RuntimeError):
    """A sandbox process that cannot be started or is not there; the text says what to do."""


@dataclass(frozen=True, slots=True)
class State:
    """What the state file says of a running sandbox."""

    pid: int
    endpoint_url: str
    region: str
    started_at: str


def default_directory() -> Path:
    """Where the state file is without --state: the user's cache directory."""
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(cache) / "ecs-capacity-planner" / "sandbox"


def read_state(directory: Path) -> State | None:
    """The running sandbox of this directory; None where none runs (a stale file is removed)."""
    path = directory / STATE_FILE
    try:
        state = State(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    if _alive(state.pid):
        return state
    path.unlink(missing_ok=True)
    return None


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def write_state(directory: Path, state: State) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    temporary = directory / f"{STATE_FILE}.{state.pid}"
    temporary.write_text(json.dumps(asdict(state), indent=2) + "\n", encoding="utf-8")
    temporary.replace(directory / STATE_FILE)


def start_in_background(directory: Path, arguments: list[str]) -> State:
    """Start a sandbox process and wait until it answers; raises ProcessError with its last words."""
    if read_state(directory) is not None:
        raise ProcessError("a sandbox runs already for this state directory: `deploy sandbox down` stops it")
    directory.mkdir(parents=True, exist_ok=True)
    log = directory / LOG_FILE
    command = [sys.executable, "-m", "deploy.sandbox.process", "--state", str(directory), *arguments]
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, start_new_session=True
        )
    deadline = time.monotonic() + READY_TIMEOUT_S
    while time.monotonic() < deadline:
        state = read_state(directory)
        if state is not None and state.pid == process.pid:
            return state
        if process.poll() is not None:
            words = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            raise ProcessError(f"the sandbox did not start: {words[-1] if words else 'no message'}")
        time.sleep(0.05)
    process.terminate()
    raise ProcessError(f"the sandbox did not start within {READY_TIMEOUT_S:.0f} s; its log is {log}")


def stop(directory: Path, patience_s: float = 10.0) -> bool:
    """End the sandbox of this directory; False where none runs."""
    state = read_state(directory)
    if state is None:
        return False
    with suppress(ProcessLookupError):
        os.kill(state.pid, signal.SIGTERM)
    deadline = time.monotonic() + patience_s
    while _alive(state.pid) and time.monotonic() < deadline:
        with suppress(ChildProcessError):
            os.waitpid(state.pid, os.WNOHANG)
        time.sleep(0.02)
    if _alive(state.pid):
        with suppress(ProcessLookupError):
            os.kill(state.pid, signal.SIGKILL)
    (directory / STATE_FILE).unlink(missing_ok=True)
    return True


def serve(
    directory: Path,
    *,
    port: int = 0,
    speed: float = 0.0,
    start: datetime = DEFAULT_START,
    seed: int = 0,
    sample: bool = False,
    idle_timeout_s: float = IDLE_TIMEOUT_S,
) -> None:
    """Run a sandbox in this process until it is stopped or idle; prints its endpoint as JSON."""
    from deploy.sandbox.sandbox import Sandbox

    interrupted = False

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        nonlocal interrupted
        interrupted = True

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, interrupt)
    with Sandbox(port=port, start=start, speed=speed, seed=seed) as sandbox:
        if sample:
            sandbox.load_sample(seed)
        state = State(os.getpid(), sandbox.endpoint_url, sandbox.region, sandbox.now.isoformat())
        write_state(directory, state)
        print(json.dumps(asdict(state)), flush=True)
        while not (interrupted or sandbox.stop_requested or sandbox.idle_s > idle_timeout_s):
            time.sleep(0.1)
    known = read_state(directory)
    if known is not None and known.pid == os.getpid():
        (directory / STATE_FILE).unlink(missing_ok=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Run the sandbox until it is stopped.")
    parser.add_argument("--state", type=Path, default=default_directory())
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--speed", type=float, default=0.0)
    parser.add_argument("--start", type=datetime.fromisoformat, default=DEFAULT_START)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sample", action="store_true")
    parser.add_argument("--idle-timeout", type=float, default=IDLE_TIMEOUT_S)
    given = parser.parse_args()
    try:
        serve(
            given.state,
            port=given.port,
            speed=given.speed,
            start=given.start,
            seed=given.seed,
            sample=given.sample,
            idle_timeout_s=given.idle_timeout,
        )
    except (OSError, SystemExit) as error:
        print(f"port {given.port} cannot be used: {error}", file=sys.stderr)
        raise SystemExit(2) from error


if __name__ == "__main__":
    main()
