"""Table files: truncated, changed or repeating ones are refused; the embedded ones can be rebuilt."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from planner.prices import BrokenPriceFile
from planner.prices.build import build
from planner.prices.reading import EMBEDDED
from planner.prices.tables import ALL_TABLES, EC2_ON_DEMAND, ITEMS, check_money, keyed, read, write

ROW = ("eu-west-2", "alb_hour", "0.02646", "hour", "2026", "test")


def test_rows_survive_writing_and_reading_in_key_order() -> None:
    other = ("eu-west-1", "alb_hour", "0.0252", "hour", "2026", "quoted, with a comma")

    content = write(ITEMS, [ROW, other])

    assert read(ITEMS, content, "items.csv") == [other, ROW]
    assert write(ITEMS, [other, ROW]) == content


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "has the columns"),
        (b"region,item,usd\n", "has the columns"),
        (write(ITEMS, [ROW])[:-1], "ends in the middle of a line"),
        (write(ITEMS, [ROW]) + b"eu-west-2,nlb_hour\n", "line 3: 2 fields, not 6"),
        (b"\xff\xfe", "truncated or not what it says"),
    ],
)
def test_a_broken_plain_file_is_refused(content: bytes, told: str) -> None:
    with pytest.raises(BrokenPriceFile, match=told):
        read(ITEMS, content, "items.csv")


def test_a_broken_compressed_file_is_refused() -> None:
    whole = write(EC2_ON_DEMAND, [("eu-west-2", "m5.large", "0.111", "2025-04-04", "test")])

    for content in (whole[:-4], whole[: len(whole) // 2], b"region,instance_type"):
        with pytest.raises(BrokenPriceFile, match="truncated or not what it says"):
            read(EC2_ON_DEMAND, content, "ec2_on_demand.csv.gz")


def test_a_repeated_key_and_a_price_of_zero_are_refused() -> None:
    with pytest.raises(BrokenPriceFile, match="two rows for eu-west-2, alb_hour"):
        keyed(ITEMS, [ROW, ROW])
    with pytest.raises(BrokenPriceFile, match=r"usd is '0\.0', not a price"):
        check_money(ITEMS, [(*ROW[:2], "0.0", *ROW[3:])])


def test_the_embedded_tables_are_what_the_collected_files_give(shared_data: Path) -> None:
    built = build(shared_data / "prices", shared_data / "limits")

    compressed = {table.file_name for table in ALL_TABLES if table.compressed}
    for name, content in built.items():
        embedded = (EMBEDDED / name).read_bytes()
        pair = [gzip.decompress(c) if name in compressed else c for c in (content, embedded)]
        assert pair[0] == pair[1], name
