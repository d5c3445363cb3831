"""Whether things are still what they were: attributes, items and closures compared by identity, fast.

Each request that leaves asks this, so the comparison is compiled once from the list of points: `d['name'] is v
and ...` is the quickest form that Python has, about twenty nanoseconds a point.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


class _Absent:
    def __repr__(self) -> str:
        return "ABSENT"


ABSENT = _Absent()
"""Stands for an item that is not there, and has to stay so."""


@dataclass(frozen=True, slots=True)
class Point:
    """One attribute or item of `owner`, and what people call it."""

    owner: Any
    name: str
    label: str
    is_item: bool = False

    def read(self) -> Any:
        """What is there now; `ABSENT` for an item that is not."""
        return self.owner.get(self.name, ABSENT) if self.is_item else getattr(self.owner, self.name)


def hold(points: Sequence[Point]) -> Callable[[], str | None]:
    """Remember what every point is now; the answer gives the label of the first that is something else."""
    values = [point.read() for point in points]
    same = _compiled(points, values)

    def changed() -> str | None:
        try:
            if same():
                return None
        except (AttributeError, KeyError):
            pass
        return next((p.label for p, value in zip(points, values, strict=True) if not _is(p, value)), None)

    return changed


def hold_many(points: Sequence[Point]) -> Callable[[], str | None]:
    """`hold` for thousands of points that are seldom looked at: nothing is compiled.

    What the answer runs is in its closure, so that replaced built-in functions do not change it.
    """
    rows = [(*place, point.label) for point in points for place in _places(point, point.read())]
    assert all(type(owner) is dict for owner, *_ in rows)
    absent = ABSENT

    def changed() -> str | None:
        for owner, name, value, label in rows:
            if owner.get(name, absent) is not value:
                return label
        return None

    return changed


def _is(point: Point, value: Any) -> bool:
    try:
        return point.read() is value
    except (AttributeError, KeyError):
        return False


def _compiled(points: Sequence[Point], values: Sequence[Any]) -> Callable[[], bool]:
    space: dict[str, Any] = {}
    terms: dict[str, None] = {"True": None}
    names: dict[int, str] = {}

    def name_of(thing: Any) -> str:
        name = names.setdefault(id(thing), f"x{len(names)}")
        space[name] = thing
        return name

    for point, value in zip(points, values, strict=True):
        for owner, name, held in _places(point, value):
            if held is ABSENT:
                terms[f"{name!r} not in {name_of(owner)}"] = None
            elif isinstance(owner, dict):
                terms[f"{name_of(owner)}[{name!r}] is {name_of(held)}"] = None
            else:
                terms[f"{name_of(owner)}.{name} is {name_of(held)}"] = None
    parameters = ", ".join(f"{name}={name}" for name in space)
    exec(f"def same({parameters}):\n    return {' and '.join(terms)}", space)
    same: Callable[[], bool] = space["same"]
    return same


def _places(point: Point, value: Any) -> Iterator[tuple[Any, str, Any]]:
    """Where the point has to be looked at: an attribute of a class in the dictionaries of the class and its bases.

    A dictionary's item is read in a third of the time of an attribute; the dictionaries are the classes' own.
    """
    if point.is_item or not isinstance(point.owner, type):
        owner = point.owner if not point.is_item or type(point.owner) is dict else _own(point.owner)
        yield owner, point.name, value
        return
    for cls in point.owner.__mro__:
        held = vars(cls).get(point.name, ABSENT)
        yield _own(vars(cls)), point.name, held
        if held is not ABSENT:
            return


def _own(proxy: Any) -> dict[str, Any]:
    """The dictionary behind a class's read-only view of it."""
    (found,) = gc.get_referents(proxy)
    assert type(found) is dict
    return found


def module_points(modules: Mapping[str, Mapping[str, str]]) -> Iterator[Point]:
    """The modules themselves, the classes named in them, and the attributes named in those, inherited ones too."""
    yield Point(sys, "audit", "sys.audit")
    yield Point(sys, "modules", "sys.modules")
    for module_name, classes in modules.items():
        module = sys.modules[module_name]
        yield Point(sys.modules, module_name, f"sys.modules[{module_name!r}]", is_item=True)
        for class_name, attributes in classes.items():
            owner = getattr(module, class_name)
            yield Point(module, class_name, f"{module_name}.{class_name}")
            for name in attributes.split():
                yield Point(owner, name, f"{module_name}.{class_name}.{name}")


def library_points(packages: tuple[str, ...]) -> Iterator[Point]:
    """Every function, method and table of the loaded modules of our own packages."""
    for name, module in sorted(sys.modules.items()):
        if name.split(".")[0] not in packages or module is None:
            continue
        yield Point(sys.modules, name, f"sys.modules[{name!r}]", is_item=True)
        for attribute, value in list(vars(module).items()):
            if callable(value) or isinstance(value, Mapping | frozenset):
                yield Point(vars(module), attribute, f"{name}.{attribute}", is_item=True)
            if isinstance(value, type) and value.__module__ == name:
                for method, function in list(vars(value).items()):
                    if callable(function):
                        yield Point(vars(value), method, f"{name}.{attribute}.{method}", is_item=True)
