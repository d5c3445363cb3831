"""The table of docs/guide/faults.md, counts taken from the tests; `python -m tests.faults.table` writes it."""

from __future__ import annotations

from tests.conftest import ROOT
from tests.deploy import test_every_call as every
from tests.deploy import test_replacement as replacement
from tests.deploy.every_call import SAMPLE_SERVICES
from tests.deploy.test_apply import WRITES
from tests.deploy.test_faults_on_sandbox import READS
from tests.deploy.test_on_sandbox import WRITES as OPERATIONS

PAGE = ROOT / "docs" / "guide" / "faults.md"
BEGIN, END = "<!-- counts: python -m tests.faults.table -->\n", "<!-- end of counts -->\n"


def rows() -> list[tuple[str, str, str]]:
    """Fault, what happens, and how many tests hold it."""
    forth, back, waves = every.CALLS, every.CALLS_BACK, replacement.WRITES
    eleven = f"{every.SAMPLE_WRITES} writes of {len(SAMPLE_SERVICES)} services"
    return [
        (
            "a call is refused",
            "named failure, scaling thawed, taken back",
            f"{forth} calls of an apply and {back} of a rollback in memory; {len(OPERATIONS)} writing and "
            f"{len(READS)} reading operations on the sandbox",
        ),
        (
            "a call times out without effect",
            "a read is repeated, a write read back and made again; goes on, or named failure and taken back",
            f"{forth} + {back} calls in memory; every read of an apply at once on the sandbox",
        ),
        (
            "a call takes effect and its answer is lost",
            "read back; goes on",
            f"{forth} + {back} calls in memory, {waves} writes of a replacement; "
            f"all {len(OPERATIONS)} writing operations at once on the sandbox",
        ),
        ("a call is throttled", "waited out; goes on", "every call of an apply and a rollback on the sandbox"),
        (
            "killed before a call, or after it and before the note of it",
            "resumed, or taken back",
            f"{forth} calls x 2 x 2 in memory; {eleven} x 2 x 2; {waves} writes of a replacement x 2 x 2",
        ),
        ("the process is killed by the system (SIGKILL)", "taken back by a new process", "3 on the sandbox"),
        ("the rollback is killed", "finished by the next one", "12 in memory"),
        (
            "credentials expire half-way",
            "told, with what is still suspended; taken back with new ones",
            f"{WRITES} in memory",
        ),
        ("two applies at once", "the second is refused by the lock", "1, and 4 for each remote lock"),
        ("changed by hand between approval and apply", "refused before any write", "1"),
        ("changed by hand during the run", "stopped; the hand's change stays", "1"),
        ("changed by hand while a run was interrupted", "the resume is refused", "1"),
        ("changed by hand after the run", "rollback leaves it alone and says so", "1"),
        (
            "the circuit breaker rolls back",
            "named failure with stop reasons and log lines",
            "2 in memory, 1 on the sandbox",
        ),
        ("a deployment stalls, is stopped, or is superseded", "named failure each", "3 in memory"),
        ("a rule's target group has no healthy target", "named failure; no request was moved", "1 on the sandbox"),
        (
            "the approval is altered by a byte, expired, for another account, by another key, by the author",
            "refused before any write",
            "one each, and every field and every 11th byte",
        ),
        (
            "the journal is altered, or another one is put in its place",
            "refused before anything is restored",
            "bundle, state before, approval, steps, changes, signer",
        ),
    ]


def rendered() -> str:
    lines = ["| fault | what happens | tests |", "| --- | --- | --- |"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows())]) + "\n"


def written(page: str) -> str:
    """The page with its table made anew."""
    start, _, rest = page.partition(BEGIN)
    _, _, end = rest.partition(END)
    return f"{start}{BEGIN}\n{rendered()}\n{END}{end}"


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
