"""The price book: every price with its source and date, and the catalogue of instance types it prices."""

from planner.model import Price
from planner.prices.book import AzureSize, FargatePrice, PriceBook, SpotHistory, SpotPrice
from planner.prices.catalogue import catalogue
from planner.prices.fargate import billed_hours, is_legal, smallest_size
from planner.prices.instances import InstanceFacts
from planner.prices.reading import load
from planner.prices.tables import BrokenPriceFile

__all__ = [
    "AzureSize",
    "BrokenPriceFile",
    "FargatePrice",
    "InstanceFacts",
    "Price",
    "PriceBook",
    "SpotHistory",
    "SpotPrice",
    "billed_hours",
    "catalogue",
    "is_legal",
    "load",
    "smallest_size",
]
