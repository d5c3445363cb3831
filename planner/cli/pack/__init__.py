"""`planner pack`: the cheapest fleet for a list of tasks, with a proof."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from planner import terminal

if TYPE_CHECKING:
    from planner.packing import Packing, PackingProblem


def register(app: typer.Typer) -> None:
    app.command(help="Pack tasks onto the cheapest instances, with a proof of how near to the optimum.")(pack)


def pack(
    tasks: Annotated[Path, typer.Argument(help="CSV: service,count,cpu_units,memory_mib[,enis,gpus,...]")],
    catalogue: Annotated[
        Path, typer.Option(help="CSV: instance_type,cpu_units,memory_mib,usd_per_hour[,task_enis,...]")
    ],
    zones: Annotated[int, typer.Option(min=1, max=26, help="spread every service evenly over zones")] = 1,
    survive_zone_loss: Annotated[
        bool, typer.Option("--survive-zone-loss", help="keep places for the tasks of any one lost zone")
    ] = False,
    max_types: Annotated[int | None, typer.Option(min=1, help="at most this many instance types")] = None,
    spare_instances: Annotated[
        int, typer.Option(min=0, help="empty instances, each able to take over any one of the fleet")
    ] = 0,
    trunking: Annotated[
        bool, typer.Option("--trunking", help="awsvpcTrunking is on: use the column task_enis_trunked")
    ] = False,
    reserved_memory: Annotated[
        int, typer.Option(min=0, help="ECS_RESERVED_MEMORY in MiB, taken off every instance type")
    ] = 0,
    spot_share: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="at most this share of each service's tasks on Spot")
    ] = 0.0,
    spot_pools: Annotated[
        int, typer.Option(min=1, help="Spot uses at least this many pools (a type in a zone)")
    ] = 1,
    spot_pool_share: Annotated[
        float, typer.Option(max=1.0, help="no Spot pool has more of the Spot CPU units than this share")
    ] = 1.0,
    running: Annotated[
        Path | None, typer.Option(help="CSV of instances that run already: instance_type,zone,count[,purchase]")
    ] = None,
    price_of_moving: Annotated[
        float, typer.Option(min=0.0, help="USD once for each instance that has to be started")
    ] = 0.0,
    moving_hours: Annotated[
        float, typer.Option(min=1.0, help="hours within which a move has to pay for itself")
    ] = 730.0,
    time_limit: Annotated[float, typer.Option(min=0.0, help="seconds of search")] = 60.0,
    seed: Annotated[int, typer.Option(help="fixes every random choice")] = 0,
    with_explanation: Annotated[
        bool, typer.Option("--explain", help="what tasks and rules cost, and types never worth it")
    ] = False,
    with_ecs: Annotated[
        bool, typer.Option("--ecs", help="what the ECS scheduler needs on top, by placement strategy")
    ] = False,
    maximum_percent: Annotated[int, typer.Option(min=100, help="of rolling deployments, told with --ecs")] = 200,
    with_alternatives: Annotated[
        bool, typer.Option("--alternatives", help="fleets near the optimum: fewer types, ARM or x86 only ...")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON document on standard output")] = False,
) -> None:
    from planner.cli.pack import shown
    from planner.cli.pack.reading import Rules, read_problem
    from planner.packing import ProblemError, load_kernels
    from planner.packing import pack as solve
    from planner.units import Seconds

    rules = Rules(
        zones, survive_zone_loss, max_types, spare_instances, trunking, reserved_memory, spot_share, spot_pools,
        spot_pool_share, price_of_moving, moving_hours,
    )  # fmt: skip
    problem = read_problem(tasks, catalogue, running, rules)
    if with_ecs and problem.spot is not None:
        raise terminal.BadInput("--ecs together with --spot-share is not supported yet: ask for one of them.")
    title = f"Packing {sum(task.count for task in problem.tasks):,} tasks onto {len(problem.catalogue):,} types"

    def solve_within(stated: PackingProblem, seconds: float) -> Packing:
        with terminal.progress(title, total=seconds or None) as advance:
            return solve(stated, time_limit=Seconds(seconds), seed=seed, on_progress=advance, clock=time.monotonic)

    try:
        load_kernels()
        result = solve_within(problem, time_limit)
        more = shown.reports(
            problem, result, lambda stated: solve_within(stated, time_limit / 4),
            explanation=with_explanation, ecs=with_ecs, alternatives=with_alternatives,
            maximum_percent=maximum_percent,
        )  # fmt: skip
    except ProblemError as error:
        raise terminal.BadInput(f"{error}.") from None
    if as_json:
        terminal.print_json({**shown.packing_document(result), **more})
    else:
        shown.show(problem, result)
        shown.show_reports(more)
    if any(u.count for u in result.unplaced):
        raise typer.Exit(terminal.EXIT_REFUSED)
