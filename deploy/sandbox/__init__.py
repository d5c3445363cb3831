"""The sandbox: an imitation of AWS on loopback to rehearse with (docs/guide/sandbox.md).

from deploy.sandbox import Sandbox
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deploy.sandbox.sandbox import Sandbox

__all__ = ["Sandbox"]


def __getattr__(name: str) -> Any:
    if name == "Sandbox":
        from deploy.sandbox.sandbox import Sandbox

        return Sandbox
    raise AttributeError(name)
