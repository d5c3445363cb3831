"""What other processes do to a store in the tests; kept apart so that they start quickly."""

from __future__ import annotations

import resource as limits
from datetime import timedelta

import numpy as np

from planner.metrics import MetricStore
from tests.planner.metrics.points import NOON, points

DAY = timedelta(days=1)


def fill_up(folder: str) -> None:
    """Append with a limit on the size of files, as a full disk would have; the process reports by its code."""
    store = MetricStore(folder)
    limits.setrlimit(limits.RLIMIT_FSIZE, (4096, 4096))
    rng = np.random.default_rng(0)
    try:
        store.append("prod", points(rng.random(1400).tolist(), metric="Big"), observed_at=NOON)
    except OSError:
        raise SystemExit(7) from None


def append_days(folder: str, first: int) -> None:
    store = MetricStore(folder)
    for day in range(first, first + 4):
        store.append("prod", points([float(day)] * 10, start=NOON + day * DAY), observed_at=NOON + 20 * DAY)
        store.compact("prod", before=NOON + 400 * DAY)
