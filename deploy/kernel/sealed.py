"""A private copy of the guard's own code, which no name in this process leads to.

Python looks a function's names up when it runs, so whoever sets `deploy.kernel.operations.is_read` or
`builtins.isinstance` would change what the guard decides. So the modules that decide are run a second time, with
built-in functions of their own, into namespaces that stand in no `sys.modules`. The guard's hook uses only these.
"""

from __future__ import annotations

import builtins
import importlib.util
import sys
from types import ModuleType

SEALED = (
    "urllib.parse",
    "deploy.kernel.network",
    "deploy.kernel.operations",
    "deploy.kernel.outgoing",
    "deploy.kernel.wire",
    "deploy.kernel.body",
    "deploy.kernel.departure",
    "deploy.kernel.held",
    "deploy.kernel.integrity",
    "deploy.kernel.guard",
)
"""In the order of their imports: each finds the copies of those before it."""


def sealed(name: str) -> ModuleType:
    """A fresh private copy of a module of `SEALED`, on private copies of what it imports of them."""
    public = {each: sys.modules.get(each) for each in SEALED}
    copies: dict[str, ModuleType] = {}
    try:
        for each in SEALED:
            copies[each] = sys.modules[each] = _copy(each)
    finally:
        for each, module in public.items():
            if module is None:
                sys.modules.pop(each, None)
            else:
                sys.modules[each] = module
    return copies[name]


def _copy(name: str) -> ModuleType:
    spec = importlib.util.find_spec(name)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(name)
    module = importlib.util.module_from_spec(spec)
    vars(module)["__builtins__"] = dict(vars(builtins))
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
