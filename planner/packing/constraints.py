"""Placement constraints: the `memberOf` expressions of the cluster query language.

Source: Amazon ECS developer guide, "Create expressions to define container instances for Amazon ECS tasks"
(subjects, operators and their spellings; at most 2,000 characters). Subjects that need the agent's state
(agentVersion, agentConnected, registeredAt) are refused by name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field
from typing import Final

MAX_EXPRESSION_LENGTH: Final = 2000
INSTANCE_TYPE_ATTRIBUTE: Final = "ecs.instance-type"
ARCHITECTURE_ATTRIBUTE: Final = "ecs.cpu-architecture"
OS_ATTRIBUTE: Final = "ecs.os-type"
LAUNCH_ATTRIBUTES: Final = frozenset(
    {"ecs.availability-zone", "ecs.ami-id", "ecs.subnet-id", "ecs.vpc-id", "ecs.awsvpc-trunk-id"}
)
"""Attributes that an instance gets when it starts, so that its type does not tell them."""

_TOKEN = re.compile(
    r"\s*(?:(?P<word>[A-Za-z0-9_.:/*+?^$\\-]+)"
    r'|(?P<quoted>"[^"]*")|(?P<sign>==|!=|>=|<=|=~|!~|&&|\|\||!in\b|!exists\b|[()\[\],!<>]))'
)
_ATTRIBUTE = re.compile(r"attribute:([A-Za-z0-9_.:/-]+)")
_OPERATORS: Final = {
    "==": "==", "equals": "==", "!=": "!=", "not_equals": "!=",
    ">": ">", "greater_than": ">", ">=": ">=", "greater_than_equal": ">=",
    "<": "<", "less_than": "<", "<=": "<=", "less_than_equal": "<=",
    "=~": "=~", "matches": "=~", "!~": "!~", "not_matches": "!~",
    "in": "in", "!in": "!in", "not_in": "!in",
    "exists": "exists", "!exists": "!exists", "not_exists": "!exists",
}  # fmt: skip


class ConstraintError(ValueError):
    """The expression is not one that can be evaluated here; the message says which part."""


@dataclass(frozen=True, slots=True)
class InstanceFacts:
    """What an expression can ask of an instance."""

    attributes: Mapping[str, str] = field(default_factory=dict)
    instance_id: str = ""
    running_tasks: int = 0
    groups: Set[str] = frozenset()
    """Groups of the tasks that run on it, e.g. "service:web"."""


Test = Callable[[InstanceFacts], bool]


@dataclass(frozen=True, slots=True)
class Expression:
    text: str
    test: Test
    is_static: bool
    """False where the answer changes as tasks come and go (task:group, runningTasksCount)."""
    attributes: frozenset[str] = frozenset()
    """Names of the attributes it asks for."""


def parse_expression(text: str) -> Expression:
    """Read one memberOf expression. Raises ConstraintError."""
    if len(text) > MAX_EXPRESSION_LENGTH:
        raise ConstraintError(f"a memberOf expression has at most {MAX_EXPRESSION_LENGTH:,} characters")
    parser = _Parser(_tokens(text))
    test = parser.either()
    if parser.next_token is not None:
        raise ConstraintError(f'unexpected "{parser.next_token}" in the expression "{text[:80]}"')
    dynamic = "task:group" in text or "runningTasksCount" in text
    return Expression(text, test, not dynamic, frozenset(_ATTRIBUTE.findall(text)))


def _tokens(text: str) -> list[str]:
    tokens: list[str] = []
    position = 0
    while text[position:].strip():
        match = _TOKEN.match(text, position)
        if match is None:
            raise ConstraintError(f'cannot read "{text[position : position + 20].strip()}" in the expression')
        tokens.append(match.group().strip())
        position = match.end()
    return tokens


class _Parser:
    """Recursive descent: either -> both -> single."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens
        self._at = 0

    @property
    def next_token(self) -> str | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _take(self, wanted: str | None = None) -> str:
        token = self.next_token
        if token is None or (wanted is not None and token != wanted):
            raise ConstraintError(f"the expression needs {wanted or 'more'} after part {self._at}")
        self._at += 1
        return token

    def either(self) -> Test:
        tests = [self.both()]
        while self.next_token in {"||", "or"}:
            self._take()
            tests.append(self.both())
        return lambda facts: any(test(facts) for test in tests)

    def both(self) -> Test:
        tests = [self.single()]
        while self.next_token in {"&&", "and"}:
            self._take()
            tests.append(self.single())
        return lambda facts: all(test(facts) for test in tests)

    def single(self) -> Test:
        if self.next_token in {"!", "not"}:
            self._take()
            inner = self.single()
            return lambda facts: not inner(facts)
        if self.next_token == "(":
            self._take()
            inner = self.either()
            self._take(")")
            return inner
        return self._comparison()

    def _comparison(self) -> Test:
        values = _subject(self._take())
        token = self._take()
        operator = _OPERATORS.get(token)
        if operator is None:
            raise ConstraintError(f'"{token}" is not an operator of the cluster query language')
        if operator in {"exists", "!exists"}:
            return lambda facts: bool(values(facts)) == (operator == "exists")
        arguments = self._list() if operator in {"in", "!in"} else [_unquoted(self._take())]
        return _comparison(values, operator, arguments)

    def _list(self) -> list[str]:
        self._take("[")
        items = [_unquoted(self._take())]
        while self.next_token == ",":
            self._take()
            items.append(_unquoted(self._take()))
        self._take("]")
        return items


def _unquoted(token: str) -> str:
    return token[1:-1] if token.startswith('"') else token


def _subject(token: str) -> Callable[[InstanceFacts], Set[str]]:
    """The values an instance has for a subject; an empty set where it has none."""
    if token.startswith("attribute:"):
        name = token.removeprefix("attribute:")
        return lambda facts: {facts.attributes[name]} if name in facts.attributes else frozenset()
    if token == "ec2InstanceId":
        return lambda facts: {facts.instance_id}
    if token == "runningTasksCount":
        return lambda facts: {str(facts.running_tasks)}
    if token == "task:group":
        return lambda facts: facts.groups
    raise ConstraintError(f'the subject "{token[:60]}" is not supported: use attribute:<name> or task:group')


def _comparison(values: Callable[[InstanceFacts], Set[str]], operator: str, arguments: list[str]) -> Test:
    first = arguments[0]
    if operator in {"=~", "!~"}:
        try:
            pattern = re.compile(first)
        except re.error as error:
            raise ConstraintError(f'the pattern "{first[:60]}" cannot be read: {error}') from error
        return lambda facts: any(pattern.fullmatch(v) for v in values(facts)) == (operator == "=~")
    if operator in {"==", "!="}:
        return lambda facts: (first in values(facts)) == (operator == "==")
    if operator in {"in", "!in"}:
        return lambda facts: bool(values(facts) & set(arguments)) == (operator == "in")
    limit = _number(first)
    compare: dict[str, Callable[[float], bool]] = {
        ">": lambda value: value > limit,
        ">=": lambda value: value >= limit,
        "<": lambda value: value < limit,
        "<=": lambda value: value <= limit,
    }
    return lambda facts: any(compare[operator](_number(v)) for v in values(facts))


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ConstraintError(f'"{text[:40]}" is not a number that can be compared') from None
