"""Run the report notebook with papermill, whole or not at all."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from planner.documents import load_plan
from planner.report.page import summary
from planner.settings import Settings, parse_settings, read_settings
from planner.terminal import BadInput, Refusal, progress

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "report.ipynb"
_USER_ERRORS = {"BadInput": BadInput, "Refusal": Refusal}


@dataclass(frozen=True, slots=True)
class ReportRequest:
    cluster: str
    region: str | None
    profile: str | None
    since: str
    as_of: str | None
    out: Path
    store: Path
    endpoint_url: str | None
    params: Path | None
    notebook: Path | None = None
    prices: Path | None = None
    """Folder of `planner prices refresh`; None: the embedded prices."""
    bill_tag: str | None = None
    """Cost allocation tag whose bill is read from Cost Explorer; None: none is read."""


def run_report(request: ReportRequest) -> dict[str, Any]:
    """Execute the notebook into a new folder below `request.out`; returns the paths and the three figures.

    A run that fails leaves no folder behind. Raises BadInput or Refusal with the sentence that the failing
    cell gave.
    """
    settings = parse_settings(read_settings(request.params), str(request.params or "parameters"))
    notebook = request.notebook or NOTEBOOK
    if not notebook.is_file():
        raise BadInput(f"There is no notebook {notebook}: run from a checkout, or pass --notebook.")
    request.out.mkdir(parents=True, exist_ok=True)
    folder = _new_folder(request)
    partial = folder.with_name(f".partial-{folder.name}")
    partial.mkdir()
    try:
        _execute(notebook, partial, request, settings)
        plan = load_plan(partial / "plan.json")
        partial.replace(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    told = summary(plan)
    return {
        "run": str(folder),
        "report": str(folder / "report.html"),
        "plan": str(folder / "plan.json"),
        "notebook": str(folder / "report.ipynb"),
        "today_usd_per_month": round(told["today"], 2),
        "plan_usd_per_month": round(told["plan"], 2),
        "changes": told["changes"],
    }


def _new_folder(request: ReportRequest) -> Path:
    """`<cluster>-<number>`: the first number that is free, so an earlier run is never overwritten."""
    safe = re.sub(r"[^A-Za-z0-9._-]+", "-", request.cluster).strip("-.") or "cluster"
    number = 1
    while (request.out / f"{safe}-{number:03}").exists():
        number += 1
    return request.out / f"{safe}-{number:03}"


def _execute(notebook: Path, folder: Path, request: ReportRequest, settings: Settings) -> None:
    import papermill
    from papermill.exceptions import PapermillExecutionError

    parameters = {
        "cluster": request.cluster,
        "region": request.region or "",
        "profile": request.profile or "",
        "endpoint_url": request.endpoint_url or "",
        "since": request.since,
        "as_of": request.as_of or "",
        "store": str(request.store.resolve()),
        "bill_tag": request.bill_tag or "",
        "prices": str(request.prices.resolve()) if request.prices else "",
        "out": str(folder.resolve()),
        **settings.model_dump(mode="json"),
    }
    with progress(f"Planning {request.cluster}", total=None):
        try:
            papermill.execute_notebook(
                str(notebook), str(folder / "report.ipynb"), parameters, kernel_name="python3", progress_bar=False,
                log_output=False, cwd=str(folder), extra_arguments=["--log-level=ERROR"],
            )  # fmt: skip
        except PapermillExecutionError as error:
            raise _as_user_error(error) from None


def _as_user_error(error: Any) -> Exception:
    """The sentence of the cell that failed; anything else is a defect of ours and stays a traceback."""
    kind = _USER_ERRORS.get(error.ename)
    return kind(error.evalue) if kind else error
