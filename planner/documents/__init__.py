"""The boundary: plan.json and the configuration bundle as checked documents in canonical JSON."""

from __future__ import annotations

from planner.documents.canonical import DocumentError, canonical_bytes, digest
from planner.documents.config import ConfigDocument, Resource, dump_config, load_config
from planner.documents.plan import PlanDocument, dump_plan, load_plan

__all__ = [
    "ConfigDocument",
    "DocumentError",
    "PlanDocument",
    "Resource",
    "canonical_bytes",
    "digest",
    "dump_config",
    "dump_plan",
    "load_config",
    "load_plan",
]
