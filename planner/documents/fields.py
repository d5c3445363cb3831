"""The kinds of values that documents are made of."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field, SerializerFunctionWrapHandler, StringConstraints, model_serializer

from planner.documents.canonical import Strict

Name = Annotated[str, StringConstraints(min_length=1, max_length=512)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(gt=0)]
Money = Annotated[float, Field(ge=0)]
"""USD per hour."""
ShareOf = Annotated[float, Field(ge=0, le=1)]
Quantity = Annotated[float, Field(ge=0)]


class TaskSize(Strict):
    cpu_units: Count
    memory_mib: Count


class Grown(Strict):
    """A document's part that got fields after the first documents were signed. Those in `_later` are not written
    while they are None, so a document without them keeps its bytes and its digest."""

    _later: ClassVar[tuple[str, ...]] = ()

    @model_serializer(mode="wrap")
    def _without_later(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        written: dict[str, Any] = write(self)
        return {name: value for name, value in written.items() if value is not None or name not in self._later}
