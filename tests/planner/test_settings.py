"""Parameters are refused by name before anything is read or written."""

from __future__ import annotations

from pathlib import Path

import pytest

from planner.settings import Settings, parse_settings, read_settings
from planner.terminal import BadInput


def test_no_values_give_the_defaults() -> None:
    assert parse_settings({}) == Settings()


def test_an_unknown_parameter_is_refused_with_the_nearest_known_name() -> None:
    with pytest.raises(BadInput, match=r"unknown parameter 'utilization', did you mean utilisation\?"):
        parse_settings({"utilization": 0.7})


def test_every_wrong_value_is_named_at_once() -> None:
    with pytest.raises(BadInput) as refused:
        parse_settings({"slo": 2, "timezone": "Mars/Olympus"})

    assert "slo" in str(refused.value)
    assert "Mars/Olympus" in str(refused.value)


def test_a_yaml_file_of_parameters_is_read(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text("slo: 0.99\nfamilies: [m7i, c7i]\n")

    assert parse_settings(read_settings(tmp_path / "p.yaml")).families == ("m7i", "c7i")


@pytest.mark.parametrize("text", ["- a\n- b\n", "just words", "{", "1: 2"])
def test_a_file_that_is_no_mapping_is_one_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "p.yaml").write_text(text)

    with pytest.raises(BadInput):
        read_settings(tmp_path / "p.yaml")


def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot be read"):
        read_settings(tmp_path / "absent.yaml")
