"""One look at the account asks each thing once, and a write ends what was remembered."""

from __future__ import annotations

import threading
from typing import Any

import boto3

from deploy.aws.calls import Calls


class Counting(Calls):
    """Answers every call with how many times it has been made."""

    def __init__(self) -> None:
        super().__init__(boto3.Session(), "eu-west-2")
        self.made: list[str] = []

    def _made(self, service: str, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        self.made.append(operation)
        return {"number": len(self.made), "tags": []}


def test_outside_a_look_every_read_is_made() -> None:
    calls = Counting()

    assert [calls("ecs", "ListServices", cluster="prod")["number"] for _ in range(2)] == [1, 2]


def test_within_a_look_an_equal_read_is_made_once_and_another_one_is_made() -> None:
    calls = Counting()
    with calls.one_look():
        first = calls("ecs", "DescribeServices", cluster="prod", services=["a"])["number"]
        again = calls("ecs", "DescribeServices", services=["a"], cluster="prod")["number"]
        other = calls("ecs", "DescribeServices", cluster="prod", services=["b"])["number"]

    assert (first, again, other) == (1, 1, 2)
    assert calls("ecs", "DescribeServices", cluster="prod", services=["a"])["number"] == 3


def test_what_a_caller_does_to_an_answer_stays_with_the_caller() -> None:
    calls = Counting()
    with calls.one_look():
        calls("ecs", "ListServices")["tags"].append("mine")

        assert calls("ecs", "ListServices")["tags"] == []


def test_a_write_makes_the_look_read_again() -> None:
    calls = Counting()
    with calls.one_look():
        calls("ecs", "ListServices")
        calls("ecs", "UpdateService", service="a")
        calls("ecs", "ListServices")

    assert calls.made == ["ListServices", "UpdateService", "ListServices"]


def test_a_look_within_a_look_shares_its_answers() -> None:
    calls = Counting()
    with calls.one_look():
        calls("ecs", "ListServices")
        with calls.one_look():
            calls("ecs", "ListServices")
        calls("ecs", "ListServices")

    assert calls.made == ["ListServices"]


def test_another_thread_is_not_part_of_the_look() -> None:
    calls = Counting()
    with calls.one_look():
        calls("ecs", "ListServices")
        watching = threading.Thread(target=lambda: calls("ecs", "ListServices"))
        watching.start()
        watching.join()

    assert calls.made == ["ListServices", "ListServices"]
