"""The price book: every price with its source and date, and the catalogue of instance types it prices."""

from planner.model import Price
from planner.prices.book import FargatePrice, PriceBook, SpotPrice, load
from planner.prices.catalogue import catalogue
from planner.prices.fargate import is_legal, smallest_size
from planner.prices.instances import InstanceFacts
from planner.prices.tables import BrokenPriceFile

__all__ = [
    "BrokenPriceFile",
    "FargatePrice",
    "InstanceFacts",
    "Price",
    "PriceBook",
    "SpotPrice",
    "catalogue",
    "is_legal",
    "load",
    "smallest_size",
]
