"""What the tests of the verbs start with: one service on a sandbox, and a run's world on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.apply import World
from deploy.sandbox import Sandbox
from tests.deploy import estate


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as running:
        estate.build(running, ("web",))
        yield running


@pytest.fixture
def world(sandbox: Sandbox, tmp_path: Path) -> World:
    return estate.world_of(sandbox, tmp_path)
