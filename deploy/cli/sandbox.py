"""`deploy sandbox`: start an imitation of AWS on this machine, fill it, step its time, stop it."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deploy.options import duration
from planner import terminal

if TYPE_CHECKING:
    from deploy.sandbox.metric_files import Mapping
    from deploy.sandbox.process import State

StateOption = Annotated[
    Path | None, typer.Option("--state", help="Directory of the sandbox's state file; default: a cache directory.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Answer with one JSON document.")]

app = typer.Typer(help="Rehearse without an AWS account: an imitation of AWS on 127.0.0.1.", no_args_is_help=True)


def register(root: typer.Typer) -> None:
    root.add_typer(app, name="sandbox")


@app.command()
def up(
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1; 0 takes a free one.")] = 0,
    speed: Annotated[float, typer.Option(help="How many times as fast as real time its clock runs.")] = 0.0,
    background: Annotated[bool, typer.Option("--background", help="Return once it answers.")] = False,
    sample: Annotated[bool, typer.Option("--sample", help="Load the sample estate at once.")] = False,
    start: Annotated[
        str, typer.Option(help="First instant of its clock, e.g. 2026-05-13T00:00:00Z.")
    ] = "2026-05-13T00:00:00Z",
    seed: Annotated[int, typer.Option(help="Seed of its identifiers, metrics and choices.")] = 0,
    idle_timeout: Annotated[float, typer.Option(help="Seconds without a call after which it ends.")] = 14_400.0,
    state: StateOption = None,
    as_json: JsonOption = False,
) -> None:
    """Start the sandbox. Without --background it runs until Ctrl-C."""
    from deploy.sandbox import process

    directory = state or process.default_directory()
    if not 0 <= port <= 65_535:
        raise terminal.BadInput("A port is a number from 0 to 65535; 0 takes a free one.")
    if speed < 0 or idle_timeout <= 0:
        raise terminal.BadInput("--speed cannot be negative and --idle-timeout has to be more than 0 seconds.")
    moment = _moment(start)
    if process.read_state(directory) is not None:
        raise terminal.Refusal(
            "A sandbox runs already: stop it with `deploy sandbox down`, or use another --state."
        )
    if not background:
        process.serve(
            directory,
            port=port,
            speed=speed,
            start=moment,
            seed=seed,
            sample=sample,
            idle_timeout_s=idle_timeout,
        )
        return
    arguments = ["--port", str(port), "--speed", str(speed), "--start", moment.isoformat(), "--seed", str(seed)]
    arguments += ["--idle-timeout", str(idle_timeout), *(["--sample"] if sample else [])]
    try:
        with terminal.progress("Starting the sandbox"):
            running = process.start_in_background(directory, arguments)
    except process.ProcessError as error:
        raise terminal.BadInput(_sentence(error)) from error
    _show({**asdict(running), "state": str(directory)}, as_json)


@app.command()
def load(
    sample: Annotated[bool, typer.Option("--sample", help="Load the sample estate.")] = False,
    metrics: Annotated[Path | None, typer.Option(help="A CSV file of timestamp,value.")] = None,
    service: Annotated[str | None, typer.Option(help="The service the file is about.")] = None,
    metric: Annotated[str, typer.Option(help="The metric the file holds.")] = "CPUUtilization",
    unit: Annotated[str | None, typer.Option(help="Its CloudWatch unit; default: the metric's own.")] = None,
    scale: Annotated[float, typer.Option(help="Multiply the values by this.")] = 1.0,
    tasks: Annotated[int | None, typer.Option(help="Samples a point stands for; default: running tasks.")] = None,
    align_end: Annotated[
        bool, typer.Option("--align-end", help="Move the rows so that the last one ends now.")
    ] = False,
    mapping: Annotated[Path | None, typer.Option(help="A JSON or YAML list of files and their services.")] = None,
    cluster: Annotated[str | None, typer.Option(help="The service's cluster, where several have it.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the sample's metrics.")] = 0,
    state: StateOption = None,
    as_json: JsonOption = False,
) -> None:
    """Load the sample estate, or metric files onto services that are there."""
    from deploy.sandbox.metric_files import Mapping, MetricFileError, read_mapping

    if not sample and metrics is None and mapping is None:
        raise terminal.BadInput(
            "Nothing to load: give --sample, or --metrics FILE --service NAME, or --mapping FILE."
        )
    if (metrics is None) != (service is None):
        raise terminal.BadInput("--metrics FILE and --service NAME belong together: give both.")
    try:
        wanted = read_mapping(mapping) if mapping is not None else []
        if metrics is not None and service is not None:
            wanted.append(Mapping(metrics, service, metric, unit, scale, tasks, align_end, cluster))
        bodies = [_body(one) for one in wanted]
    except MetricFileError as error:
        raise terminal.BadInput(_sentence(error)) from error
    running = _running(state)
    answer: dict[str, Any] = {"loaded": []}
    if sample:
        with terminal.progress("Loading the sample estate"):
            answer |= _control(running, "POST", "/sandbox/sample", {"seed": seed})
    for one, body in zip(wanted, bodies, strict=True):
        answer["loaded"].append({"file": str(one.file), **_control(running, "POST", "/sandbox/metrics", body)})
    _show(answer, as_json)


@app.command()
def down(state: StateOption = None, as_json: JsonOption = False) -> None:
    """Stop the sandbox."""
    from deploy.sandbox import process

    if not process.stop(state or process.default_directory()):
        raise terminal.Refusal("No sandbox runs for this state directory: there is nothing to stop.")
    _show({"stopped": True}, as_json)


@app.command()
def status(state: StateOption = None, as_json: JsonOption = False) -> None:
    """Show the sandbox's endpoint, its time and what it holds."""
    running = _running(state)
    answer = _control(running, "GET", "/sandbox/status")
    _show({**answer, "pid": running.pid}, as_json)


