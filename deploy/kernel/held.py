"""Whether things are still what they were: attributes, items and closures compared by identity, fast.

A call of AWS asks this twice, so the comparison is compiled once from the list of points: `o.name is v and ...` is
the quickest form that Python has, about ten nanoseconds a point.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Point:
    """One attribute or item of `owner`, and what people call it."""

    owner: Any
    name: str
    label: str
    is_item: bool = False

    def read(self) -> Any:
        return self.owner[self.name] if self.is_item else getattr(self.owner, self.name)


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


def _is(point: Point, value: Any) -> bool:
    try:
        return point.read() is value
    except (AttributeError, KeyError):
        return False


def _compiled(points: Sequence[Point], values: Sequence[Any]) -> Callable[[], bool]:
    space: dict[str, Any] = {}
    terms = ["True"]
    for number, (point, value) in enumerate(zip(points, values, strict=True)):
        space[f"o{number}"], space[f"v{number}"] = point.owner, value
        access = f"[{point.name!r}]" if point.is_item else f".{point.name}"
        terms.append(f"o{number}{access} is v{number}")
    exec(f"def same():\n    return {' and '.join(terms)}", space)
    same: Callable[[], bool] = space["same"]
    return same


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
