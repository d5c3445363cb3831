"""Token buckets wait as long as the documented quota asks, and slow down when AWS throttles anyway."""

from __future__ import annotations

import pytest

from planner.aws.buckets import SHARE_OF_QUOTA, Quota, TokenBucket


class Time:
    """A clock that only moves when someone sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def bucket(burst: float, refill: float) -> tuple[TokenBucket, Time]:
    time = Time()
    return TokenBucket(Quota(burst, refill), time.clock, time.sleep), time


def test_the_burst_is_free_and_then_calls_come_at_the_refill_rate() -> None:
    tokens, time = bucket(10, 5)

    for _ in range(10 + 19):
        tokens.take()

    assert time.now == pytest.approx(19 / (5 * SHARE_OF_QUOTA))


def test_a_request_larger_than_the_burst_waits_once() -> None:
    tokens, time = bucket(100, 100)

    tokens.take(1050)

    assert time.now == pytest.approx(950 / (100 * SHARE_OF_QUOTA))


def test_a_throttle_halves_the_rate_and_time_restores_it() -> None:
    tokens, time = bucket(1, 10)
    tokens.take()
    tokens.throttled()

    slow = tokens.take(10)
    time.sleep(60)
    tokens.take(tokens._quota.burst)
    restored = tokens.take(10)

    assert slow == pytest.approx(10 / (10 * SHARE_OF_QUOTA / 2), rel=0.05)
    assert restored < slow * 0.6


def test_a_pull_s_datapoints_are_paced_to_the_quota() -> None:
    tokens, time = bucket(396_000, 396_000)

    for _ in range(1000):
        tokens.take(100_800)

    # 100.8 million datapoints: the first 396,000 are the burst
    assert 100_800_000 / time.now == pytest.approx(396_000 * SHARE_OF_QUOTA, rel=0.01)
