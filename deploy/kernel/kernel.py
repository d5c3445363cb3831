"""The kernel: IPython's, with the guard put in place before anything else, and the verbs as magics.

Everything that decides is made here once and kept in closures: a cell finds no object by which to open a run.
"""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any, NoReturn

from ipykernel.ipkernel import IPythonKernel
from ipykernel.zmqshell import ZMQInteractiveShell

from deploy.kernel import credentials, guard
from deploy.kernel.record import Record, redact
from deploy.kernel.refusals import GuardTampered, KernelRefusal
from deploy.kernel.session import Hands, Session

BANNER = (
    "ECS deploy: reads of AWS pass; every write is refused unless it is a step of an approved bundle that %apply "
    "carries out. Verbs: %plan %check %diff %approve %apply %watch %verify %rollback %drift %history"
)


JUDGES = ("deploy", "planner", "base64", "builtins", "contextlib", "cryptography", "hashlib", "json")
"""Packages on whose functions it rests whether a bundle is approved: none may be another than at the start."""

SHELLS_OWN = frozenset(f"builtins.{name}" for name in ("display", "exit", "get_ipython", "help", "input", "quit"))
"""What IPython itself puts in place of."""


class DeployShell(ZMQInteractiveShell):
    """IPython's shell, with one sentence for a verb that does not exist."""

    def run_line_magic(self, magic_name: str, line: str, _stack_depth: int = 1) -> Any:
        manager: Any = self.magics_manager
        if not any(magic_name in manager.magics[kind] for kind in ("line", "cell")) and not lazy(self, magic_name):
            known = sorted(manager.magics["line"])
            near = difflib.get_close_matches(magic_name, known, n=1)
            hint = f"did you mean %{near[0]}?" if near else "%lsmagic lists what there is."
            raise KernelRefusal(f"There is no %{magic_name}: {hint} Nothing was done.")
        return super().run_line_magic(magic_name, line, _stack_depth + 1)


def lazy(shell: Any, name: str) -> bool:
    """Whether IPython would load an extension for this magic."""
    return name in (shell.magics_manager.lazy_magics or {})


def prepare() -> tuple[Session, Record, guard.Guard]:
    """Take the credentials out of the environment, put the guard in place, load what the verbs stand on."""
    taken = credentials.take_from(os.environ)
    started = datetime.now(UTC)
    record = Record(lambda: datetime.now(UTC), f"{started:%Y%m%dT%H%M%SZ}-{os.getpid()}")
    approvers = _allow_list()
    guarding = guard.install(record.observe, _evidence(approvers))
    holder = credentials.Holder(taken, guarding.credentials)
    session = Session(_hands(guarding, holder, approvers))
    return session, record, guarding


def _allow_list() -> Any:
    """Who may approve, read once: a cell that writes the file later changes nothing."""
    from deploy.keys import KeyProblem, default_approvers_path, read_approvers

    try:
        found = read_approvers(default_approvers_path())
    except KeyProblem as problem:
        text = f"{problem} Then restart the kernel: it reads the list when it starts."

        def refuse() -> NoReturn:
            raise KeyProblem(text)

        return refuse
    return lambda: found


def _evidence(approvers: Any) -> Any:
    """What the guard asks before it lets a run's steps through."""
    import deploy.apply
    import deploy.aws
    import deploy.rollback
    import deploy.verbs
    import deploy.verify
    from deploy.authorise import current_step
    from deploy.kernel.held import hold_many, library_points
    from deploy.kernel.permits import announced, open_run, step_refusal

    assert deploy.apply
    changed = hold_many([p for p in library_points(JUDGES) if p.label not in SHELLS_OWN])

    def require_whole() -> None:
        altered = changed()
        if altered is not None:
            raise GuardTampered(guard.TAMPERED.format(what=altered))

    def evidence(config: Any, approval: Any, lock: str | None, taking_back: bool = False) -> guard.Allows:
        require_whole()
        run = open_run(config, approval, approvers(), datetime.now(UTC), lock, taking_back)

        def allows(service: str, operation: str, region: str, parameters: Any) -> str | None:
            require_whole()
            return step_refusal(run, current_step(), announced(), (service, operation), region, parameters)

        return allows

    return evidence


