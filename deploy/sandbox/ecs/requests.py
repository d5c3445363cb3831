"""A helper for requests."""

from __future__ import annotations

from deploy.sandbox.ecs.state import Document


def without(given: Document, *names: str) -> Document:
    """A request without some of its fields and without those that are not set."""
    return {name: value for name, value in given.items() if name not in names and value is not None}
