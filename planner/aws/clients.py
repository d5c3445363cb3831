"""Sessions and clients: Region, profile, endpoint and role in; clients that wait for their turn out."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import urlsplit

from planner.aws.buckets import CLOUDWATCH_QUOTAS, DATAPOINT_QUOTAS, ECS_OPERATIONS, ECS_QUOTAS, Quota, TokenBucket
from planner.terminal import BadInput
from planner.units import SECONDS_PER_MINUTE

MAX_ATTEMPTS: Final = 8
"""Attempts of one call, with botocore's exponential back-off in between ("standard" retry mode)."""
DATAPOINTS_VARIABLE: Final = "PLANNER_CLOUDWATCH_DATAPOINTS_PER_SECOND"
"""Environment variable of accounts whose GetMetricData quota AWS has raised; it is adjustable."""
CLOCK_TOLERANCE_S: Final = 60.0
SIGNATURE_TOLERANCE_S: Final = 300.0
"""AWS refuses requests whose signature is more than 5 minutes away from its clock (IAM user guide,
"Troubleshoot Signature Version 4")."""
SIGNATURE_REFUSALS: Final = frozenset(
    {"InvalidSignatureException", "SignatureDoesNotMatch", "RequestExpired", "RequestTimeTooSkewed"}
)

THROTTLES: Final = frozenset(
    {
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "RequestThrottled",
        "RequestThrottledException",
        "RequestLimitExceeded",
        "TooManyRequestsException",
        "LimitExceededException",
    }
)


class Clients:
    """The clients of one account and Region, made when first asked for and safe to share by threads.

    Every attempt of a call waits for the token bucket that AWS documents for it. `server_time` is AWS's
    clock as its answers tell it, so that a workstation with a wrong clock does not pull the wrong window.
    """

    def __init__(
        self,
        session: Any,
        region: str,
        endpoint_url: str | None = None,
        *,
        max_attempts: int = MAX_ATTEMPTS,
        datapoints_per_s: float | None = None,
    ) -> None:
        self._session = session
        self.region = region
        self.endpoint_url = endpoint_url
        self._max_attempts = max_attempts
        self._lock = threading.Lock()
        self._clients: dict[str, Any] = {}
        self._clock_offset_s: float | None = None
        self.throttled_attempts = 0
        datapoints = DATAPOINT_QUOTAS
        if datapoints_per_s is not None:
            datapoints = dict.fromkeys(DATAPOINT_QUOTAS, Quota(datapoints_per_s, datapoints_per_s))
        self.buckets: dict[str, TokenBucket] = {
            name: TokenBucket(quota) for name, quota in (ECS_QUOTAS | CLOUDWATCH_QUOTAS | datapoints).items()
        }

    def get(self, service: str) -> Any:
        """The boto3 client of `service`, e.g. "ecs", "cloudwatch", "elbv2"."""
        with self._lock:
            if service not in self._clients:
                self._clients[service] = self._new(service)
            return self._clients[service]

    @property
    def server_time(self) -> datetime:
        """AWS's present: the local clock, corrected by the last answer's Date header."""
        offset = self._clock_offset_s or 0.0
        return datetime.fromtimestamp(_now().timestamp() + offset, UTC)

    @property
    def clock_offset_s(self) -> float | None:
        """Seconds that AWS's clock is ahead of this machine's; None before the first answer."""
        return self._clock_offset_s

    def _new(self, service: str) -> Any:
        from botocore.config import Config

        client = self._session.client(
            service,
            region_name=self.region,
            endpoint_url=self.endpoint_url,
            config=Config(
                retries={"mode": "standard", "total_max_attempts": self._max_attempts},
                connect_timeout=10,
                read_timeout=60,
                max_pool_connections=32,
                user_agent_extra="ecs-capacity-planner",
            ),
        )
        events = client.meta.events
        events.register(f"before-send.{_event_name(client)}", self._wait_for_turn(service))
        events.register(f"after-call.{_event_name(client)}", self._note_clock)
        events.register(f"needs-retry.{_event_name(client)}", self._note_throttle(service))
        return client

    def bucket(self, service: str, operation: str) -> TokenBucket | None:
        """The bucket that AWS documents for an operation; None where no quota is published."""
        if service == "ecs":
            return self.buckets.get(ECS_OPERATIONS.get(operation, ""))
        return self.buckets.get(operation) if service == "cloudwatch" else None

    def _wait_for_turn(self, service: str) -> Callable[..., None]:
        def wait(event_name: str = "", **_: Any) -> None:
            bucket = self.bucket(service, event_name.rsplit(".", 1)[-1])
            if bucket is not None:
                bucket.take()

        return wait

    def _note_throttle(self, service: str) -> Callable[..., None]:
        def note(event_name: str = "", response: Any = None, **_: Any) -> None:
            http_response, parsed = response if response else (None, None)
            code = (parsed or {}).get("Error", {}).get("Code", "")
            if code:
                self._note_clock(http_response)
                self._refuse_wrong_clock(code)
            if code in THROTTLES:
                self._back_off(service, event_name.rsplit(".", 1)[-1])

        return note

    def _refuse_wrong_clock(self, code: str) -> None:
        """A request signed at the wrong time is refused by AWS in words that do not name the clock."""
        offset = self._clock_offset_s or 0.0
        if code in SIGNATURE_REFUSALS and abs(offset) > SIGNATURE_TOLERANCE_S:
            side = "behind" if offset > 0 else "ahead of"
            raise BadInput(
                f"This machine's clock is {abs(offset) / SECONDS_PER_MINUTE:.0f} minutes {side} AWS's, so AWS "
                "refuses its requests: set the clock (e.g. `timedatectl set-ntp true`), then try again."
            )

    def _back_off(self, service: str, operation: str) -> None:
        """AWS throttled an attempt: slow down its bucket, and for datapoints their quota too."""
        with self._lock:
            self.throttled_attempts += 1
        bucket = self.bucket(service, operation)
        if bucket is not None:
            bucket.throttled()
        if (service, operation) == ("cloudwatch", "GetMetricData"):
            for name in DATAPOINT_QUOTAS:
                self.buckets[name].throttled()

    def _note_clock(self, http_response: Any = None, **_: Any) -> None:
        date = http_response.headers.get("Date") if http_response is not None else None
        if not date:
            return
        try:
            self._clock_offset_s = parsedate_to_datetime(date).timestamp() - _now().timestamp()
        except ValueError:
            return


