"""memberOf expressions of the cluster query language."""

from __future__ import annotations

import pytest

from planner.packing.constraints import ConstraintError, InstanceFacts, parse_expression

FACTS = InstanceFacts(
    {"ecs.instance-type": "m7g.large", "ecs.cpu-architecture": "arm64", "stack": "prod"},
    "i-1",
    3,
    {"service:web"},
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("attribute:ecs.instance-type == m7g.large", True),
        ("attribute:ecs.instance-type =~ m7g.*", True),
        ("attribute:ecs.instance-type !~ m7g.*", False),
        ("attribute:ecs.instance-type in [t3.small, m7g.large]", True),
        ("attribute:stack !in [test]", True),
        ("attribute:rack exists", False),
        ("attribute:rack !exists", True),
        ("attribute:stack == prod and not (attribute:ecs.cpu-architecture == x86_64)", True),
        ("attribute:stack == test || runningTasksCount >= 3", True),
        ("task:group == service:web", True),
        ("task:group != service:web", False),
    ],
)
def test_an_expression_is_true_or_false_of_an_instance(text: str, expected: bool) -> None:
    assert parse_expression(text).test(FACTS) is expected


@pytest.mark.parametrize(
    "text",
    ["", "attribute:stack", "attribute:stack like prod", "agentVersion > 1.4", "attribute:x == a b", "x" * 2001,
     "(attribute:stack == prod", "attribute:x =~ ["],
)  # fmt: skip
def test_what_cannot_be_evaluated_is_refused(text: str) -> None:
    with pytest.raises(ConstraintError):
        parse_expression(text)


def test_an_expression_about_tasks_is_not_static() -> None:
    assert parse_expression("attribute:stack == prod").is_static
    assert not parse_expression("task:group == service:web").is_static
