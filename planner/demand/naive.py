"""The daily seasonal naive with the quantiles of its own past errors: the rival that forecasts must beat."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

DAY = pd.Timedelta(days=1)
WINDOW_DAYS = 14


def seasonal_naive(
    observed: pd.Series, times: pd.DatetimeIndex, as_of: pd.Timestamp, quantiles: Sequence[float]
) -> np.ndarray:
    """(times, quantiles): the value at the same time of the last day before `as_of`, plus a quantile of the
    day-over-day changes of the last two weeks.

    observed: regular steps (UTC index); NaN for gaps. Rows without a value a day back are NaN.
    """
    past = observed[observed.index < as_of]
    recent = past[past.index >= as_of - WINDOW_DAYS * DAY]
    changes = (recent - recent.shift(freq=DAY).reindex(recent.index)).dropna().to_numpy()
    days_back = np.ceil(np.asarray((times - as_of + pd.Timedelta(1, unit="ns")) / DAY)).astype(int)
    days_back = np.maximum(days_back, 1)
    lagged = past.reindex(pd.DatetimeIndex(times - pd.to_timedelta(days_back, unit="D"))).to_numpy()
    if not len(changes):
        return np.full((len(times), len(quantiles)), np.nan)
    return np.asarray(lagged[:, None] + np.quantile(changes, quantiles)[None, :])
