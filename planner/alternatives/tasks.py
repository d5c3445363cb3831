"""Tasks on Fargate, priced by the size that Fargate rounds them up to."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from planner.alternatives.demanded import DemandedService
from planner.alternatives.question import Question, Refused
from planner.cost import CostLine, fargate_lines
from planner.model import Architecture, Price, Rejection, Resources
from planner.prices import FargatePrice, smallest_size
from planner.units import MiB

NOTHING: Final = MiB(0)


def sized(service: DemandedService, extra_mib: MiB = NOTHING) -> Resources | Rejection:
    """The Fargate size of a service, with what the platform adds to its memory."""
    needs = replace(service.needs, memory_mib=MiB(service.needs.memory_mib + extra_mib))
    size = smallest_size(needs)
    return Rejection(service.service, size.reason) if isinstance(size, Rejection) else size


def fargate(
    question: Question,
    architecture: Architecture | None,
    *,
    extra_mib: MiB = NOTHING,
    provider: str = "FARGATE",
) -> list[CostLine]:
    """Every service on Fargate at its mean count. `architecture` None: each on its own, x86 where either
    will do. Raises Refused naming every service that has no Fargate size, and the price that is missing."""
    lines: list[CostLine] = []
    refused: list[Rejection] = []
    for service in question.demanded.replicas:
        size = sized(service, extra_mib)
        if isinstance(size, Rejection):
            refused.append(size)
            continue
        wanted = architecture or service.architecture or Architecture.X86_64
        rates = question.book.fargate(question.region, wanted)
        if isinstance(rates, Rejection):
            raise Refused(rates)
        lines += fargate_lines(
            service.service, service.mean_tasks, size.cpu_units, size.memory_mib, rates.vcpu_hour,
            rates.gib_hour, provider,
        )  # fmt: skip
    if refused:
        raise Refused(*refused)
    return lines


def spot_lines(question: Question) -> tuple[list[CostLine], list[str]]:
    """Every service with its base on Fargate and the rest on Fargate Spot."""
    base = question.assumed.fargate_spot_on_demand_share
    lines: list[CostLine] = []
    refused: list[Rejection] = []
    notes = [f"{base:.0%} of tasks stay on Fargate as the base of the capacity provider strategy"]
    for service in question.demanded.replicas:
        size = sized(service)
        if isinstance(size, Rejection):
            refused.append(size)
            continue
        architecture = service.architecture or Architecture.X86_64
        rates = question.book.fargate(question.region, architecture)
        if isinstance(rates, Rejection):
            raise Refused(rates)
        spot = _spot_rates(question, architecture, rates)
        for share, at, provider in ((base, rates, "FARGATE"), (1 - base, spot, "FARGATE_SPOT")):
            lines += fargate_lines(
                service.service, service.mean_tasks * share, size.cpu_units, size.memory_mib, at.vcpu_hour,
                at.gib_hour, provider,
            )  # fmt: skip
    if refused:
        raise Refused(*refused)
    return lines, notes


def _spot_rates(question: Question, architecture: Architecture, on_demand: FargatePrice) -> FargatePrice:
    found = question.book.fargate(question.region, architecture, spot=True)
    if not isinstance(found, Rejection):
        return found
    discount = question.assumed.fargate_spot_discount
    if discount is None:
        raise Refused(Rejection(found.what, f"{found.reason}, or pass --fargate-spot-discount"))
    return FargatePrice(
        _discounted(on_demand.vcpu_hour, discount),
        _discounted(on_demand.gib_hour, discount),
        on_demand.ephemeral_gib_hour,
    )


def _discounted(price: Price, discount: float) -> Price:
    note = f"Fargate price less an assumed {discount:.0%}"
    return replace(price, usd=price.usd * (1 - discount), note=note, source=f"assumption on {price.source}")
