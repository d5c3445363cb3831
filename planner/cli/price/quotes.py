"""`planner price ...`: what an instance, a Fargate task, a load balancer or a cluster costs, with its source."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from planner import terminal
from planner.cli.price.shared import (
    ActiveConnections,
    AsJson,
    NewConnections,
    PricesFolder,
    Quoted,
    Region,
    check_region,
    open_book,
    quoting,
    refuse,
)

if TYPE_CHECKING:
    from planner.prices import PriceBook


def register(price: typer.Typer) -> None:
    """Add the verbs that quote one price or list many."""
    _register_compute(price)
    _register_services(price)
    _register_lists(price)


def _register_compute(price: typer.Typer) -> None:
    @price.command()
    @quoting
    def instance(
        book: PriceBook,
        instance_type: Annotated[str, typer.Argument(help="EC2 instance type, e.g. m7i.large")],
        region: Region,
        spot: Annotated[bool, typer.Option(help="The Spot price instead of on-demand")] = False,
    ) -> Quoted:
        """One EC2 instance, Linux, shared tenancy, by the hour."""
        from planner.model import Rejection
        from planner.prices.quotes import instance_quote

        check_region(book, region)
        if instance_type not in book.instance_types:
            raise terminal.BadInput(f"{instance_type} is no instance type of the price book: check its spelling.")
        record = instance_quote(book, region, instance_type, spot)
        if isinstance(record, Rejection):
            raise refuse(record)
        return record, f"{instance_type} in {region}, {record['purchase'].replace('_', '-')}"

    @price.command()
    @quoting
    def fargate(
        book: PriceBook,
        region: Region,
        vcpu: Annotated[float, typer.Option(min=0.25, help="vCPU of the task, e.g. 0.5")],
        memory_gib: Annotated[float, typer.Option(min=0.5, help="Memory of the task in GiB")],
        architecture: Annotated[str, typer.Option(help="x86_64 or arm64")] = "x86_64",
        spot: Annotated[bool, typer.Option(help="Fargate Spot")] = False,
        windows: Annotated[bool, typer.Option(help="Windows containers")] = False,
        storage_gib: Annotated[
            float, typer.Option(min=20, max=200, help="Ephemeral storage in GiB; 20 are included")
        ] = 20,
        tasks: Annotated[int, typer.Option(min=1, help="Running tasks")] = 1,
        run_minutes: Annotated[
            float | None, typer.Option(min=0, help="Minutes of one run, for tasks that come and go")
        ] = None,
        runs_per_month: Annotated[float, typer.Option(min=0, help="Runs of each task, with --run-minutes")] = 1,
    ) -> Quoted:
        """Fargate tasks of one size, by the hour."""
        from planner.model import Architecture, Rejection
        from planner.prices import billed_hours, is_legal
        from planner.prices.quotes import fargate_quote, legal_size_advice
        from planner.units import SECONDS_PER_MINUTE, Seconds, cpu_units, mib

        check_region(book, region)
        if architecture not in {a.value for a in Architecture}:
            raise terminal.BadInput(f"{architecture} is no architecture of Fargate: use x86_64 or arm64.")
        if not is_legal(cpu_units(vcpu), mib(memory_gib)):
            advice = legal_size_advice(cpu_units(vcpu), mib(memory_gib))
            raise terminal.BadInput(f"Fargate has no size of {vcpu:g} vCPU and {memory_gib:g} GiB: {advice}.")
        record = fargate_quote(
            book, region, cpu_units(vcpu), mib(memory_gib), architecture=Architecture(architecture), spot=spot,
            operating_system="windows" if windows else "linux", storage_gib=storage_gib, tasks=tasks,
        )  # fmt: skip
        if isinstance(record, Rejection):
            raise refuse(record)
        if run_minutes is not None:
            hours = billed_hours(Seconds(run_minutes * SECONDS_PER_MINUTE), runs_per_month)
            record |= {"billed_hours_per_month": hours, "usd_per_month": record["usd_per_hour"] * hours}
        title = f"{tasks} Fargate task(s) of {vcpu:g} vCPU and {memory_gib:g} GiB, {architecture}, in {region}"
        return record, title

    @price.command()
    def committed(
        instance_type: Annotated[str, typer.Argument(help="EC2 instance type, e.g. m7i.large")],
        region: Region,
        prices: PricesFolder = None,
        as_json: AsJson = False,
    ) -> None:
        """Every reservation and Savings Plans rate of a type, with what it saves."""
        from planner.prices.quotes import book_record, committed_quotes

        book = open_book(prices)
        check_region(book, region)
        if instance_type not in book.instance_types:
            raise terminal.BadInput(f"{instance_type} is no instance type of the price book: check its spelling.")
        found = committed_quotes(book, region, instance_type)
        if not found:
            raise terminal.Refusal(
                f"The price book has no reservation or Savings Plans rate of {instance_type} in {region}: run"
                f" `planner prices refresh --region {region}`."
            )
        if as_json:
            terminal.print_json({"region": region, "offers": found, "price_book": book_record(book)})
            return
        for offer in found:
            saving = offer["saving_per_on_demand"]
            told = "" if saving is None else f"{saving:>7.1%} off on-demand"
            print(
                f"{offer['usd_per_hour']:>10.5f} USD/h {told}  {offer['offer']}, {offer['years']} year(s),"
                f" {offer['payment']}, {offer['price_date']}"
            )


def _register_services(price: typer.Typer) -> None:
    @price.command()
    @quoting
    def alb(
        book: PriceBook,
        region: Region,
        count: Annotated[int, typer.Option(min=1, help="Load balancers with this load each")] = 1,
        new_connections_per_second: NewConnections = 0,
        active_connections_per_minute: ActiveConnections = 0,
        gb_per_hour: Annotated[float, typer.Option(min=0, help="Processed gigabytes an hour")] = 0,
        requests_per_second: Annotated[float, typer.Option(min=0, help="Requests, for rule evaluations")] = 0,
        rules: Annotated[float, typer.Option(min=0, help="Rules a request runs through; 10 are free")] = 0,
    ) -> Quoted:
        """Application Load Balancers: hours and capacity units (LCU)."""
        from planner.cost import LcuLoad, alb_lines, lcus

        load = LcuLoad(
            new_connections_per_second, active_connections_per_minute, gb_per_hour, requests_per_second, rules
        )
        hour, lcu_hour = _item(book, region, "alb_hour"), _item(book, region, "alb_lcu_hour")
        lines = [line for n in range(count) for line in alb_lines(f"ALB {n + 1}", hour, lcu_hour, load)]
        record = _lines_record(book, region, lines) | {"load_balancers": count, "lcus_each": lcus(load)}
        return record, f"{count} Application Load Balancer(s) in {region}"

    @price.command()
    @quoting
    def eks(
        book: PriceBook,
        region: Region,
        clusters: Annotated[int, typer.Option(min=1, help="EKS clusters")] = 1,
        extended_support: Annotated[bool, typer.Option(help="Kubernetes version out of standard support")] = False,
    ) -> Quoted:
        """EKS control planes, without nodes."""
        from planner.cost import Kind, item_line

        name = "eks_extended_support_hour" if extended_support else "eks_cluster_hour"
        line = item_line("EKS cluster", Kind.CONTROL_PLANE, clusters, _item(book, region, name))
        return _lines_record(book, region, [line]), f"{clusters} EKS cluster(s) in {region}"

    @price.command()
    def item(
        name: Annotated[str, typer.Argument(help="An item of `planner prices show`, e.g. nat_gateway_gb")],
        region: Region,
        prices: PricesFolder = None,
        as_json: AsJson = False,
    ) -> None:
        """Any other item, by its own unit."""
        from planner.prices.quotes import book_record, price_record

        book = open_book(prices)
        price = _item(book, region, name)
        record = {"item": name, "region": region, **price_record(price), "price_book": book_record(book)}
        if as_json:
            terminal.print_json(record)
        else:
            print(f"{name} in {region}: {price.usd:g} USD per {price.unit}, {price.date}, from {price.source}")


def _register_lists(price: typer.Typer) -> None:
    @price.command()
    def catalogue(
        region: Region,
        family: Annotated[list[str] | None, typer.Option(help="m7i or m for all of m; repeat for more")] = None,
        architecture: Annotated[list[str] | None, typer.Option(help="x86_64, arm64; repeat for both")] = None,
        min_vcpu: Annotated[int | None, typer.Option(help="Smallest vCPU count")] = None,
        max_vcpu: Annotated[int | None, typer.Option(help="Largest vCPU count")] = None,
        awsvpc_trunking: Annotated[bool, typer.Option(help="The account has awsvpcTrunking on")] = False,
        reserved_memory_mib: Annotated[int, typer.Option(help="ECS_RESERVED_MEMORY of the agent")] = 0,
        burstable: Annotated[bool, typer.Option(help="Include burstable types")] = False,
        bare_metal: Annotated[bool, typer.Option(help="Include bare metal")] = False,
        previous_generation: Annotated[bool, typer.Option(help="Include previous generations")] = False,
        gpu: Annotated[bool, typer.Option(help="Include GPU and accelerator types")] = False,
        spot: Annotated[bool, typer.Option(help="Spot prices")] = False,
        prices: PricesFolder = None,
        as_json: AsJson = False,
    ) -> None:
        """Instance types with price and room for tasks, as the CATALOGUE that `planner pack` reads."""
        from planner.model import Architecture
        from planner.prices import catalogue as priced
        from planner.prices.quotes import book_record
        from planner.units import MiB

        book = open_book(prices)
        check_region(book, region)
        try:
            wanted = [Architecture(name) for name in architecture] if architecture else None
        except ValueError as error:
            raise terminal.BadInput(f"{error}: use x86_64 or arm64.") from error
        types, rejected = priced(
            book, region, architectures=wanted, families=family, min_vcpu=min_vcpu, max_vcpu=max_vcpu,
            awsvpc_trunking=awsvpc_trunking, reserved_memory_mib=MiB(reserved_memory_mib),
            include_burstable=burstable, include_bare_metal=bare_metal,
            include_previous_generation=previous_generation, include_gpu=gpu, spot=spot,
        )  # fmt: skip
        if not types:
            raise terminal.Refusal(f"No instance type in {region} fits these filters: widen them.")
        rows = [_catalogue_row(t) for t in types]
        if as_json:
            terminal.print_json({
                "region": region, "instance_types": rows, "price_book": book_record(book),
                "rejected": [{"instance_type": r.what, "reason": r.reason} for r in rejected],
            })  # fmt: skip
            return
        _print_csv(rows)


def _catalogue_row(instance_type: Any) -> dict[str, Any]:
    room = instance_type.room
    return {
        "instance_type": instance_type.instance_type, "cpu_units": room.cpu_units, "memory_mib": room.memory_mib,
        "usd_per_hour": instance_type.usd_per_hour, "task_enis": room.enis, "gpus": room.gpus,
        "architecture": instance_type.architecture.value,
    }  # fmt: skip


def _print_csv(rows: list[dict[str, Any]]) -> None:
    import csv

    writer = csv.DictWriter(sys.stdout, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)


def _item(book: PriceBook, region: str, name: str) -> Any:
    from planner.model import Rejection

    price = book.item(region, name)
    if not isinstance(price, Rejection):
        return price
    if price.what in {name, region}:
        raise terminal.BadInput(f"{price.what}: {price.reason}.")
    raise refuse(price)


def _lines_record(book: PriceBook, region: str, lines: list[Any]) -> dict[str, Any]:
    from planner.cost import total
    from planner.cost.export import as_record
    from planner.prices.quotes import book_record
    from planner.units import usd_per_month

    return {
        "region": region,
        "usd_per_hour": total(lines),
        "usd_per_month": usd_per_month(total(lines)),
        "price_date": min(line.date for line in lines),
        "source": lines[0].source,
        "lines": [as_record(line) for line in lines],
        "price_book": book_record(book),
    }