@app.command()
def step(
    lasting: Annotated[str, typer.Argument(metavar="DURATION", help="How long, e.g. 90, 90s, 15m, 2h, 1d.")],
    state: StateOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let time pass in the sandbox."""
    seconds = duration(f"{lasting}s" if lasting.isdigit() else lasting, "DURATION").total_seconds()
    running = _running(state)
    with terminal.progress("Letting time pass"):
        answer = _control(running, "POST", "/sandbox/clock", {"advance_seconds": seconds})
    _show(answer, as_json)


def _running(state: Path | None) -> State:
    from deploy.sandbox import process

    found = process.read_state(state or process.default_directory())
    if found is None:
        raise terminal.BadInput("No sandbox runs: start one with `deploy sandbox up --background`.")
    return found


def _control(running: State, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    from deploy.sandbox.remote import RemoteError, control

    try:
        return control(running.endpoint_url, method, path, body)
    except RemoteError as error:
        raise terminal.BadInput(_sentence(error)) from error


def _body(one: Mapping) -> dict[str, Any]:
    from deploy.sandbox.metric_files import read

    rows = read(one.file)
    fields = {name: value for name, value in asdict(one).items() if name != "file"}
    return {**fields, "timestamps_s": rows.timestamps_s, "values": rows.values}


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise terminal.BadInput(f"--start {text!r} is not a time: write it as 2026-05-13T00:00:00Z.") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _sentence(error: Exception) -> str:
    text = str(error)
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


def _show(answer: dict[str, Any], as_json: bool) -> None:
    if as_json:
        terminal.print_json(answer)
        return
    from rich.table import Table

    table = Table(show_header=False, box=None)
    for name, value in answer.items():
        if name == "loaded":
            for one in value:
                told = f"{one['points']} points as {one['namespace']} {one['metric']}"
                if one["expired"]:
                    told += f"; {one['expired']} are older than CloudWatch keeps: use --align-end"
                table.add_row(_plain(one["file"]), _plain(told))
        else:
            table.add_row(_plain(name.replace("_", " ")), _plain(value))
    terminal.console().print(table)


def _plain(value: object) -> Any:
    from rich.text import Text

    return Text(str(value))
