"""Token buckets of the AWS APIs that the planner reads, and the back-off when AWS throttles anyway.

A bucket holds `burst` tokens and gains `refill_per_s`; a call takes one (or, for CloudWatch datapoints, as
many as it asks for). Sources: Amazon ECS API reference, "Request throttling" (buckets per account and
Region); CloudWatch service quotas (GetMetricData 50 calls/s, 180,000 datapoints/s when the start is at most
3 hours ago, 396,000 datapoints/s otherwise, counted on what is asked for, found or not; ListMetrics 25/s;
GetMetricStatistics 400/s; DescribeAlarms 9/s).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

SHARE_OF_QUOTA: Final = 0.95
"""The rest is left for the consoles and alarms that read the same account."""
SLOWEST_SHARE: Final = 0.02
"""Back-off never goes below this share of the quota: a throttled pull is slow, not stuck."""
RECOVERY_PER_S: Final = 0.02
"""After a throttle the rate climbs back by this share of the quota a second (additive increase)."""


@dataclass(frozen=True, slots=True)
class Quota:
    burst: float
    refill_per_s: float


ECS_QUOTAS: Final = {
    "cluster read": Quota(50, 20),
    "task definition read": Quota(50, 20),
    "capacity provider read": Quota(50, 20),
    "tag read": Quota(50, 20),
    "cluster resource read": Quota(100, 20),
    "service read": Quota(100, 20),
    "service deployments": Quota(50, 20),
    "service revisions": Quota(50, 20),
}
ECS_OPERATIONS: Final = {
    "DescribeClusters": "cluster read",
    "ListClusters": "cluster read",
    "DescribeTaskDefinition": "task definition read",
    "ListTaskDefinitions": "task definition read",
    "DescribeCapacityProviders": "capacity provider read",
    "ListTagsForResource": "tag read",
    "ListContainerInstances": "cluster resource read",
    "DescribeContainerInstances": "cluster resource read",
    "ListServices": "service read",
    "DescribeServices": "service read",
    "ListServiceDeployments": "service deployments",
    "DescribeServiceDeployments": "service deployments",
    "DescribeServiceRevisions": "service revisions",
}
CLOUDWATCH_QUOTAS: Final = {
    "GetMetricData": Quota(50, 50),
    "GetMetricStatistics": Quota(400, 400),
    "ListMetrics": Quota(25, 25),
    "DescribeAlarms": Quota(9, 9),
}
DATAPOINT_QUOTAS: Final = {
    "recent datapoints": Quota(180_000, 180_000),
    "older datapoints": Quota(396_000, 396_000),
}


class TokenBucket:
    """A bucket that halves its rate on a throttle and climbs back, shared by the threads of one process.

    It may go into debt: a request larger than the burst waits longer and is not refused.
    """

    def __init__(
        self,
        quota: Quota,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._quota = quota
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._tokens = quota.burst
        self._share = 1.0
        self._at = clock()
        self.waited_s = 0.0

    def take(self, tokens: float = 1.0) -> float:
        """Take `tokens`, wait until the bucket has earned them, and return the seconds waited.

        Waiting happens outside the lock, so that threads queue by their debt and not by each other.
        """
        with self._lock:
            self._refill()
            self._tokens -= tokens
            wait = max(0.0, -self._tokens / self._rate)
            self.waited_s += wait
        if wait > 0:
            self._sleep(wait)
        return wait

    def throttled(self) -> None:
        """AWS refused a call although the bucket allowed it: halve the rate."""
        with self._lock:
            self._refill()
            self._share = max(SLOWEST_SHARE, self._share / 2)
            self._tokens = min(self._tokens, 0.0)

    @property
    def _rate(self) -> float:
        return self._quota.refill_per_s * SHARE_OF_QUOTA * self._share

    def _refill(self) -> None:
        now = self._clock()
        elapsed = max(0.0, now - self._at)
        self._at = now
        self._tokens = min(self._quota.burst, self._tokens + elapsed * self._rate)
        self._share = min(1.0, self._share + elapsed * RECOVERY_PER_S)
