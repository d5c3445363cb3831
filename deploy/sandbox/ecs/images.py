"""Container images: which digest a reference means, and which images fail on purpose.

No registry is asked: a reference has a digest of its own, which changes when the image is pushed again.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final, Literal, get_args

Failure = Literal["pull", "exit", "health"]
FAILURES: Final[tuple[str, ...]] = get_args(Failure)
TAG_FAILURES: Final[dict[str, Failure]] = {
    "fails-to-pull": "pull",
    "fails-to-start": "exit",
    "fails-health-check": "health",
}
"""An image whose tag contains one of these words fails in that way: a bad deployment to rehearse with."""


@dataclass(frozen=True, slots=True)
class Broken:
    """Images or task definitions, by a pattern with * and ?, that fail in one way."""

    pattern: str
    failure: Failure


class Images:
    """`seed` sets the digests."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._pushes: dict[str, int] = {}
        self.broken: list[Broken] = []

    def digest(self, reference: str) -> str:
        """The digest a reference means now; one that names its digest keeps it."""
        _, at, named = reference.partition("@")
        if at:
            return named
        text = f"{self._seed} {reference} {self._pushes.get(reference, 0)}"
        return "sha256:" + hashlib.sha256(text.encode()).hexdigest()

    def push(self, reference: str) -> str:
        """Push another image under the same reference; returns its digest."""
        self._pushes[reference] = self._pushes.get(reference, 0) + 1
        return self.digest(reference)

    def break_(self, pattern: str, failure: Failure) -> None:
        """Let matching images, or task definitions (family:revision), fail from now on."""
        if failure not in FAILURES:
            raise ValueError(f"a failure is one of {', '.join(FAILURES)}, not {failure!r}")
        self.broken.append(Broken(pattern, failure))

    def mend(self, pattern: str) -> None:
        """Undo `break_` with the same pattern."""
        self.broken = [broken for broken in self.broken if broken.pattern != pattern]

    def failure(self, images: list[str], definition: str) -> tuple[Failure, str] | None:
        """How and because of which image a task with these images fails; None for a good one."""
        for image in images:
            name, _, tag = image.rpartition(":")
            for word, failure in TAG_FAILURES.items():
                if name and word in tag:
                    return failure, image
            for broken in self.broken:
                if fnmatchcase(image, broken.pattern):
                    return broken.failure, image
        for broken in self.broken:
            if fnmatchcase(definition, broken.pattern):
                return broken.failure, images[0] if images else definition
        return None
