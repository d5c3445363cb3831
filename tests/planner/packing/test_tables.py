"""CSV tables: what is wrong is told by row and column."""

from __future__ import annotations

import pytest

from planner.model import Architecture
from planner.packing.tables import TableError, read_catalogue, read_fleet, read_tasks
from tests.planner.packing.build import offer, task

TASKS = "service,count,cpu_units,memory_mib,enis,gpus,host_ports,distinct_instance,architecture\n"
TYPES = "instance_type,cpu_units,memory_mib,usd_per_hour,task_enis,gpus,max_count\n"


def test_every_column_of_a_task_is_read() -> None:
    rows = read_tasks(TASKS + "web,3,256,512.0,1,0,80;443,true,arm64\nworker,0,1024,2048,,,,,\n")

    assert rows == (
        task("web", 3, 256, 512, enis=1, ports=(80, 443), distinct=True, architecture=Architecture.ARM64),
        task("worker", 0, 1024, 2048),
    )


def test_only_the_first_columns_are_needed() -> None:
    assert read_catalogue("instance_type,cpu_units,memory_mib,usd_per_hour\nm5.large,2048,7985,0.111\n") == (
        offer("m5.large", 2048, 7985, 0.111),
    )


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ("web,x,256,512", 'row 2, column count: "x" is not a number'),
        ("web,1,-256,512", 'row 2, column cpu_units: "-256" is not from 0'),
        ("web,1,256.5,512", 'row 2, column cpu_units: "256.5" is not a whole number'),
        ("web,1,256,nan", 'row 2, column memory_mib: "nan" is not a finite number'),
        ("web,1,1e300,512", "row 2, column cpu_units"),
        (",1,256,512", "row 2, column service: the cell is empty"),
        ("web,1,256,512\nweb,1,256,512", 'row 3, column service: "web" is listed twice'),
        ("web,1,256,512,0,0,80;x", 'row 2, column host_ports: "x" is not a port'),
        ("web,1,256,512,0,0,80,maybe", "row 2, column distinct_instance"),
        ("web,1,256,512,0,0,80,yes,riscv", "row 2, column architecture"),
        ("web,1,256,512,0,0,80,yes,arm64,more", "row 2: 10 cells where the heading has 9"),
    ],
)
def test_a_bad_cell_is_named(row: str, sentence: str) -> None:
    with pytest.raises(TableError) as caught:
        read_tasks(TASKS + row + "\n", "tasks.csv")

    assert sentence in str(caught.value)


@pytest.mark.parametrize("price", ["", "0", "-1", "nan", "inf", "free"])
def test_a_type_without_a_usable_price_is_refused_by_row(price: str) -> None:
    with pytest.raises(TableError, match="row 2, column usd_per_hour"):
        read_catalogue(TYPES + f"m5.large,2048,7985,{price},2,0,\n")


def test_an_empty_catalogue_and_a_missing_column_are_refused() -> None:
    with pytest.raises(TableError, match="has no rows"):
        read_catalogue(TYPES)
    with pytest.raises(TableError, match="has no column zone, count"):
        read_fleet("instance_type,cpu_units,memory_mib\n")


def test_a_cell_in_a_sentence_is_one_short_printable_line() -> None:
    with pytest.raises(TableError) as caught:
        read_tasks(TASKS + '"web","\x1b[31m\n' + "9" * 200 + '",256,512\n')

    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 160


@pytest.mark.parametrize(("sign", "words"), [(";", "semicolons"), ("\t", "tabs"), ("|", "bars")])
def test_another_separator_is_told_as_what_it_is(sign: str, words: str) -> None:
    with pytest.raises(TableError, match=f"tasks.csv is separated by {words}: save it with commas"):
        read_tasks(TASKS.replace(",", sign) + f"web{sign}1\n", "tasks.csv")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_of_every_system_are_read(end: str) -> None:
    assert read_tasks(f"service,count,cpu_units,memory_mib{end}web,1,256,512{end}") == (task("web", 1, 256, 512),)


def test_a_column_that_is_almost_one_of_ours_is_refused_and_any_other_is_left_aside() -> None:
    with pytest.raises(TableError, match='has a column "gpu", which would be left aside: name it gpus'):
        read_tasks("service,count,cpu_units,memory_mib,gpu\nweb,1,256,512,1\n")

    assert read_tasks("service,count,cpu_units,memory_mib,owner\nweb,1,256,512,us\n") == (
        task("web", 1, 256, 512),
    )
