"""What a plan costs: lines of money by item, service and capacity provider, and their exports."""

from planner.cost.balancing import LcuLoad, alb_lines, lcus
from planner.cost.bill import Bill, Reconciliation
from planner.cost.compute import (
    Placement,
    fargate_lines,
    fee_lines,
    fleet_lines,
    per_instance_lines,
    split_by_service,
)
from planner.cost.export import focus_rows, write_csv, write_focus, write_hours
from planner.cost.lines import (
    IDLE,
    CostLine,
    Kind,
    MissingPrice,
    by_kind,
    by_provider,
    by_service,
    item_line,
    monthly_cents,
    shown_cents,
    total,
)
from planner.cost.metered import cross_zone_line, metered_line, pull_line
from planner.cost.money import Currency, convert, format_money
from planner.cost.period import HourCost, Period, Reconciled, period_of, reckoned_bill, reconcile

__all__ = [
    "IDLE",
    "Bill",
    "CostLine",
    "Currency",
    "HourCost",
    "Kind",
    "LcuLoad",
    "MissingPrice",
    "Period",
    "Placement",
    "Reconciled",
    "Reconciliation",
    "alb_lines",
    "by_kind",
    "by_provider",
    "by_service",
    "convert",
    "cross_zone_line",
    "fargate_lines",
    "fee_lines",
    "fleet_lines",
    "focus_rows",
    "format_money",
    "item_line",
    "lcus",
    "metered_line",
    "monthly_cents",
    "per_instance_lines",
    "period_of",
    "pull_line",
    "reckoned_bill",
    "reconcile",
    "shown_cents",
    "split_by_service",
    "total",
    "write_csv",
    "write_focus",
    "write_hours",
]
