"""Made series that look like service load: what the bundled quantile trees are trained on.

Two families. `seasonal_load`: long series with daily and weekly shape, slow drift, correlated noise,
spikes, events and odd days, like web traffic. `cloud_metric`: short series like instance metrics, most
of them with little season, many with level shifts, batch jobs, saw-teeth, flat lines and bursts. Only
random generators; no measured series is in the training set.
"""

from __future__ import annotations

import numpy as np

from planner.units import MINUTES_PER_HOUR

Array = np.ndarray


def correlated(rng: np.random.Generator, length: int, memory: float, deviation: float) -> Array:
    """First-order autoregressive noise with the given lag-1 correlation and standard deviation."""
    from scipy.signal import lfilter

    noise = rng.normal(0.0, deviation * np.sqrt(1 - memory**2), length)
    noise[0] = rng.normal(0.0, deviation)
    return np.asarray(lfilter([1.0], [1.0, -memory], noise))


def daily_shape(rng: np.random.Generator, steps_per_day: int, amplitude: float) -> Array:
    """Four random harmonics of a day."""
    angle = np.arange(steps_per_day) / steps_per_day * 2 * np.pi
    shape = np.zeros(steps_per_day)
    for harmonic in range(1, 5):
        size = rng.normal(0.0, amplitude / harmonic ** rng.uniform(0.8, 1.6))
        shape += size * np.cos(harmonic * angle + rng.uniform(0, 2 * np.pi))
    return shape


def bursts(rng: np.random.Generator, length: int, count: float, size: float, decay_steps: float) -> Array:
    """Random sudden peaks that die away: on average `count` of them, of median height `size`."""
    out = np.zeros(length)
    for _ in range(rng.poisson(count)):
        start, height = int(rng.integers(length)), rng.lognormal(np.log(size), 0.9)
        decay = rng.exponential(decay_steps) + 1
        reach = min(length - start, int(decay * 6) + 1)
        out[start : start + reach] += height * np.exp(-np.arange(reach) / decay)
    return out


def seasonal_load(rng: np.random.Generator, steps_per_day: int = 96, days: int | None = None) -> Array:
    """A non-negative series of 21 to 70 days that starts on a Monday."""
    days = days or int(rng.integers(21, 70))
    length = days * steps_per_day
    step = np.arange(length)
    logs = _calendar(rng, step, days, steps_per_day) + _drift(rng, step, days, steps_per_day)
    logs += correlated(rng, length, rng.uniform(0.9, 0.995), rng.choice([0.03, 0.08, 0.15, 0.3]))
    logs += correlated(rng, length, rng.uniform(0.0, 0.7), rng.choice([0.01, 0.03, 0.08, 0.15]))
    values = _events(rng, np.exp(logs), days, steps_per_day)
    requests = 10 ** rng.uniform(0.5, 4)
    if rng.random() < 0.6:
        minutes = 24 * MINUTES_PER_HOUR / steps_per_day
        values = rng.poisson(np.minimum(values, 1e4) * requests * minutes) / minutes
    return np.asarray(values)