def connect(
    *,
    region: str | None = None,
    profile: str | None = None,
    endpoint_url: str | None = None,
    role_arn: str | None = None,
    max_attempts: int = MAX_ATTEMPTS,
) -> Clients:
    """Open a session; the Region comes from `region`, the profile or AWS_REGION.

    With `role_arn` the session assumes that role first. Raises BadInput where no Region is known, the
    endpoint is not a URL, the profile does not exist, or PLANNER_CLOUDWATCH_DATAPOINTS_PER_SECOND is no
    positive number; credentials are only checked by the first call.
    """
    import boto3

    if endpoint_url is not None and urlsplit(endpoint_url).scheme not in {"http", "https"}:
        raise BadInput(f"--endpoint-url {endpoint_url!r} is not a URL: pass e.g. http://127.0.0.1:5000.")
    session = boto3.Session(profile_name=profile, region_name=region)
    known = region or session.region_name
    if not known:
        raise BadInput("No AWS Region is set: pass --region, e.g. --region eu-west-2.")
    if role_arn:
        session = _assume(session, role_arn, known, endpoint_url)
    return Clients(
        session, known, endpoint_url, max_attempts=max_attempts, datapoints_per_s=_raised_datapoint_quota()
    )


def _raised_datapoint_quota() -> float | None:
    told = os.environ.get(DATAPOINTS_VARIABLE)
    if not told:
        return None
    try:
        quota = float(told)
    except ValueError:
        quota = 0.0
    if not 0 < quota < float("inf"):
        raise BadInput(f"{DATAPOINTS_VARIABLE}={told!r} is no rate: set your account's quota, or unset it.")
    return quota


def _assume(session: Any, role_arn: str, region: str, endpoint_url: str | None) -> Any:
    """A session whose credentials are the role's and renew themselves before they expire."""
    import boto3
    import botocore.session
    from botocore.credentials import RefreshableCredentials

    sts = session.client("sts", region_name=region, endpoint_url=endpoint_url)

    def refresh() -> dict[str, str]:
        given = sts.assume_role(RoleArn=role_arn, RoleSessionName="ecs-capacity-planner")["Credentials"]
        return {
            "access_key": given["AccessKeyId"],
            "secret_key": given["SecretAccessKey"],
            "token": given["SessionToken"],
            "expiry_time": given["Expiration"].isoformat(),
        }

    inner: Any = botocore.session.get_session()
    inner._credentials = RefreshableCredentials.create_from_metadata(refresh(), refresh, "assume-role")
    return boto3.Session(botocore_session=inner, region_name=region)


def _event_name(client: Any) -> str:
    return str(client.meta.service_model.service_id.hyphenize())


def _now() -> datetime:
    return datetime.now(UTC)
