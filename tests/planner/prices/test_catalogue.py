"""Instance types with the room they leave for tasks, and every other type with its reason."""

from __future__ import annotations

import pytest

from planner.model import Architecture, InstanceType, Rejection, Resources
from planner.prices import catalogue, load
from planner.units import CpuUnits, MiB

BOOK = load()


def offer(name: str, types: tuple[InstanceType, ...]) -> InstanceType:
    return next(t for t in types if t.instance_type == name)


def reason(name: str, rejected: tuple[Rejection, ...]) -> str:
    return next(r.reason for r in rejected if r.what == name)


def test_every_type_is_either_offered_or_rejected_by_name() -> None:
    types, rejected = catalogue(BOOK, "eu-west-2")

    named = {t.instance_type for t in types} | {r.what for r in rejected}
    assert named == set(BOOK.instance_types)
    assert len(types) + len(rejected) == len(named)
    assert all(t.usd_per_hour > 0 for t in types)


def test_room_is_less_than_advertised() -> None:
    types, _rejected = catalogue(BOOK, "eu-west-2", families=["m5"])

    # 8,192 MiB less 3 % is 7,946.24; 3 network interfaces less the instance's own are 2 awsvpc tasks
    assert offer("m5.large", types).room == Resources(CpuUnits(2048), MiB(7946), 2)


def test_trunking_raises_the_awsvpc_tasks() -> None:
    types, _rejected = catalogue(BOOK, "eu-west-2", families=["m5", "m7g", "t3"], awsvpc_trunking=True)

    assert offer("m5.large", types).room.enis == 10
    assert offer("m7g.2xlarge", types).room.enis == 40


def test_agent_and_daemon_reserves_come_off() -> None:
    daemons = Resources(CpuUnits(256), MiB(512), 1)
    types, _rejected = catalogue(BOOK, "eu-west-2", families=["m5"], reserved_memory_mib=MiB(100), daemons=daemons)

    # 2048 - 256; 7946 - 100 - 512; 2 - 1
    assert offer("m5.large", types).room == Resources(CpuUnits(1792), MiB(7334), 1)


def test_a_live_registered_value_wins_and_is_not_reduced_twice() -> None:
    live = {"m5.large": Resources(CpuUnits(2048), MiB(7680), 2)}
    types, _rejected = catalogue(BOOK, "eu-west-2", families=["m5"], reserved_memory_mib=MiB(100), registered=live)

    assert offer("m5.large", types).room.memory_mib == 7680


def test_a_documented_registration_wins_over_the_estimate() -> None:
    types, _rejected = catalogue(BOOK, "eu-west-2", instance_types=["m4.large"])

    assert offer("m4.large", types).room.memory_mib == 7985


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("t3.large", "burstable"),
        ("m5.metal", "bare metal"),
        ("g4dn.xlarge", "GPU or accelerator"),
        ("m3.large", "previous generation"),
        ("m8a.large", "no on-demand price as of 2025-04-04"),
        ("mac2.metal", "does not run Linux containers"),
    ],
)
def test_a_type_is_left_out_with_its_reason(name: str, expected: str) -> None:
    _types, rejected = catalogue(BOOK, "eu-west-2")

    assert expected in reason(name, rejected)


def test_asking_for_a_type_by_name_includes_it_whatever_its_kind() -> None:
    types, _rejected = catalogue(BOOK, "eu-west-2", instance_types=["t3.large", "g4dn.xlarge"])

    assert {t.instance_type for t in types} == {"t3.large", "g4dn.xlarge"}
    assert offer("g4dn.xlarge", types).room.gpus == 1


def test_filters_by_architecture_family_and_vcpu() -> None:
    types, rejected = catalogue(
        BOOK, "eu-west-2", architectures=[Architecture.ARM64], families=["m"], min_vcpu=4, max_vcpu=8
    )

    assert {t.architecture for t in types} == {Architecture.ARM64}
    assert all(t.instance_type.startswith("m") for t in types)
    assert {t.room.cpu_units for t in types} == {4096, 8192}
    assert reason("m7i.large", rejected) == "x86_64 was not asked for"


def test_cheapest_first() -> None:
    types, _rejected = catalogue(BOOK, "eu-west-2")

    assert [t.usd_per_hour for t in types] == sorted(t.usd_per_hour for t in types)


def test_a_reserve_larger_than_the_instance_rejects_it() -> None:
    types, rejected = catalogue(BOOK, "eu-west-2", families=["m5"], daemons=Resources(CpuUnits(2048), MiB(1)))

    assert "m5.large" not in {t.instance_type for t in types}
    assert "nothing is left" in reason("m5.large", rejected)


def test_an_unknown_region_is_one_rejection() -> None:
    types, rejected = catalogue(BOOK, "mars-north-1")

    assert types == ()
    assert [r.what for r in rejected] == ["mars-north-1"]
