"""The main job from end to end against the sandbox: what `make report` runs.

Each step is what a user would do: `planner report` is a program of its own, and the emit and deploy notebooks
run with papermill in kernels of their own, so nothing here shares memory with the planner's thinking. The key
pair that signs the approval is made for the rehearsal and thrown away with it.
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from planner.documents import PlanDocument, load_plan
from planner.terminal import BadInput, Refusal
from planner.units import usd_per_month

if TYPE_CHECKING:
    from deploy.sandbox import Sandbox

ROOT: Final = Path(__file__).resolve().parent.parent
CLUSTER: Final = "public-services"
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
        with _environment(sandbox.environment()):
            say("Pulling metrics, planning, writing the report")
            made = _report(out, sandbox)
            run = Path(made["run"])
            say("Emitting the configuration")
            _notebook("emit", run, {"plan": str(run / "plan.json"), "out": str(run / "config")})
            say("Having it approved")
            approvers = _approve(run, sandbox, Path(scratch))
            say("Applying and verifying it in the deploy notebook")
            with _environment({"ECS_DEPLOY_APPROVERS": str(approvers)}):
                _notebook("deploy", run, _deploy_parameters(run, sandbox))
            say("Reading the live state once more")
            verified = _verify(run)
        inspect(sandbox, run)
    return Rehearsal(
        run, made["today_usd_per_month"], made["plan_usd_per_month"], tuple(made["changes"]), verified
    )


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Environment variables for the kernels started meanwhile; afterwards they are as before."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _report(out: Path, sandbox: Sandbox) -> dict[str, Any]:
    """`planner report` on the sandbox. The store starts empty: other rehearsals are other estates."""
    store = out / "rehearsal-store"
    shutil.rmtree(store, ignore_errors=True)
    arguments = [
        "report", "--cluster", CLUSTER, "--region", sandbox.region, "--since", "15d",
        "--as-of", sandbox.now.isoformat(), "--store", str(store), "--out", str(out), "--json",
    ]  # fmt: skip
    program = str(Path(sys.executable).with_name("planner"))
    # The notebooks come next; importing papermill takes seconds, in which this process only waits.
    threading.Thread(target=importlib.import_module, args=("papermill",), daemon=True).start()
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Refusal(f"The rehearsal stopped at planner report: {_sentence(done)}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def _sentence(done: subprocess.CompletedProcess[str]) -> str:
    """What a program that refused told."""
    try:
        return str(json.loads(done.stdout)["error"])
    except (ValueError, KeyError, TypeError):
        lines = [line for line in done.stderr.strip().splitlines() if line.strip()]
        return lines[-1] if lines else f"exit code {done.returncode} and no message"


def _approve(run: Path, sandbox: Sandbox, scratch: Path) -> Path:
    """Sign the bundle with a new key; returns the file of approvers in which that key is trusted."""
    from deploy import session
    from deploy.approve import dump_approval
    from deploy.keys import local_approver, new_key, trust
    from deploy.verbs import approve_bundle

    plan = load_plan(run / "plan.json")
    bundle = session.read_bundle(run / "config" / "config.json")
    public = new_key(scratch / "approver.pem")
    trust(run / "approvers.json", local_approver(APPROVER, public))
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
    return (run / "approvers.json").resolve()


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


def _verify(run: Path) -> bool:
    """Once more from outside the notebook: what is live is what was approved."""
    from deploy import session
    from deploy.verify import verify

    bundle = session.read_bundle(run / "config")
    with session.errors_told():
        cloud = session.cloud(bundle, session.Target())
        checks = verify(bundle, cloud, cloud.calls.clock)
    return all(check.status != "NG" for check in checks)


def _notebook(name: str, run: Path, parameters: Mapping[str, str]) -> None:
    """Run notebooks/NAME.ipynb with papermill; the executed copy is the record of the step."""
    import papermill
    from papermill.exceptions import PapermillExecutionError

    source = ROOT / "notebooks" / f"{name}.ipynb"
    if not source.is_file():
        raise BadInput(f"There is no notebook {source}: run from a checkout.")
    try:
        papermill.execute_notebook(
            str(source),
            str(run / f"{name}.ipynb"),
            dict(parameters),
            progress_bar=False,
            log_output=False,
            extra_arguments=["--log-level=ERROR"],
        )
    except PapermillExecutionError as error:
        raise Refusal(f"The rehearsal stopped in {name}.ipynb: {error.evalue}") from None
