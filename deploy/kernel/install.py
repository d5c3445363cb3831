"""Install the kernelspec: a folder with kernel.json and the logos, where Jupyter looks for it.

Its command is `python`, without a path: Jupyter resolves that to the environment's own interpreter, so the
folder may be copied and committed.
"""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.kernel import DISPLAY_NAME, KERNEL_NAME

LOGOS = ("logo-svg.svg", "logo-32x32.png", "logo-64x64.png")

SPEC: dict[str, Any] = {
    "argv": ["python", "-m", "deploy.kernel", "-f", "{connection_file}"],
    "display_name": DISPLAY_NAME,
    "language": "python",
    "interrupt_mode": "signal",
    "metadata": {"debugger": False},
}


@dataclass(frozen=True, slots=True)
class Installed:
    """A kernelspec on this machine."""

    path: Path
    is_ours: bool
    """Whether it starts this package."""


def install(*, user: bool = False, prefix: Path | None = None) -> Path:
    """Write the kernelspec into the user's folder, a prefix, or (neither given) this environment.

    Raises OSError where the folder cannot be written. Installing again replaces what is there.
    """
    target = spec_folder(user=user, prefix=prefix)
    fresh = target.with_name(f".{KERNEL_NAME}.new")
    if fresh.exists():
        shutil.rmtree(fresh)
    fresh.mkdir(parents=True)
    (fresh / "kernel.json").write_text(json.dumps(SPEC, indent=2) + "\n", encoding="utf-8")
    for name in LOGOS:
        shutil.copyfile(Path(__file__).parent / "spec" / name, fresh / name)
    if target.exists():
        shutil.rmtree(target)
    fresh.rename(target)
    return target


def spec_folder(*, user: bool = False, prefix: Path | None = None) -> Path:
    """Where Jupyter looks for the kernelspec of a user, a prefix or this environment."""
    if user:
        from jupyter_core.paths import jupyter_data_dir

        return Path(jupyter_data_dir()) / "kernels" / KERNEL_NAME
    return (prefix or Path(sys.prefix)) / "share" / "jupyter" / "kernels" / KERNEL_NAME


def find() -> Installed | None:
    """The kernelspec that Jupyter would start; None if there is none."""
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    try:
        found = KernelSpecManager().get_kernel_spec(KERNEL_NAME)
    except NoSuchKernel:
        return None
    return Installed(Path(found.resource_dir), "deploy.kernel" in found.argv)


def uninstall() -> Path | None:
    """Remove the kernelspec that Jupyter would start; None if there is none."""
    found = find()
    if found is None:
        return None
    shutil.rmtree(found.path)
    return found.path
