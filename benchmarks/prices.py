"""Loading the price book and pricing candidate plans, against pandas doing the same in the same run.

python benchmarks/prices.py [--plans 10000] [--seed 0] [--write docs/benchmarks/prices.md]
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from planner.alternatives import Assumptions, Demanded, DemandedService, PlannedFleet, Question, compare
from planner.comparison import TIME_LIMIT, packer
from planner.cost import CostLine, alb_lines, fargate_lines, fleet_lines, total
from planner.model import Architecture, Price, Rejection, Resources
from planner.prices import FargatePrice, PriceBook, catalogue, load
from planner.prices.reading import EMBEDDED
from planner.units import HOURS_PER_DAY, HOURS_PER_WEEK, CpuUnits, MiB

REGION = "eu-west-2"
REPEATS = 7
ZONES = 3
FLEET_LINES = 6
FARGATE_SERVICES = 4
Fleet = list[tuple[str, float]]


SERVICES = 10
COMPARE_REPEATS = 3


def best_seconds(run: Callable[[], object], repeats: int = REPEATS) -> float:
    """Least CPU time of the repeats: other work on the machine only ever adds."""
    found = []
    for _ in range(repeats):
        start = time.process_time()
        run()
        found.append(time.process_time() - start)
    return min(found)


def load_and_look_up() -> object:
    return load().instance(REGION, "m5.large")


def pandas_load_and_look_up() -> object:
    table = pd.read_csv(EMBEDDED / "ec2_on_demand.csv.gz").set_index(["region", "instance_type"])
    return table.loc[(REGION, "m5.large"), "usd_per_hour"]


def new_process_seconds(code: str) -> float:
    """CPU time of a fresh interpreter, the least of the repeats."""
    found = []
    for _ in range(REPEATS):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-c", code], check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        found.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(found)


def candidate_fleets(names: list[str], plans: int, seed: int) -> list[Fleet]:
    rng = np.random.default_rng(seed)
    chosen = rng.integers(0, len(names), (plans, FLEET_LINES))
    counts = rng.integers(1, 40, (plans, FLEET_LINES))
    return [
        [(names[t], float(n)) for t, n in zip(row, number, strict=True)]
        for row, number in zip(chosen, counts, strict=True)
    ]


def price_all(fleets: list[Fleet], prices: dict[str, Price | Rejection], fixed: list[CostLine]) -> list[float]:
    """Every candidate as lines with basis, source and date, added up exactly."""
    return [total([*fleet_lines(fleet, prices), *fixed]) for fleet in fleets]


def pandas_price_all(fleets: list[Fleet], prices: pd.DataFrame, fixed: float) -> list[float]:
    rows = [(plan, name, count) for plan, fleet in enumerate(fleets) for name, count in fleet]
    table = pd.DataFrame(rows, columns=["plan", "instance_type", "count"]).merge(prices, on="instance_type")
    sums = (table["count"] * table["usd_per_hour"]).groupby(table["plan"]).sum()
    return list(sums + fixed)


def fixed_lines(book: PriceBook) -> list[CostLine]:
    rates = book.fargate(REGION)
    hour, lcu = book.item(REGION, "alb_hour"), book.item(REGION, "alb_lcu_hour")
    assert isinstance(rates, FargatePrice)
    assert isinstance(hour, Price)
    assert isinstance(lcu, Price)
    lines = alb_lines("public", hour, lcu, 3.2)
    for number in range(FARGATE_SERVICES):
        lines += fargate_lines(f"service-{number}", 4.0, CpuUnits(512), MiB(1024), rates.vcpu_hour, rates.gib_hour)
    return lines


def question(book: PriceBook, seed: int, kubernetes_packing: str) -> Question:
    """Ten services with a week of hours on a plan's fleet, as every report compares them."""
    rng = np.random.default_rng(seed)
    day = 1 + np.sin(np.linspace(0, 2 * np.pi, HOURS_PER_DAY, endpoint=False) - np.pi / 2)
    hours = np.tile(day, HOURS_PER_WEEK // HOURS_PER_DAY)
    services = []
    for number in range(SERVICES):
        ran = tuple(float(x) for x in 1 + hours * rng.uniform(0.5, 6))
        needs = Resources(
            CpuUnits(int(rng.choice([128, 256, 512, 1024]))), MiB(int(rng.choice([512, 1024, 3072]))), 1
        )
        services.append(DemandedService(f"s{number}", needs, tuple(round(x) for x in ran), running=ran))
    machine = fleet_lines([("m7i.xlarge", 6.0)], {"m7i.xlarge": book.instance(REGION, "m7i.xlarge")})
    planned = PlannedFleet(tuple(machine), 6.0, 0.7)
    assumed = Assumptions(kubernetes_packing=kubernetes_packing)
    return Question(
        Demanded(tuple(services)), book, REGION, packer(ZONES, TIME_LIMIT), assumed, zones=ZONES, planned=planned,
        architectures=[Architecture.X86_64],
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plans", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", type=Path)
    arguments = parser.parse_args()

    book = load()
    types, _rejected = catalogue(book, REGION)
    names = [t.instance_type for t in types]
    prices = {name: book.instance(REGION, name) for name in names}
    frame = pd.DataFrame({"instance_type": names, "usd_per_hour": [t.usd_per_hour for t in types]})
    fleets = candidate_fleets(names, arguments.plans, arguments.seed)
    fixed = fixed_lines(book)
    ours, theirs = price_all(fleets, prices, fixed), pandas_price_all(fleets, frame, total(fixed))
    assert np.allclose(ours, theirs), "the two do not agree"

    import_all = "import planner.prices"
    rows = [
        ("load the book and look one price up", best_seconds(load_and_look_up),
         "pandas.read_csv of the on-demand table alone", best_seconds(pandas_load_and_look_up)),
        ("the same in a new process, interpreter included",
         new_process_seconds(f"{import_all}; planner.prices.load().instance('{REGION}', 'm5.large')"),
         "a new process that imports pandas", new_process_seconds("import pandas")),
        (f"catalogue of {len(names)} types with room", best_seconds(lambda: catalogue(book, REGION)), "", 0.0),
        (f"price {arguments.plans:,} candidate plans: {FLEET_LINES} lines made each, {len(fixed)} common",
         best_seconds(lambda: price_all(fleets, prices, fixed)),
         "pandas merge and groupby, sums only", best_seconds(
             lambda: pandas_price_all(fleets, frame, total(fixed)))),
        (f"compare nine platforms on {SERVICES} services by the hour of the week",
         best_seconds(lambda: compare(question(book, arguments.seed, "karpenter")), COMPARE_REPEATS),
         "the same with Kubernetes nodes by the planner's packer, eight levels",
         best_seconds(lambda: compare(question(book, arguments.seed, "packer")), COMPARE_REPEATS)),
    ]  # fmt: skip
    text = table(rows, arguments.seed)
    print(text)
    if arguments.write:
        arguments.write.write_text(text, encoding="utf-8")


def table(rows: list[tuple[str, float, str, float]], seed: int) -> str:
    lines = [
        "# Prices: speed",
        "",
        f"`python benchmarks/prices.py`, seed {seed}; least of {REPEATS} runs, CPU time. A ratio above 1 means",
        "the planner is faster. The planner's lines carry basis, source and date; the pandas sums do not. The",
        "bars are 100 ms to load, 1,000 ms for 10,000 plans and 2,000 ms for a comparison in a report.",
        "",
        "| what | ms | rival | rival ms | ratio |",
        "|---|---:|---|---:|---:|",
    ]
    for what, ours, rival, theirs in rows:
        ratio = f"{theirs / ours:.2f}" if theirs else ""
        shown = f"{theirs * 1000:.0f}" if theirs else ""
        lines.append(f"| {what} | {ours * 1000:.0f} | {rival} | {shown} | {ratio} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
