"""Independent work side by side on one machine; what outgrows one machine goes to Dask."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, TypeVar

Result = TypeVar("Result")

FEWEST: Final = 6
"""Items from which starting other processes, about two seconds of imports each, pays for itself."""


def in_order(
    work: Callable[..., Result], items: Sequence[tuple[Any, ...]], workers: int, fewest: int = FEWEST
) -> Iterator[Result]:
    """`work(*item)` for each item, in the order of `items`, as soon as each is there.

    With one worker, or under `fewest` items, everything runs here. `work` and its arguments must pickle; an
    exception of `work` is raised where its result would be.
    """
    if workers <= 1 or len(items) < fewest:
        yield from (work(*item) for item in items)
        return
    from joblib import Parallel, delayed

    yield from Parallel(n_jobs=min(workers, len(items)), return_as="generator")(
        delayed(work)(*item) for item in items
    )
