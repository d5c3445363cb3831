"""The sandbox in one process: start it, get clients for it, step its time, break its calls."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from deploy.sandbox import world as worlds
from deploy.sandbox.clock import DEFAULT_START, VirtualClock
from deploy.sandbox.faults import Fault, Faults, Kind
from deploy.sandbox.world import World

if TYPE_CHECKING:
    from pathlib import Path

    from deploy.sandbox.ecs.images import Failure
    from deploy.sandbox.loading import Loaded
    from deploy.sandbox.series import MetricStore
    from deploy.sandbox.server import Recorded

REGION: Final = "eu-west-2"
CREDENTIALS: Final = {"aws_access_key_id": "sandbox", "aws_secret_access_key": "sandbox"}
"""Not a secret: the sandbox checks no signature."""
UNTHROTTLED: Final = "1000000000"
"""The sandbox has no datapoint quota, so a pull from it need not wait for one."""


class Sandbox:
    """An imitation of the AWS services that planning and deploying call, on 127.0.0.1.

    >>> with Sandbox() as sandbox:
    ...     sandbox.client("ecs").create_cluster(clusterName="public-services")
    ...     sandbox.advance(60)

    `start` is the first instant of its clock; `speed` lets it run that many times as fast as real time
    (0: only `advance` moves it). Only one sandbox runs in a process. Two runs with one `seed` and the
    same calls give the same identifiers.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        start: datetime = DEFAULT_START,
        speed: float = 0.0,
        seed: int = 0,
        region: str = REGION,
    ) -> None:
        self.region = region
        self.world = World(VirtualClock(start, speed), seed, region)
        self.faults = Faults()
        self._port = port
        self._server: Any = None
        self._application: Any = None
        self.stop_requested = False

    def __enter__(self) -> Self:
        from deploy.sandbox.control import Control
        from deploy.sandbox.patches import reset_moto
        from deploy.sandbox.server import Application, Server

        worlds.enter(self.world)
        try:
            reset_moto(self.world.seed)
            self._application = Application(self.world, self.faults, Control(self).answer)
            self._server = Server(self._application, self._port)
        except BaseException:
            worlds.leave()
            raise
        self._server.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._server.stop()
        worlds.leave()

    @property
    def port(self) -> int:
        return int(self._server.port)

    @property
    def endpoint_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def now(self) -> datetime:
        """The sandbox's time, UTC."""
        with self.world.lock:
            self.world.clock.catch_up()
            return self.world.clock.now

    def advance(self, seconds: float) -> datetime:
        """Let `seconds` of the sandbox's time pass; returns its new time."""
        with self.world.lock:
            self.world.clock.catch_up()
            return self.world.clock.advance(seconds)

    def client(self, service: str, region: str | None = None, **options: Any) -> Any:
        """A boto3 client of the sandbox, without waiting between its retries unless `config` says so."""
        from botocore.config import Config

        config = Config(retries={"mode": "standard", "total_max_attempts": 1}, connect_timeout=5)
        settings: dict[str, Any] = {
            "endpoint_url": self.endpoint_url,
            "region_name": region or self.region,
            **CREDENTIALS,
            **options,
        }
        settings["config"] = config.merge(settings["config"]) if "config" in settings else config
        return _session().client(service, **settings)

    def environment(self) -> dict[str, str]:
        """The environment variables with which another program's AWS SDK uses the sandbox."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_ACCESS_KEY_ID": CREDENTIALS["aws_access_key_id"],
            "AWS_SECRET_ACCESS_KEY": CREDENTIALS["aws_secret_access_key"],
            "AWS_EC2_METADATA_DISABLED": "true",
            "PLANNER_CLOUDWATCH_DATAPOINTS_PER_SECOND": UNTHROTTLED,
        }

    def metrics(self, region: str | None = None) -> MetricStore:
        """The store behind CloudWatch, to write series into directly."""
        return self.world.metrics_of(region or self.region)

    def load_sample(self, seed: int = 0) -> None:
        """Load the sample estate with 15 days of metrics (docs/guide/sandbox.md); takes a few seconds."""
        from deploy.sandbox.sample.load import load

        load(self, seed)

    def load_metrics(self, path: Path, service: str, **options: Any) -> Loaded:
        """Load a CSV file of timestamp,value as a metric of a service (see deploy.sandbox.loading.load)."""
        from deploy.sandbox.loading import load
        from deploy.sandbox.metric_files import read

        rows = read(path)
        with self.world.lock:
            return load(self.world, rows.timestamps_s, rows.values, service=service, **options)

    def break_image(self, pattern: str, failure: Failure = "exit") -> None:
        """Let tasks of matching images (or task definitions, family:revision) fail from now on: "pull" (not
        found), "exit" (the container exits), "health" (the health check fails). * and ? match any text."""
        with self.world.lock:
            self.world.ecs_of(self.region).images.break_(pattern, failure)

    def mend_image(self, pattern: str) -> None:
        """Undo `break_image`."""
        with self.world.lock:
            self.world.ecs_of(self.region).images.mend(pattern)

    def push_image(self, reference: str) -> str:
        """Move a tag to another digest, as a push does; returns the new digest. Running tasks keep theirs."""
        with self.world.lock:
            return self.world.ecs_of(self.region).images.push(reference)

    def set_quota(self, name: str, value: float) -> None:
        """Change one of the account's quotas, by the name under which Service Quotas lists it."""
        with self.world.lock:
            self.world.quotas[name] = value

    def fault(self, service: str, operation: str, kind: Kind, *, nth: int = 1, times: int | None = 1) -> None:
        """Fail the `nth` call of `operation` from now on, `times` times (see deploy.sandbox.faults.Fault)."""
        with self.world.lock:
            self.faults.add(Fault(service, operation, kind, nth, times))

    @property
    def idle_s(self) -> float:
        """Real seconds since the last request of any kind."""
        return float(self._application.idle_s)

    @property
    def calls(self) -> list[Recorded]:
        """Every AWS call made so far, in order."""
        with self.world.lock:
            return list(self._application.calls)

    def forget_calls(self) -> None:
        with self.world.lock:
            self._application.calls.clear()


@cache
def _session() -> Any:
    """One boto3 session for all clients: it keeps the service models it has read."""
    import boto3

    return boto3.session.Session()
