"""The "ECS deploy" Jupyter kernel: IPython with a write guard, a record and the verbs of `deploy` as magics.

`%load_ext deploy.kernel` in a notebook says whether it runs where it should.
"""

from __future__ import annotations

from typing import Any

KERNEL_NAME = "ecs-deploy"
DISPLAY_NAME = "ECS deploy"


def load_ipython_extension(shell: Any) -> None:
    """Nothing to do in our kernel; in any other the notebook stops here."""
    from deploy.kernel.refusals import KernelRefusal

    kernel = getattr(shell, "kernel", None)
    if getattr(kernel, "implementation", "") != KERNEL_NAME:
        raise KernelRefusal(
            f'this notebook needs the kernel "{DISPLAY_NAME}", where AWS writes are guarded: choose it under '
            f"Kernel > Change Kernel, or run papermill with -k {KERNEL_NAME} (install it with "
            "`deploy kernel install`). Nothing was written."
        )
