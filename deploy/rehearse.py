"""The main job from end to end against the sandbox: what `make report` runs.

Each step is what a user would do, as a user would do it: `planner report` and papermill run as programs of
their own, so nothing here shares memory with the planner's thinking. The key pair that signs the approval
is made for the rehearsal and thrown away with it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from planner.documents import PlanDocument, load_plan
from planner.terminal import BadInput, Refusal, UserError
from planner.units import usd_per_month

if TYPE_CHECKING:
    from deploy.sandbox import Sandbox

ROOT: Final = Path(__file__).resolve().parent.parent
CLUSTER: Final = "public-services"
SPEED: Final = 60.0
"""Sandbox seconds in one real second while the plan is carried out: a rollout of minutes takes seconds."""
APPROVER: Final = "rehearsal approver"
CEILING_OVER_PLAN: Final = 1.25

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """Where everything lies, and the three lines an architect wants."""

    run: Path
    today_usd_per_month: float
    plan_usd_per_month: float
    changes: tuple[str, ...]
    verified: bool

    @property
    def report(self) -> Path:
        return self.run / "report.html"

    @property
    def plan(self) -> Path:
        return self.run / "plan.json"

    @property
    def config(self) -> Path:
        return self.run / "config" / "config.json"

    @property
    def journal(self) -> Path:
        return self.run / "journal"


def rehearse(
    out: Path,
    say: Say,
    *,
    seed: int = 0,
    prepare: Callable[[Sandbox], None] = lambda _sandbox: None,
    inspect: Callable[[Sandbox, Path], None] = lambda _sandbox, _run: None,
) -> Rehearsal:
    """Load the sample estate into a sandbox, plan it, carry the plan out. Raises UserError where a step fails.

    `prepare` may change the loaded estate, e.g. put other metrics under it; `inspect` sees the sandbox and
    the run folder while the applied state is still live.
    """
    from deploy.sandbox import Sandbox

    say("Starting the sandbox and loading the sample estate")
    with Sandbox(seed=seed) as sandbox, tempfile.TemporaryDirectory(prefix="ecs-rehearsal-") as scratch:
        sandbox.load_sample(seed=seed)
        prepare(sandbox)
        environment = {**os.environ, **sandbox.environment()}
        say("Pulling metrics, planning, writing the report")
        made = _report(out, sandbox, environment)
        run = Path(made["run"])
        say("Emitting the configuration")
        _notebook("emit", run, {"plan": str(run / "plan.json"), "out": str(run / "config")}, environment)
        say("Having it approved")
        environment |= _approve(run, sandbox, Path(scratch))
        say("Applying and verifying it in the deploy notebook")
        sandbox.world.clock.speed = SPEED
        _notebook("deploy", run, _deploy_parameters(run, sandbox), environment)
        verified = _verify(run, environment)
        inspect(sandbox, run)
    return Rehearsal(
        run, made["today_usd_per_month"], made["plan_usd_per_month"], tuple(made["changes"]), verified
    )


def _report(out: Path, sandbox: Sandbox, environment: Mapping[str, str]) -> dict[str, Any]:
    """`planner report` on the sandbox. The store starts empty: other rehearsals are other estates."""
    store = out / "rehearsal-store"
    shutil.rmtree(store, ignore_errors=True)
    arguments = [
        "report", "--cluster", CLUSTER, "--region", sandbox.region, "--since", "15d",
        "--as-of", sandbox.now.isoformat(), "--store", str(store), "--out", str(out),
    ]  # fmt: skip
    answer: dict[str, Any] = json.loads(_program("planner", [*arguments, "--json"], environment))
    return answer


def _approve(run: Path, sandbox: Sandbox, scratch: Path) -> dict[str, str]:
    """Sign the bundle with a new key; returns the environment in which that key is trusted."""
    from deploy import session
    from deploy.approve import dump_approval
    from deploy.keys import local_approver, new_key, trust
    from deploy.verbs import approve_bundle

    plan = load_plan(run / "plan.json")
    bundle = session.read_bundle(run / "config" / "config.json")
    public = new_key(scratch / "approver.pem")
    trust(run / "approvers.json", local_approver(APPROVER, public))
    os.environ.update(sandbox.environment())
    with session.errors_told():
        approval = approve_bundle(
            bundle,
            session.cloud(bundle, session.Target(sandbox.region, sandbox.endpoint_url, None)),
            str(scratch / "approver.pem"),
            approver=APPROVER,
            reason="rehearsal in the sandbox",
            expires_in=timedelta(hours=8),
            cost_ceiling_usd_per_month=CEILING_OVER_PLAN * _plan_cost(plan),
        )
    dump_approval(approval, run / "approval.json")
    return {"ECS_DEPLOY_APPROVERS": str((run / "approvers.json").resolve())}


def _plan_cost(plan: PlanDocument) -> float:
    return usd_per_month(plan.cost.plan_usd_per_hour)


def _deploy_parameters(run: Path, sandbox: Sandbox) -> dict[str, str]:
    return {
        "bundle": str((run / "config" / "config.json").resolve()),
        "approval": str((run / "approval.json").resolve()),
        "journal": str((run / "journal").resolve()),
        "endpoint_url": sandbox.endpoint_url,
        "region": sandbox.region,
    }


def _verify(run: Path, environment: Mapping[str, str]) -> bool:
    """Once more from outside the notebook: what is live is what was approved."""
    told = json.loads(_program("deploy", ["verify", str(run / "config" / "config.json"), "--json"], environment))
    return bool(told["ok"])


def _notebook(name: str, run: Path, parameters: Mapping[str, str], environment: Mapping[str, str]) -> None:
    """Run notebooks/NAME.ipynb with papermill; the executed copy is the record of the step."""
    source = ROOT / "notebooks" / f"{name}.ipynb"
    if not source.is_file():
        raise BadInput(f"There is no notebook {source}: run from a checkout.")
    chosen = [word for key, value in parameters.items() for word in ("-r", key, value)]
    arguments = [str(source), str(run / f"{name}.ipynb"), *chosen, "--no-progress-bar", "--no-log-output"]
    _program("papermill", arguments, environment)


def _program(name: str, arguments: list[str], environment: Mapping[str, str]) -> str:
    """Run one of the installed programs; its one sentence becomes ours when it refuses."""
    command = [str(Path(sys.executable).with_name(name)), *arguments]
    done = subprocess.run(command, env=dict(environment), capture_output=True, text=True, check=False)
    if done.returncode:
        raise _failure(name, done)
    return done.stdout


def _failure(name: str, done: subprocess.CompletedProcess[str]) -> UserError:
    try:
        told = str(json.loads(done.stdout)["error"])
    except (ValueError, KeyError, TypeError):
        lines = [line for line in done.stderr.strip().splitlines() if line.strip()]
        told = lines[-1] if lines else f"exit code {done.returncode} and no message"
    return Refusal(f"The rehearsal stopped at {name}: {told}")
