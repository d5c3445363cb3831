"""The sandbox's control calls over HTTP, under /sandbox/: clock, faults, calls made, status, stop."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from deploy.sandbox.replies import Reply

if TYPE_CHECKING:
    from deploy.sandbox.sandbox import Sandbox


class BadControl(ValueError):
    """A control call that cannot be understood; its text says what to send."""


class Control:
    """Answers control calls. Bodies and answers are JSON objects.

    GET  /sandbox/status                                    what runs and what is stored
    POST /sandbox/clock   {"advance_seconds": 60}           let time pass; {"speed": 60} sets its pace
    POST /sandbox/faults  {"service", "operation", "kind", "nth", "times"};  DELETE clears them
    GET  /sandbox/calls                                     the AWS calls made so far;  DELETE forgets them
    POST /sandbox/sample  {"seed": 0}                       load the sample estate
    POST /sandbox/metrics {"service", "metric", "timestamps_s", "values", ...}   load a metric
    POST /sandbox/images  {"break": pattern, "failure"} | {"mend": pattern} | {"push": reference}
    POST /sandbox/stop                                      end the sandbox's process
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self._routes: dict[tuple[str, str], Callable[[dict[str, Any]], dict[str, Any]]] = {
            ("GET", "/sandbox/status"): self.status,
            ("GET", "/sandbox/clock"): self.status,
            ("POST", "/sandbox/clock"): self.clock,
            ("POST", "/sandbox/faults"): self.fault,
            ("DELETE", "/sandbox/faults"): self.clear_faults,
            ("GET", "/sandbox/calls"): self.calls,
            ("DELETE", "/sandbox/calls"): self.forget_calls,
            ("POST", "/sandbox/sample"): self.sample,
            ("POST", "/sandbox/metrics"): self.metrics,
            ("POST", "/sandbox/images"): self.images,
            ("POST", "/sandbox/stop"): self.stop,
        }

    def answer(self, method: str, path: str, body: bytes) -> Reply:
        handler = self._routes.get((method, path))
        if handler is None:
            return _json(404, {"error": f"the sandbox has no control call {method} {path}"})
        try:
            given = json.loads(body) if body else {}
            if not isinstance(given, dict):
                raise BadControl("send a JSON object")
            if handler == self.sample:
                # It makes AWS calls of its own, which other threads answer under the lock.
                return _json(200, handler(given))
            with self.sandbox.world.lock:
                self.sandbox.world.clock.catch_up()
                return _json(200, handler(given))
        except (ValueError, KeyError, TypeError, LookupError) as error:
            return _json(400, {"error": f"{path}: {error}"})

    def status(self, _given: dict[str, Any]) -> dict[str, Any]:
        world, store = self.sandbox.world, self.sandbox.metrics()
        return {
            "now": world.clock.now.isoformat(),
            "speed": world.clock.speed,
            "endpoint_url": self.sandbox.endpoint_url,
            "region": self.sandbox.region,
            "seed": world.seed,
            "metrics": len(store),
            "metric_points": store.points(),
            "calls": len(self.sandbox.calls),
            "faults": len(self.sandbox.faults.pending()),
        }

    def clock(self, given: dict[str, Any]) -> dict[str, Any]:
        clock = self.sandbox.world.clock
        unknown = set(given) - {"advance_seconds", "speed"}
        if unknown or not given:
            raise BadControl('send {"advance_seconds": seconds} or {"speed": times real time}')
        if "speed" in given:
            speed = float(given["speed"])
            if speed < 0:
                raise BadControl("the speed cannot be negative")
            clock.speed = speed
        clock.advance(float(given.get("advance_seconds", 0)))
        return {"now": clock.now.isoformat(), "speed": clock.speed}

    def fault(self, given: dict[str, Any]) -> dict[str, Any]:
        self.sandbox.fault(**given)
        return {"faults": len(self.sandbox.faults.pending())}

    def clear_faults(self, _given: dict[str, Any]) -> dict[str, Any]:
        self.sandbox.faults.clear()
        return {"faults": 0}

    def calls(self, _given: dict[str, Any]) -> dict[str, Any]:
        made = self.sandbox.calls
        return {
            "calls": [
                {"service": c.service, "operation": c.operation, "region": c.region, "status": c.status}
                for c in made
            ]
        }

    def forget_calls(self, _given: dict[str, Any]) -> dict[str, Any]:
        self.sandbox.forget_calls()
        return {"calls": []}

    def sample(self, given: dict[str, Any]) -> dict[str, Any]:
        if self.sandbox.world.ecs_of(self.sandbox.region).by_name:
            raise BadControl("an estate is loaded already: start a new sandbox for another one")
        self.sandbox.load_sample(int(given.get("seed", 0)))
        return self.status({})

    def metrics(self, given: dict[str, Any]) -> dict[str, Any]:
        from dataclasses import asdict

        from deploy.sandbox.loading import load

        return asdict(load(self.sandbox.world, given.pop("timestamps_s"), given.pop("values"), **given))

    def images(self, given: dict[str, Any]) -> dict[str, Any]:
        if "break" in given:
            self.sandbox.break_image(given["break"], given.get("failure", "exit"))
        elif "mend" in given:
            self.sandbox.mend_image(given["mend"])
        elif "push" in given:
            return {"digest": self.sandbox.push_image(given["push"])}
        else:
            raise BadControl('send {"break": pattern}, {"mend": pattern} or {"push": reference}')
        return {"done": True}

    def stop(self, _given: dict[str, Any]) -> dict[str, Any]:
        self.sandbox.stop_requested = True
        return {"stopping": True}


def _json(status: int, value: dict[str, Any]) -> Reply:
    return status, {"Content-Type": "application/json"}, (json.dumps(value) + "\n").encode()
