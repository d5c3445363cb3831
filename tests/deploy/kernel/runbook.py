"""A sandbox with a small estate, a bundle for it, an approval, and a kernel to run cells in."""

from __future__ import annotations

import json
import os
import queue
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from deploy.approve import approve, dump_approval
from deploy.diff import diff
from deploy.emit import config_from_plan
from deploy.kernel import KERNEL_NAME
from deploy.kernel.install import install
from deploy.keys import trust
from deploy.observe import observe
from deploy.sandbox import Sandbox
from deploy.verbs import check_bundle
from planner.documents import ConfigDocument, dump_config
from tests.deploy.estate import Person, build, cloud_of, person, plan_for

CREDENTIALS = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_PROFILE",
    "AWS_ENDPOINT_URL",
)


@dataclass(frozen=True)
class Runbook:
    """Files and names of one deployment that is ready to be applied."""

    sandbox: Sandbox
    folder: Path
    config: ConfigDocument
    approver: Person

    @property
    def bundle(self) -> Path:
        return self.folder / "config.json"

    @property
    def approval(self) -> Path:
        return self.folder / "approval.json"

    @property
    def journal(self) -> Path:
        return self.folder / "journal"

    @property
    def runs(self) -> list[Path]:
        return sorted(self.journal.glob("*.jsonl"))

    @property
    def records(self) -> list[Path]:
        return sorted((self.journal / "kernel").glob("*.jsonl"))

    @property
    def parameters(self) -> dict[str, str]:
        return {
            "bundle": str(self.bundle),
            "approval": str(self.approval),
            "journal": str(self.journal),
            "endpoint_url": self.sandbox.endpoint_url,
            "region": self.sandbox.region,
        }

    @property
    def plan(self) -> str:
        """The cell that takes the bundle up."""
        return f'%plan "{self.bundle}" --journal "{self.journal}" --endpoint-url {self.sandbox.endpoint_url}'

    def approve(self, *, now: datetime | None = None, expires_in: timedelta = timedelta(hours=8)) -> None:
        """Have the bundle approved as it stands."""
        cloud = cloud_of(self.sandbox)
        observation = observe(self.config, cloud)
        approval = approve(
            self.config,
            observation,
            check_bundle(self.config, cloud),
            diff(observation.live, observation.wanted, self.config),
            approver=self.approver.name,
            reason="cheaper at the same objective",
            now=now or datetime.now(UTC),
            expires_in=expires_in,
            cost_ceiling_usd_per_month=10_000,
            signer=self.approver.signer,
        )
        dump_approval(approval, self.approval)

    def writes(self) -> list[str]:
        """The AWS calls made so far that change something, as `service:Operation`."""
        reads = ("Describe", "List", "Get", "Head", "BatchGet", "Simulate")
        return [f"{c.service}:{c.operation}" for c in self.sandbox.calls if not c.operation.startswith(reads)]


@contextmanager
def runbook(folder: Path, services: tuple[str, ...] = ("web",)) -> Iterator[Runbook]:
    """A sandbox whose estate is built and whose bundle is approved; nothing is applied yet."""
    with Sandbox() as sandbox:
        build(sandbox, services)
        for service in services:
            push_image(sandbox, service)
        config = config_from_plan(plan_for(services))
        dump_config(config, folder / "config.json")
        ready = Runbook(sandbox, folder, config, person(folder))
        trust(folder / "approvers.json", ready.approver.approver)
        ready.approve()
        sandbox.forget_calls()
        yield ready


def push_image(sandbox: Sandbox, repository: str) -> None:
    """The image that the estate's task definitions name."""
    ecr = sandbox.client("ecr")
    ecr.create_repository(repositoryName=repository)
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
        "config": {"mediaType": "application/vnd.docker.container.image.v1+json", "digest": "sha256:" + "1" * 64},
        "layers": [],
    }
    ecr.put_image(repositoryName=repository, imageManifest=json.dumps(manifest), imageTag="1.0")


@contextmanager
def environment(ready: Runbook) -> Iterator[dict[str, str]]:
    """The environment of a kernel: our kernelspec on Jupyter's path, the allow-list named, no credentials."""
    prefix = ready.folder / "jupyter"
    install(prefix=prefix)
    changed = {
        "JUPYTER_PATH": str(prefix / "share" / "jupyter"),
        "ECS_DEPLOY_APPROVERS": str(ready.folder / "approvers.json"),
        "IPYTHONDIR": str(ready.folder / "ipython"),
        "AWS_REGION": ready.sandbox.region,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    before = {name: os.environ.get(name) for name in (*changed, *CREDENTIALS)}
    for name in CREDENTIALS:
        os.environ.pop(name, None)
    os.environ.update(changed)
    try:
        yield dict(os.environ)
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@dataclass
class Answer:
    """How a cell ended, and what it showed."""

    status: str = "ok"
    name: str = ""
    message: str = ""
    text: list[str] = field(default_factory=list)
    html: list[str] = field(default_factory=list)
    stream: str = ""

    @property
    def shown(self) -> str:
        return "\n".join([*self.text, self.stream])


class Kernel:
    """A started kernel, spoken to as a frontend does."""

    def __init__(self, manager: Any, client: Any) -> None:
        self.manager = manager
        self.client = client

    def run(self, code: str, timeout: float = 120) -> Answer:
        return self.finish(self.client.execute(code), timeout)

    def finish(self, message_id: str, timeout: float = 120) -> Answer:
        answer = Answer()
        while True:
            try:
                message = self.client.get_iopub_msg(timeout=timeout)
            except queue.Empty:
                raise AssertionError(f"the kernel said nothing for {timeout} s") from None
            if message["parent_header"].get("msg_id") != message_id:
                continue
            content = message["content"]
            match message["msg_type"]:
                case "stream":
                    answer.stream += content["text"]
                case "display_data" | "execute_result" | "update_display_data":
                    answer.text.append(content["data"].get("text/plain", ""))
                    answer.html.append(content["data"].get("text/html", ""))
                case "error":
                    answer.status, answer.name, answer.message = "error", content["ename"], content["evalue"]
                case "status" if content["execution_state"] == "idle":
                    return answer


@contextmanager
def kernel(name: str = KERNEL_NAME) -> Iterator[Kernel]:
    from jupyter_client.manager import start_new_kernel

    manager, client = start_new_kernel(kernel_name=name, startup_timeout=120)
    try:
        yield Kernel(manager, client)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