def _hands(guarding: guard.Guard, holder: credentials.Holder, approvers: Any) -> Hands:
    from deploy.clock import clock_for

    deploy_role = os.environ.get(credentials.DEPLOY_ROLE)

    def boto_session(to_write: bool, endpoint_url: str | None) -> Any:
        import boto3

        if to_write and not guarding.is_running():
            raise KernelRefusal(
                "The deploy role is assumed inside %apply and %rollback only. Nothing was written."
            )
        session = boto3.Session(botocore_session=holder.session(deploy_role)) if to_write else boto3.Session()
        if session.get_credentials() is None and _is_loopback(endpoint_url):
            from deploy.sandbox.sandbox import CREDENTIALS

            return boto3.Session(CREDENTIALS["aws_access_key_id"], CREDENTIALS["aws_secret_access_key"])
        return session

    @contextmanager
    def run(*given: Any, **options: Any) -> Iterator[None]:
        """A run of the guard, after which the deploy role's credentials are forgotten."""
        try:
            with guarding.run(*given, **options):
                yield
        finally:
            holder.forget(deploy_role)

    return Hands(
        boto_session=boto_session,
        clock=lambda endpoint_url: clock_for(endpoint_url, guarding.control),
        run=run,
        approvers=approvers,
        remember_endpoint=guarding.remember_endpoint,
    )


def _is_loopback(endpoint_url: str | None) -> bool:
    from urllib.parse import urlsplit

    return bool(endpoint_url) and urlsplit(endpoint_url or "").hostname in guard.LOOPBACK


def kernel_class() -> type[IPythonKernel]:
    """The kernel, closed over what only it may use."""
    session, record, guarding = prepare()
    status = guarding.status

    class EcsDeployKernel(IPythonKernel):
        implementation = "ecs-deploy"
        banner = BANNER
        shell_class = DeployShell

        def __init__(self, **options: Any) -> None:
            start: Any = super().__init__
            start(**options)
            from deploy.kernel.completion import add_completers
            from deploy.kernel.magics import DeployMagics

            shell: Any = self.shell
            shell.register_magics(DeployMagics(shell, session, record))
            add_completers(shell)

        async def do_execute(self, code: str, silent: bool, *args: Any, **options: Any) -> dict[str, Any]:
            if not silent:
                record.append("cell", _cell(code))
            broken = status()
            if broken is not None:
                return self._refuse(GuardTampered(broken), silent)
            execute: Any = super().do_execute
            reply: dict[str, Any] = await execute(code, silent, *args, **options)
            record.flush()
            broken = status()
            if broken is not None and reply.get("ename") != GuardTampered.__name__:
                return self._refuse(GuardTampered(broken), silent)
            return reply

        def do_shutdown(self, restart: bool) -> Any:
            record.append("end", {"restart": restart})
            shut_down: Any = super().do_shutdown
            return shut_down(restart)

        def _refuse(self, error: KernelRefusal, silent: bool) -> dict[str, Any]:
            record.append("refused", {"reason": str(error)})
            content = {
                "ename": type(error).__name__,
                "evalue": str(error),
                "traceback": error._render_traceback_(),
            }
            if not silent:
                send: Any = self.send_response
                send(self.iopub_socket, "error", content)
            return {"status": "error", "execution_count": self.execution_count, **content}

    return EcsDeployKernel


def _cell(code: str) -> dict[str, str]:
    import hashlib

    return {"sha256": hashlib.sha256(code.encode("utf-8", "replace")).hexdigest(), "text": redact(code)}


def main() -> None:
    """Start the kernel: `python -m deploy.kernel -f connection.json`."""
    if sys.path and sys.path[0] == "":
        del sys.path[0]  # a botocore.py beside the notebook must not stand in for botocore
    with suppress(KeyError):
        del os.environ["PYTHONINSPECT"]
    from ipykernel.kernelapp import IPKernelApp

    IPKernelApp.launch_instance(kernel_class=kernel_class())
