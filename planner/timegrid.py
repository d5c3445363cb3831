"""The minutes that a plan looks back on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import pandas as pd


@dataclass(frozen=True, slots=True)
class TimeGrid:
    """Whole minutes from `start` (UTC), `minutes` of them."""

    start: datetime
    minutes: int

    @property
    def end(self) -> datetime:
        """The first moment after the last minute."""
        return self.start + timedelta(minutes=self.minutes)

    @property
    def index(self) -> pd.DatetimeIndex:
        return pd.date_range(self.start, periods=self.minutes, freq="min", tz="UTC", name="timestamp")
