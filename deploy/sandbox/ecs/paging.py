"""Lists in pages, as ECS gives them: at most `maxResults` (default and limit 100) and a token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deploy.sandbox.ecs.errors import invalid


def page(given: dict[str, Any], name: str, items: Sequence[Any], most: int = 100) -> dict[str, Any]:
    """{`name`: items of this page, "nextToken": ...} for a request's maxResults and nextToken."""
    size = int(given.get("maxResults") or most)
    if not 1 <= size <= most:
        raise invalid(f"maxResults must be between 1 and {most}.")
    token = given.get("nextToken")
    if token and not str(token).removeprefix("from-").isdigit():
        raise invalid("Invalid token.")
    start = int(str(token).removeprefix("from-")) if token else 0
    answer: dict[str, Any] = {name: list(items[start : start + size])}
    if start + size < len(items):
        answer["nextToken"] = f"from-{start + size}"
    return answer
