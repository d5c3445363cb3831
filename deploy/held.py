"""What a journal says, held against the approval in it: an altered journal restores and resumes nothing.

The chain of hashes tells a damaged file; it can be made anew by whoever alters it. So everything that a run is
continued or taken back by follows from what was signed: the bundle, the observed state that the before-images are
taken from, and the changes that the steps follow from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from deploy.approve import ApprovalRefused, parse_approval, require_signed
from deploy.diff import diff
from deploy.journal import JournalError
from deploy.keys import Approver
from deploy.model import Image, JournalEntry, ResourceRef, State, Statement, Step
from deploy.move import Move
from deploy.normalise import VOLATILE, normalise, stable
from deploy.steps import plan_steps
from planner.documents import ConfigDocument, digest
from planner.documents.config import ResourceType


class JournalNotHeld(JournalError):
    """The journal is not what was approved; the message says what does not fit."""


NEEDED = frozenset({"approval", "bundle", "bundle_sha256", "live", "order", "signature", "steps", "wanted"})
"""What the first entry of a run holds."""


def statement_of(entries: Sequence[JournalEntry], approvers: Sequence[Approver] | None) -> Statement:
    """The signed statement of the run; JournalNotHeld where bundle or observed state are not what it says.

    `approvers` None: the signature itself is checked by the caller.
    """
    begin = entries[0].body
    missing = sorted(NEEDED - begin.keys())
    if missing:
        raise JournalNotHeld(
            f"The journal does not say its {missing[0]}: it was altered, or is of another version."
        )
    try:
        approval = parse_approval(
            {"statement": begin["approval"], "signature": begin["signature"], "observed": {}, "checks": []}
        )
    except (KeyError, TypeError) as error:
        raise JournalNotHeld(f"The approval in the journal cannot be read ({error}): it was altered.") from None
    statement = approval.statement
    if approvers is not None:
        try:
            require_signed(approval, approvers)
        except ApprovalRefused as error:
            raise JournalNotHeld(f"The journal's approval does not hold: {error}") from None
    if not digest(begin["bundle"]) == begin["bundle_sha256"] == statement.bundle_sha256:
        raise JournalNotHeld(
            "The bundle in the journal is not the one that was approved: the journal was altered."
        )
    if digest(_digests(begin["live"])) != statement.observed_sha256:
        raise JournalNotHeld(
            "The state before the run, as the journal has it, is not the one that was approved: it was altered."
        )
    for resource_id, image in begin["live"].items():
        if not _raw_fits(ResourceRef.parse(resource_id), image):
            raise JournalNotHeld(f"The journal spells {resource_id} in two ways that differ: it was altered.")
    return statement


def _digests(live: State) -> dict[str, str | None]:
    return {
        resource_id: None if image is None else digest(stable(ResourceRef.parse(resource_id).type, image))
        for resource_id, image in sorted(live.items())
    }


def _raw_fits(ref: ResourceRef, image: Image | None) -> bool:
    """Whether AWS's own spelling of fields, which is written back, means what the signed image says."""
    raw = (image or {}).get("$raw")
    if raw is None or image is None:
        return True
    spelled = normalise(ref.type, raw)
    return all(spelled[name] == image[name] for name in spelled if name in image and name in raw)


def before_image(live: State, ref: ResourceRef, told: Image | None) -> Image | None:
    """What a resource is restored to: the signed image, with what moves by itself as the step found it."""
    if ref.id not in live:
        return told
    image = live[ref.id]
    if image is None or told is None:
        return image
    moving = {name: told[name] for name in VOLATILE.get(ref.type, frozenset()) if name in told}
    return {**image, **moving}


def steps_of(
    entries: Sequence[JournalEntry], config: ConfigDocument, providers: Mapping[str, str], statement: Statement
) -> tuple[Step, ...]:
    """The steps of a run that goes on: worked out anew from what was signed, never read."""
    begin = entries[0].body
    live, wanted = begin["live"], {name: begin["wanted"][name] for name in begin["order"]}
    if diff(live, wanted, config).digest != statement.changes_sha256 or not _recipes_fit(config, wanted):
        raise JournalNotHeld("The changes in the journal are not those that were approved: it was altered.")
    steps = plan_steps(Move(live, wanted, providers))
    if digest([asdict(step) for step in steps]) != digest(begin["steps"]):
        raise JournalNotHeld("The steps in the journal are not those of its changes: it was altered.")
    return steps


def _recipes_fit(config: ConfigDocument, wanted: Mapping[str, Any]) -> bool:
    """Whether what resources are made from is what the bundle says; no change shows it."""
    for resource in config.resources:
        image = wanted.get(resource.id) or {}
        expected: dict[str, Any] = {}
        if resource.type is ResourceType.TASK_DEFINITION:
            expected = {"$base": resource.base_arn, "$request": resource.request}
        elif resource.type is ResourceType.LAUNCH_TEMPLATE:
            expected = {"$base": resource.request.get("LaunchTemplateData", {}).get("$base")}
        if any(name in image and image[name] != value for name, value in expected.items()):
            return False
    return True
