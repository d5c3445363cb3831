"""Forecasts against simple rivals on data they had not seen: `python benchmarks/forecast.py [--data DIR]`.

Day-ahead forecasts in 15-minute steps from rolling origins, pinball loss as a ratio to the daily seasonal
naive with its empirical residual quantiles (geometric mean over series), coverage pooled over all steps.
DIR may hold requests/requests_per_minute.csv.gz and cloudwatch/*.csv; what is absent is skipped. The made
series come from the generators below, which are not those the quantile trees were trained on.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from planner.demand import Forecast, forecast, forecast_many
from planner.demand.naive import seasonal_naive
from planner.demand.reading import read_series
from planner.demand.training import pinball

SEED = 20_261
QUANTILES = (0.5, 0.9, 0.99)
STEP = pd.Timedelta(minutes=15)
HOUR = pd.Timedelta(hours=1)
DAY = pd.Timedelta(days=1)
PER_DAY = 96
START = "2026-01-05"
PAGE = Path(__file__).parent.parent / "docs" / "benchmarks" / "forecast.md"

Rival = Callable[[pd.Series, pd.DatetimeIndex, pd.Timestamp], np.ndarray]


# Made series. Each kind mimics one sort of real load by a recipe of its own.


def made(values: np.ndarray) -> pd.Series:
    index = pd.date_range(START, periods=len(values), freq=STEP, tz="UTC")
    return pd.Series(np.maximum(values, 0.0), index=index)


def wandering(rng: np.random.Generator, length: int, step: float, pull: float) -> np.ndarray:
    """Log level that walks at random and is pulled back to zero."""
    out = np.zeros(length)
    shocks = rng.normal(0, step, length)
    for i in range(1, length):
        out[i] = out[i - 1] * (1 - pull) + shocks[i]
    return out


def tournament(rng: np.random.Generator, days: int = 56) -> pd.Series:
    """A web site whose traffic grows for weeks, with match evenings of two hours."""
    t = np.arange(days * PER_DAY)
    rise = 1 + 2.5 / (1 + np.exp(-(t / PER_DAY - days * 0.6) / 4))
    day = np.exp(0.9 * np.sin((t % PER_DAY) / PER_DAY * 2 * np.pi - 1.9))
    level = rise * day * np.exp(wandering(rng, len(t), 0.04, 0.02))
    for d in range(days // 2, days):
        if rng.random() < 0.7:
            at = d * PER_DAY + int(rng.choice([58, 66, 78]))
            level[at : at + 8] *= 1 + rng.gamma(2.0, 0.3)
    return made(rng.poisson(level * 400) / 15)


def city(rng: np.random.Generator, days: int = 70) -> pd.Series:
    """Rides in a city: two weekday peaks, late weekend nights, a holiday, a storm."""
    t = np.arange(days * PER_DAY)
    hour, weekday = (t % PER_DAY) / 4, (t // PER_DAY) % 7
    peaks = np.exp(-((hour - 8.5) ** 2) / 5) + 1.3 * np.exp(-((hour - 18.5) ** 2) / 9) + 0.25
    late = 0.9 * np.exp(-((hour - 14) ** 2) / 40) + 0.8 * np.exp(-(np.minimum(hour, 24 - hour) ** 2) / 6) + 0.15
    level = np.where(weekday >= 5, late, peaks) * np.exp(wandering(rng, len(t), 0.02, 0.02))
    holiday, storm = rng.integers(20, days, 2)
    level[holiday * PER_DAY : (holiday + 1) * PER_DAY] *= 0.6
    level[storm * PER_DAY + 30 : storm * PER_DAY + 90] *= 0.4
    return made(level * 5000 * (1 + rng.normal(0, 0.03, len(t))))


def chatter(rng: np.random.Generator, days: int = 42) -> pd.Series:
    """Mentions of a name: small counts, a weak day, self-exciting bursts."""
    t = np.arange(days * PER_DAY)
    base = 6 * (1 + 0.5 * np.sin((t % PER_DAY) / PER_DAY * 2 * np.pi - 2))
    heat = np.zeros(len(t))
    for i in range(1, len(t)):
        heat[i] = heat[i - 1] * 0.9 + (rng.pareto(1.8) * 8 if rng.random() < 0.004 else 0.0)
    return made(rng.negative_binomial(4, 4 / (4 + base + heat)).astype(float))


def office(rng: np.random.Generator, days: int = 49) -> pd.Series:
    """An internal service used in working hours, with a deployment that changes its level."""
    t = np.arange(days * PER_DAY)
    hour, weekday = (t % PER_DAY) / 4, (t // PER_DAY) % 7
    working = (hour >= 8) & (hour < 18) & (weekday < 5)
    level = np.where(working, 1.0 - 0.25 * np.exp(-((hour - 12.5) ** 2)), 0.08)
    level[int(rng.integers(20, days)) * PER_DAY :] *= rng.choice([0.7, 1.4])
    return made(level * 60 * np.exp(wandering(rng, len(t), 0.03, 0.1) + rng.normal(0, 0.05, len(t))))


def instance(rng: np.random.Generator, days: int = 14) -> pd.Series:
    """CPU of one machine: flat, jumping, or busy at fixed times; capped at 100."""
    t = np.arange(days * PER_DAY)
    level = np.full(len(t), rng.uniform(2, 50))
    for _ in range(rng.poisson(1.2)):
        level[int(rng.integers(len(t))) :] = rng.uniform(2, 80)
    if rng.random() < 0.4:
        every = int(rng.choice([8, 24, 96]))
        level = level + rng.uniform(5, 40) * ((t + int(rng.integers(every))) % every < 2)
    noise = rng.standard_t(3, len(t)) * level * rng.choice([0.01, 0.05, 0.15])
    return made(np.minimum(level + noise, 100.0))


# Rivals


def naive_week(series: pd.Series, times: pd.DatetimeIndex, as_of: pd.Timestamp) -> np.ndarray:
    past = series[series.index < as_of]
    changes = (past - past.shift(freq=7 * DAY).reindex(past.index)).dropna()[-28 * PER_DAY :]
    lagged = past.reindex(times - 7 * DAY).to_numpy()[:, None]
    if not len(changes):
        return seasonal_naive(series, times, as_of, QUANTILES)
    return np.asarray(lagged + np.quantile(changes, QUANTILES))


def rolling_week(series: pd.Series, times: pd.DatetimeIndex, as_of: pd.Timestamp) -> np.ndarray:
    past = series[(series.index < as_of) & (series.index >= as_of - 7 * DAY)].dropna()
    return np.tile(np.quantile(past, QUANTILES), (len(times), 1))


def slot_quantiles(series: pd.Series, times: pd.DatetimeIndex, as_of: pd.Timestamp) -> np.ndarray:
    """Quantiles of the values within half an hour of the same time of day over two weeks."""
    past = series[(series.index < as_of) & (series.index >= as_of - 14 * DAY)].dropna()
    slot = past.index.hour.to_numpy() * 4 + past.index.minute.to_numpy() // 15
    rows = []
    for time_ in times:
        away = np.abs(slot - (time_.hour * 4 + time_.minute // 15))
        rows.append(np.quantile(past[np.minimum(away, PER_DAY - away) <= 2], QUANTILES))
    return np.array(rows)


def planner(series: pd.Series, times: pd.DatetimeIndex, as_of: pd.Timestamp) -> np.ndarray:
    frame = forecast(series, times[-1] + STEP - as_of, STEP, as_of).frame
    return np.asarray(frame[["p50", "p90", "p99"]].to_numpy())


RIVALS: dict[str, Rival] = {
    "seasonal naive, week": naive_week,
    "rolling 7-day quantiles": rolling_week,
    "quantiles by time of day": slot_quantiles,
    "planner": planner,
}


# Scores


@dataclass
class Tally:
    loss: np.ndarray
    reference: np.ndarray
    held: np.ndarray
    steps: int


def tally(
    series: pd.Series, origins: list[pd.Timestamp], horizon: pd.Timedelta, rivals: dict[str, Rival]
) -> dict[str, Tally]:
    """Summed losses of each rival and of the daily naive, and how often p90 and p99 held."""
    found = {name: Tally(np.zeros(3), np.zeros(3), np.zeros(2), 0) for name in ("seasonal naive, day", *rivals)}
    for origin in origins:
        times = pd.date_range(origin, periods=int(horizon / STEP), freq=STEP)
        actual = series.reindex(times).to_numpy()
        reference = naive_of(series, times, origin)
        for name, one in found.items():
            path = reference if name == "seasonal naive, day" else rivals[name](series, times, origin)
            add(one, actual, path, reference)
    return found


def naive_of(series: pd.Series, times: pd.DatetimeIndex, origin: pd.Timestamp) -> np.ndarray:
    return seasonal_naive(series, times, origin, QUANTILES)


def add(one: Tally, actual: np.ndarray, path: np.ndarray, reference: np.ndarray) -> None:
    """Count one forecast on the steps that are known."""
    path = np.where(np.isfinite(path), path, reference)
    known = np.isfinite(actual) & np.isfinite(reference).all(axis=1)
    for place, quantile in enumerate(QUANTILES):
        one.loss[place] += pinball((actual - path[:, place])[known], quantile).sum()
        one.reference[place] += pinball((actual - reference[:, place])[known], quantile).sum()
    one.held += [(actual <= path[:, 1])[known].sum(), (actual <= path[:, 2])[known].sum()]
    one.steps += int(known.sum())


def origins_of(series: pd.Series, first_day: int, every: pd.Timedelta, most: int) -> list[pd.Timestamp]:
    start = series.index[0].ceil("1D") + first_day * DAY
    all_origins = list(pd.date_range(start, series.index[-1] - DAY + STEP, freq=every))
    return all_origins[:: max(1, -(-len(all_origins) // most))]


def rows_of(group: dict[str, dict[str, Tally]]) -> Iterator[str]:
    for rival in next(iter(group.values())):
        tallies = [one[rival] for one in group.values()]
        ratios = np.exp(np.mean([np.log(t.loss / t.reference) for t in tallies], axis=0))
        held = np.sum([t.held for t in tallies], axis=0) / sum(t.steps for t in tallies)
        cells = " | ".join(f"{ratio:.2f}" for ratio in ratios)
        yield f"| {rival} | {cells} | {held[0]:.1%} | {held[1]:.1%} |"


HEAD = "| method | p50 | p90 | p99 | p90 held | p99 held |\n|---|---|---|---|---|---|"


def section(
    title: str,
    series: dict[str, pd.Series],
    first_day: int,
    every: pd.Timedelta,
    most: int,
    horizon: pd.Timedelta = DAY,
    rivals: dict[str, Rival] | None = None,
) -> str:
    group = {
        name: tally(one, origins_of(one, first_day, every, most), horizon, rivals or RIVALS)
        for name, one in series.items()
    }
    count = sum(len(origins_of(one, first_day, every, most)) for one in series.values())
    lines = [f"## {title}", "", f"{len(series)} series, {count} forecasts.", "", HEAD, *rows_of(group)]
    if len(series) <= 10 and rivals is None:
        lines += ["", "The planner by series:", "", HEAD.replace("method", "series")]
        for name, one in group.items():
            lines += [
                row.replace("| planner |", f"| {name} |") for row in rows_of({name: {"planner": one["planner"]}})
            ]
    text = "\n".join(lines) + "\n"
    print(text, flush=True)
    return text


def measured(data: Path | None) -> tuple[dict[str, pd.Series], dict[str, pd.Series]]:
    """(long, short) real series in 15-minute means, from the folder where it has them."""
    if data is None:
        return {}, {}
    requests = data / "requests" / "requests_per_minute.csv.gz"
    long = {"NASA web requests, 1995": requests} if requests.is_file() else {}
    short = {path.stem: path for path in sorted((data / "cloudwatch").glob("*.csv"))}

    def means(paths: dict[str, Path]) -> dict[str, pd.Series]:
        return {n: read_series(p).series.sort_index().resample(STEP).mean() for n, p in paths.items()}

    return means(long), means(short)


def together(title: str, series: dict[str, pd.Series], first_day: int, every: int, count: int) -> str:
    """One call for all series at each origin, with p50 and p90 trained on them together and without."""
    tallies = {
        train: {name: Tally(np.zeros(3), np.zeros(3), np.zeros(2), 0) for name in series}
        for train in (True, False)
    }
    start = next(iter(series.values())).index[0].ceil("1D") + first_day * DAY
    for origin in (start + i * every * DAY for i in range(count)):
        times = pd.date_range(origin, periods=PER_DAY, freq=STEP)
        long_enough = {name: one for name, one in series.items() if one.index[-1] >= times[-1]}
        for train, by_name in tallies.items():
            for name, made_ in forecast_many(long_enough, DAY, STEP, origin, train=train).items():
                if not isinstance(made_, Forecast):
                    continue
                path = made_.frame[["p50", "p90", "p99"]].to_numpy()
                add(
                    by_name[name],
                    series[name].reindex(times).to_numpy(),
                    path,
                    naive_of(series[name], times, origin),
                )
    rows = [
        f"| {name} | {row.split('|', 2)[2].strip()}"
        for name, train in (("bundled trees", False), ("trained together", True))
        for row in rows_of({one: {"planner": found} for one, found in tallies[train].items() if found.steps})
    ]
    calls = sum(t.steps for t in tallies[True].values()) // PER_DAY
    text = f"## {title}\n\n{len(series)} series, {calls} forecasts.\n\n{HEAD}\n" + "\n".join(rows) + "\n"
    print(text, flush=True)
    return text


def batch(count: int) -> str:
    rng = np.random.default_rng(SEED + 1)
    many = {f"series-{i}": office(rng, 28) for i in range(count)}
    forecast_many({"warm": many["series-0"]}, DAY, STEP)
    start = time.process_time()
    forecast_many(many, DAY, STEP)
    each = (time.process_time() - start) / count
    text = (
        f"## Speed\n\nOne call for {count:,} series of 28 days, a day ahead, training included: "
        f"{each * 1000:.0f} ms of CPU a forecast.\n"
    )
    print(text, flush=True)
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="folder with measured series")
    parser.add_argument("--batch", type=int, default=1000)
    parser.add_argument("--most", type=int, default=30, help="origins a series")
    parser.add_argument("--out", type=Path, default=PAGE)
    options = parser.parse_args()
    rng = np.random.default_rng(SEED)
    kinds = (tournament, city, chatter, office)
    long = {f"{kind.__name__}-{i}": kind(rng) for i in range(3) for kind in kinds}
    short = {f"instance-{i}": instance(rng) for i in range(16)}
    real_long, real_short = measured(options.data)
    about = " ".join((__doc__ or "").split("\n\n")[1].split())
    parts = ["# Forecasts\n", f"Written by `benchmarks/forecast.py`, seed {SEED}. {about}\n"]
    most = options.most
    hourly = {"planner": planner}
    for name, group in (("Measured", real_long), ("Made", long)):
        if group:
            parts.append(section(f"{name} long seasonal series, a day ahead", group, 14, DAY, most))
            title = f"{name} long seasonal series, refreshed hourly (an hour ahead)"
            parts.append(section(title, group, 14, HOUR, most * 4, HOUR, hourly))
    for name, group in (("Measured", real_short), ("Made", short)):
        if group:
            parts.append(section(f"{name} short series with level shifts, a day ahead", group, 7, DAY, most))
    many = {f"{kind.__name__}-{i}": kind(rng) for i in range(5) for kind in kinds}
    parts.append(together("Twenty made long series in one call", many, 28, 2, 6))
    alike = {f"{kind.__name__}-{i}": kind(rng) for i in range(40) for kind in (city, office)}
    parts.append(together("Eighty made series of two kinds in one call", alike, 30, 3, 4))
    many = {f"instance-{i}": instance(rng) for i in range(40)}
    parts.append(together("Forty made short series in one call", many, 8, 1, 5))
    parts.append(batch(options.batch))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text("\n".join(parts))


if __name__ == "__main__":
    main()