def _calendar(rng: np.random.Generator, step: Array, days: int, steps_per_day: int) -> Array:
    slot, weekday = step % steps_per_day, (step // steps_per_day) % 7
    weekend = weekday >= 5
    shape = daily_shape(rng, steps_per_day, rng.uniform(0.2, 1.0))
    weekend_shape = daily_shape(rng, steps_per_day, rng.uniform(0.05, 0.4))
    quieter = rng.choice([0.0, rng.normal(-0.5, 0.4), rng.normal(-0.1, 0.2)])
    by_weekday = rng.normal(0.0, rng.choice([0.0, 0.05, 0.15]), 7)
    logs = shape[slot] + weekend * (weekend_shape[slot] * rng.integers(0, 2) + quieter) + by_weekday[weekday]
    if rng.random() < 0.4:
        angle = slot / steps_per_day * 2 * np.pi
        for harmonic in range(1, 4):
            daily = np.repeat(rng.normal(0.0, rng.uniform(0.02, 0.12), days), steps_per_day)
            logs = logs + daily * np.cos(harmonic * angle)
    return np.asarray(logs)


def _drift(rng: np.random.Generator, step: Array, days: int, steps_per_day: int) -> Array:
    day = step // steps_per_day
    walk = np.cumsum(rng.normal(0.0, rng.choice([0.003, 0.01, 0.03]), days))[day]
    moods = np.repeat(rng.normal(0.0, rng.choice([0.02, 0.06, 0.15]), days), steps_per_day)
    kernel = np.hanning(max(3, steps_per_day // 2))
    trend = rng.normal(0.0, 0.006) * step / steps_per_day * (rng.random() < 0.4)
    return np.asarray(walk + np.convolve(moods, kernel / kernel.sum(), "same") + trend)


def _events(rng: np.random.Generator, values: Array, days: int, steps_per_day: int) -> Array:
    length, quarter = len(values), max(1, steps_per_day // 96)
    if rng.random() < 0.5:
        count, size = days * rng.choice([0.1, 0.4, 1.5]), rng.uniform(0.1, 1.0)
        values = values * (1 + bursts(rng, length, count, size, rng.choice([1, 3, 8]) * quarter))
    if rng.random() < 0.25:
        for _ in range(int(rng.integers(1, days))):
            start, reach = int(rng.integers(length)), int(rng.integers(6, 20)) * quarter
            values[start : start + reach] *= 1 + rng.exponential(0.7)
    if rng.random() < 0.3:
        for _ in range(int(rng.integers(1, 4))):
            values[int(rng.integers(length)) :] *= np.exp(rng.normal(0.0, 0.4))
    if rng.random() < 0.2:
        for _ in range(int(rng.integers(1, 4))):
            day = int(rng.integers(days))
            values[day * steps_per_day : (day + 1) * steps_per_day] *= np.exp(rng.normal(-0.3, 0.5))
    if rng.random() < 0.15:
        start, reach = int(rng.integers(length)), int(rng.integers(2, 2 * steps_per_day))
        values[start : start + reach] *= rng.uniform(0.0, 0.2)
    return values


def cloud_metric(rng: np.random.Generator, steps_per_day: int = 96, days: int | None = None) -> Array:
    """A non-negative series of 8 to 22 days: one of eight kinds, then shifts, bursts, a cap, rounding."""
    days = days or int(rng.integers(8, 22))
    length = days * steps_per_day
    values = _CLOUD_KINDS[int(rng.integers(len(_CLOUD_KINDS)))](rng, np.arange(length), steps_per_day)
    if rng.random() < 0.25:
        for _ in range(int(rng.integers(1, 3))):
            values[int(rng.integers(length)) :] *= np.exp(rng.normal(0.0, 0.4))
    if rng.random() < 0.6:
        count, size = days * rng.choice([0.1, 0.5, 2.0]), rng.uniform(0.3, 4.0)
        decay = rng.choice([0.5, 1, 4, 12]) * steps_per_day / 96
        values = values + np.mean(values) * bursts(rng, length, count, size, decay)
    if rng.random() < 0.3:
        values = np.minimum(values, np.quantile(values, 0.995))
    values = np.maximum(values, 0.0)
    if rng.random() < 0.3:
        values = np.round(values / 0.02) * 0.02
    return np.asarray(values * 10 ** rng.uniform(-1, 5))


def _noise(rng: np.random.Generator, step: Array, _day: int) -> Array:
    return 1 + correlated(rng, len(step), rng.uniform(0.0, 0.9), rng.uniform(0.02, 0.3))


def _flat(rng: np.random.Generator, step: Array, _day: int) -> Array:
    return 1 + rng.normal(0.0, rng.choice([1e-3, 0.01, 0.03]), len(step))


def _regimes(rng: np.random.Generator, step: Array, day: int) -> Array:
    levels = np.exp(rng.normal(0.0, 0.7, int(rng.integers(2, 5))))
    changes = rng.random(len(step)) < 1 / rng.uniform(day / 4, 10 * day)
    chosen = rng.integers(0, len(levels), len(step))
    latest = np.maximum.accumulate(np.where(changes, step, 0))
    return np.asarray(levels[chosen[latest]] * (1 + rng.normal(0.0, rng.choice([0.01, 0.05, 0.15]), len(step))))


def _batch(rng: np.random.Generator, step: Array, day: int) -> Array:
    period = max(2, int(rng.choice([4, 8, 12, 24, 48, 96, 96, 96]) * day / 96))
    running = (step + rng.integers(period)) % period < rng.integers(1, max(2, period // 4))
    if rng.random() < 0.4:
        running &= rng.random(len(step)) < 0.85
    height = rng.exponential(3.0) * np.exp(rng.normal(0.0, rng.choice([0.02, 0.2]), len(step)))
    return np.asarray(1 + running * height + rng.normal(0.0, 0.03, len(step)))


def _weak_season(rng: np.random.Generator, step: Array, day: int) -> Array:
    logs = daily_shape(rng, day, rng.uniform(0.05, 0.5))[step % day]
    logs += correlated(rng, len(step), rng.uniform(0.5, 0.98), rng.uniform(0.05, 0.4))
    return np.asarray(np.exp(logs + rng.normal(0.0, rng.uniform(0.02, 0.4), len(step))))


def _saw(rng: np.random.Generator, step: Array, day: int) -> Array:
    period = max(2, int(rng.uniform(0.1, 4.0) * day))
    tooth = ((step + rng.integers(period)) % period) / period
    return np.asarray(0.5 + tooth * rng.uniform(0.2, 2.0) + rng.normal(0.0, 0.02, len(step)))


def _on_off(rng: np.random.Generator, step: Array, day: int) -> Array:
    values, at = np.full(len(step), 0.05), 0
    between = rng.uniform(0.3, 3.0) * day
    while at < len(step):
        at += int(rng.exponential(between)) + 1
        reach = int(rng.exponential(day / 3)) + 1
        values[at : at + reach] = rng.uniform(0.5, 1.5)
        at += reach
    return np.asarray(values * (1 + rng.normal(0.0, 0.03, len(step))))


def _steps(rng: np.random.Generator, step: Array, day: int) -> Array:
    values = np.ones(len(step))
    for _ in range(int(rng.integers(1, 5))):
        values[int(rng.integers(len(step))) :] *= np.exp(rng.normal(0.0, 0.5))
    values *= np.exp(daily_shape(rng, day, rng.uniform(0.0, 0.3))[step % day])
    return np.asarray(values * (1 + correlated(rng, len(step), 0.6, rng.uniform(0.01, 0.15))))


_CLOUD_KINDS = (_noise, _flat, _regimes, _batch, _weak_season, _saw, _on_off, _steps)
