"""Every compiled kernel of the packer is there before a time limit starts."""

from __future__ import annotations

import subprocess
import sys

from tests.conftest import ROOT

UNLOADED = """
import importlib, pkgutil
from numba.core.registry import CPUDispatcher
import planner.packing
from planner.packing import load_kernels

load_kernels()
for module in pkgutil.iter_modules(planner.packing.__path__):
    for name, kernel in vars(importlib.import_module(f"planner.packing.{module.name}")).items():
        if isinstance(kernel, CPUDispatcher) and not kernel.signatures:
            print(f"{kernel.py_func.__module__}.{name}", module.name)
"""
OF_THE_REPLAY = "planner.packing.scheduler_kernels"


def test_no_kernel_is_left_to_load_in_the_time_limit() -> None:
    """In a process of its own, where no other test has used one."""
    done = subprocess.run(
        [sys.executable, "-c", UNLOADED], cwd=ROOT, capture_output=True, text=True, check=True, timeout=300
    )

    found = [line.split() for line in done.stdout.splitlines()]
    # What only kernels call is compiled into them.
    used = {kernel for kernel, user in found if user not in kernel.split(".") and not user.endswith("_kernels")}
    assert sorted(kernel for kernel in used if not kernel.startswith(OF_THE_REPLAY)) == []
