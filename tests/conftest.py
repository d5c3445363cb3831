"""Fixtures shared by all tests."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SHARED_DATA = ROOT.parent / "shared" / "data"


@pytest.fixture
def shared_data() -> Path:
    """The folder of real series and prices beside the project; tests that need it skip without it."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the folder shared/data is not beside the project")
    return SHARED_DATA
