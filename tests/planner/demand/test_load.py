"""Load to capacity: slope and interval by robust regression, latency by the Universal Scalability Law."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from planner.demand import LoadToCapacity, ScaleOn, load_to_capacity
from planner.demand.load import Usl
from planner.model import Rejection
from tests.planner.demand.usage import usage_table

ROWS = 6 * 288


def day_load(peak: float, seed: int = 0) -> np.ndarray:
    day = np.arange(ROWS) / 288 * 2 * np.pi
    noise = np.random.default_rng(seed).normal(1, 0.05, ROWS)
    return peak * (0.55 - 0.45 * np.cos(day)) * noise


def fitted(result: LoadToCapacity | Rejection) -> LoadToCapacity:
    assert isinstance(result, LoadToCapacity)
    return result


def test_the_cost_of_a_request_is_found_among_outliers() -> None:
    requests = day_load(100.0)
    rng = np.random.default_rng(1)
    cpu = 0.05 + 0.006 * requests + rng.normal(0, 0.01, ROWS)
    cpu[rng.integers(0, ROWS, 80)] += 0.4  # batch work that no request explains

    result = fitted(load_to_capacity(usage_table(ROWS, requests_per_task=requests, cpu_per_task=cpu)))

    assert result.vcpu_per_request.mid == pytest.approx(0.006, rel=0.03)
    assert result.vcpu_per_request.low < 0.006 < result.vcpu_per_request.high
    # (0.8 x 1 vCPU - 0.05) / 0.006 = 125 requests per second
    assert result.requests_per_second_per_task.mid == pytest.approx(125, rel=0.05)
    assert result.bound_by == "cpu"
    assert result.scale_on is ScaleOn.CPU


def test_capacity_is_not_promised_far_beyond_the_highest_load() -> None:
    requests = day_load(20.0)

    result = fitted(load_to_capacity(usage_table(ROWS, requests_per_task=requests, cpu_per_task=0.006 * requests)))

    # The line alone says 0.8 / 0.006 = 133; the highest load was about 21.
    assert result.bound_by == "observed load"
    assert result.requests_per_second_per_task.mid < 35
    assert "beyond-observed-load" in [notice.name for notice in result.warnings]


def test_latency_that_bends_limits_the_load_before_cpu() -> None:
    law = Usl(gamma=50.0, alpha=0.1, beta=0.005)
    concurrency = np.clip(day_load(8.0), 0.3, None)
    requests = np.array([law.throughput(n) for n in concurrency])
    latency = concurrency / requests
    usage = usage_table(ROWS, requests_per_task=requests, cpu_per_task=0.02 + 0.002 * requests, latency_s=latency)

    result = fitted(load_to_capacity(usage, latency_objective_s=0.03))

    expected = law.throughput(law.concurrency_at(0.03))
    assert result.bound_by == "latency"
    assert result.requests_per_second_per_task.mid == pytest.approx(expected, rel=0.1)
    assert result.scale_on is ScaleOn.REQUESTS


def test_the_law_meets_the_latency_it_was_asked_for() -> None:
    law = Usl(gamma=100.0, alpha=0.05, beta=0.001)

    concurrency = law.concurrency_at(0.02)

    assert law.latency_s(concurrency) == pytest.approx(0.02)
    assert law.concurrency_at(0.001) == 0.0  # one request alone takes 1 / 100 s
    assert law.concurrency_at(100.0) == pytest.approx(law.peak_concurrency)


def test_a_load_that_hardly_varies_tells_no_slope() -> None:
    result = load_to_capacity(usage_table(ROWS, requests_per_task=50.0, cpu_per_task=0.4))

    assert isinstance(result, Rejection)
    assert "hardly varies" in result.reason


def test_a_queue_worker_scales_on_its_backlog() -> None:
    result = load_to_capacity(usage_table(ROWS), queue_name="orders")

    assert isinstance(result, Rejection)
    assert "backlog" in result.reason


def test_memory_that_grows_with_load_is_what_to_scale_on() -> None:
    requests = day_load(100.0)
    usage = usage_table(
        ROWS, requests_per_task=requests, cpu_per_task=0.002 * requests, mib_per_task=800 + 11 * requests
    )

    assert fitted(load_to_capacity(usage)).scale_on is ScaleOn.MEMORY


def test_no_requests_is_a_reason_not_a_number() -> None:
    result = load_to_capacity(usage_table(ROWS))

    assert isinstance(result, Rejection)
    assert "only 0 periods" in result.reason


def test_the_same_table_gives_the_same_interval() -> None:
    requests = day_load(100.0)
    usage = usage_table(ROWS, requests_per_task=requests, cpu_per_task=0.006 * requests + 0.05)

    first, second = load_to_capacity(usage, seed=3), load_to_capacity(usage, seed=3)

    assert first == second
    assert isinstance(usage, pd.DataFrame)
