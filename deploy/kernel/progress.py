"""While a run is under way: what it does, shown live; and how an interrupt ends it without harm.

The first interrupt stops the run before its next step. The second asks ECS to stop the deployment that is waited
for, which rolls the service back; the run then ends with that, in the journal like everything else.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from deploy.authorise import current_step
from deploy.kernel.permits import Announced, announcing
from deploy.model import Image, ResourceRef
from deploy.ports import Clock

SLICE_S = 0.2
FIRST = "Interrupted: the run stops before its next step. Interrupt again to have ECS stop the deployment."
SECOND = "Interrupted again: asking ECS to stop the deployment."


class Interrupts:
    """Counts SIGINT while a run is under way."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._asked = 0
        self._stopped = False

    @contextmanager
    def held(self) -> Iterator[None]:
        """Take SIGINT over from IPython for as long as the run lasts."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.signal(signal.SIGINT, lambda *_: self.ask())
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    def ask(self) -> None:
        self._asked += 1

    def between_steps(self) -> None:
        """KeyboardInterrupt, once, if an interrupt came and no step is running."""
        if self._asked == 1 and current_step() is None:
            self._asked = -1  # what follows (thawing the scaling) must run to its end
            raise KeyboardInterrupt(FIRST)

    def while_waiting(self, stop: Callable[[], None]) -> None:
        if self._asked >= 2 and not self._stopped:
            self._stopped = True
            self._say(SECOND)
            stop()


class WatchedCloud:
    """A cloud that announces each write to the guard and lets interrupts in between steps."""

    def __init__(self, cloud: Any, interrupts: Interrupts) -> None:
        self._cloud = cloud
        self._interrupts = interrupts

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cloud, name)

    def read(self, ref: ResourceRef) -> Image | None:
        self._interrupts.between_steps()
        image: Image | None = self._cloud.read(ref)
        return image

    def write(self, ref: ResourceRef, after: Image, live: Image | None) -> Mapping[str, Any]:
        with announcing(Announced(ref.id, after)):
            return dict(self._cloud.write(ref, after, live))

    def stop_deployments(self) -> None:
        """Ask ECS to stop, and so roll back, the deployment that the running step waits for."""
        step = current_step()
        if step is None:
            return
        service = ResourceRef.parse(step.resource_id).service
        for deployment in self._cloud.deployments(service)[:1]:
            if deployment.status in {"PENDING", "IN_PROGRESS"}:
                self._cloud.calls(
                    "ecs", "StopServiceDeployment", serviceDeploymentArn=deployment.arn, stopType="ROLLBACK"
                )


class WaitingClock:
    """A clock whose sleep shows progress and notices interrupts."""

    def __init__(self, clock: Clock, interrupts: Interrupts, look: Callable[[], None]) -> None:
        self._clock = clock
        self._interrupts = interrupts
        self._look = look
        self.cloud: WatchedCloud | None = None

    def now(self) -> datetime:
        return self._clock.now()

    def sleep(self, seconds: float) -> None:
        self._look()
        left = seconds
        while left > 0:
            if self.cloud is not None:
                self._interrupts.while_waiting(self.cloud.stop_deployments)
            self._clock.sleep(min(SLICE_S, left) if self._is_real else left)
            left -= min(SLICE_S, left) if self._is_real else left

    @property
    def _is_real(self) -> bool:
        return not getattr(self._clock, "steps_time", False)
