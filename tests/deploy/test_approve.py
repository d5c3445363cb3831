"""An approval covers one bundle, one state, one account, one time, by one trusted person who is not the author."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from deploy.apply import ApplyRefused, apply
from deploy.approve import ApprovalRefused, approve, dump_approval, load_approval, require_valid, statement_bytes
from deploy.diff import diff
from deploy.hours import parse_hours
from deploy.keys import KeyProblem, KmsSigner, LocalSigner, kms_approver, new_key, read_approvers, trust
from deploy.model import Approval, Check
from deploy.observe import observe
from deploy.sandbox import Sandbox
from planner.documents import ConfigDocument, DocumentError
from tests.deploy import estate, small
from tests.deploy.estate import Person, person
from tests.deploy.fakes import FakeCloud


@pytest.fixture(scope="module")
def maria(tmp_path_factory: pytest.TempPathFactory) -> Person:
    return person(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def fake() -> FakeCloud:
    return small.cloud()


@pytest.fixture
def config() -> ConfigDocument:
    return small.bundle()


def valid(
    approval: Approval, config: ConfigDocument, maria: Person, fake: FakeCloud, later: timedelta = timedelta(0)
) -> None:
    require_valid(approval, config, [maria.approver], fake.clock.now() + later)


def test_a_given_approval_is_valid_and_survives_its_file(
    maria: Person, fake: FakeCloud, config: ConfigDocument, tmp_path: Path
) -> None:
    hours = parse_hours("MON-FRI 08:00-18:00", "Europe/London", "GB-ENG")
    approval, _ = small.approved(config, fake, maria, hours)
    dump_approval(approval, tmp_path / "approval.json")
    read = load_approval(tmp_path / "approval.json")

    assert read == approval
    valid(read, config, maria, fake)


def test_any_altered_field_of_the_statement_is_refused(
    maria: Person, fake: FakeCloud, config: ConfigDocument
) -> None:
    approval, _ = small.approved(config, fake, maria)
    for name, value in asdict(approval.statement).items():
        altered: Any = value + 1 if isinstance(value, float) else f"{value}0" if isinstance(value, str) else "x"
        changed = replace(approval, statement=replace(approval.statement, **{name: altered}))
        with pytest.raises(ApprovalRefused):
            valid(changed, config, maria, fake)


def test_an_approval_altered_by_one_byte_is_refused(
    maria: Person, fake: FakeCloud, config: ConfigDocument, tmp_path: Path
) -> None:
    approval, approvers = small.approved(config, fake, maria)
    path = tmp_path / "approval.json"
    dump_approval(approval, path)
    whole = path.read_bytes()
    refused = 0
    for at in range(0, len(whole), 11):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        try:
            altered = load_approval(path)
        except DocumentError:
            refused += 1
            continue
        if altered == approval:
            continue  # white space between values says nothing
        with pytest.raises((ApprovalRefused, ApplyRefused, ValueError)):
            apply(config, altered, approvers, small.world(fake), tmp_path / "journal")
        refused += 1
    assert refused > 100
    assert fake.writes == []


def test_an_expired_approval_is_refused(maria: Person, fake: FakeCloud, config: ConfigDocument) -> None:
    approval, _ = small.approved(config, fake, maria)

    with pytest.raises(ApprovalRefused, match="expired"):
        valid(approval, config, maria, fake, timedelta(hours=8))


def test_an_approval_for_another_bundle_is_refused(maria: Person, fake: FakeCloud, config: ConfigDocument) -> None:
    approval, _ = small.approved(config, fake, maria)
    other = config.model_copy(update={"plan_usd_per_hour": 0.69})

    with pytest.raises(ApprovalRefused, match="another bundle"):
        valid(approval, other, maria, fake)


def test_an_approval_signed_for_another_account_is_refused(
    maria: Person, fake: FakeCloud, config: ConfigDocument
) -> None:
    approval, _ = small.approved(config, fake, maria)
    statement = replace(approval.statement, account_id="999999999999")
    signature = base64.b64encode(maria.signer.sign(statement_bytes(statement))).decode()

    with pytest.raises(ApprovalRefused, match="another account"):
        valid(replace(approval, statement=statement, signature=signature), config, maria, fake)


def test_a_key_that_is_not_on_the_list_is_refused(
    maria: Person, fake: FakeCloud, config: ConfigDocument, tmp_path: Path
) -> None:
    stranger = person(tmp_path, "Maria Approver")
    approval, _ = small.approved(config, fake, stranger)

    with pytest.raises(ApprovalRefused, match="not on the list"):
        valid(approval, config, maria, fake)


def test_a_trusted_key_does_not_sign_for_somebody_else(
    maria: Person, fake: FakeCloud, config: ConfigDocument
) -> None:
    approval, _ = small.approved(config, fake, replace(maria, name="Somebody Else"))

    with pytest.raises(ApprovalRefused, match="The key belongs to Maria"):
        valid(approval, config, maria, fake)


@pytest.mark.parametrize("name", ["Planning Robot", "planning  robot", "PLANNINGROBOT"])
def test_the_author_cannot_approve(maria: Person, fake: FakeCloud, config: ConfigDocument, name: str) -> None:
    with pytest.raises(ApprovalRefused, match="wrote the plan"):
        small.approved(config, fake, replace(maria, name=name))


def give(config: ConfigDocument, fake: FakeCloud, maria: Person, **changed: Any) -> Approval:
    observation = observe(config, fake)
    given: dict[str, Any] = {
        "approver": maria.name,
        "reason": "cheaper",
        "now": fake.clock.now(),
        "expires_in": estate.EIGHT_HOURS,
        "cost_ceiling_usd_per_month": 1000,
        "signer": maria.signer,
    }
    checks = changed.pop("checks", ())
    return approve(config, observation, checks, diff(observation.live, observation.wanted), **(given | changed))


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"checks": [Check.ng("image", "not there")]}, "Check image is NG"),
        ({"cost_ceiling_usd_per_month": 510}, "511.00 USD a month"),  # 0.70 x 730
        ({"reason": " "}, "needs a name and a reason"),
        ({"expires_in": timedelta(0)}, "valid for more than nothing"),
        ({"expires_in": timedelta(days=8)}, "at most 7 days"),
        ({"reason": "x" * 4000}, "over 4096"),
    ],
)
def test_what_cannot_be_approved(
    maria: Person, fake: FakeCloud, config: ConfigDocument, changed: dict[str, Any], told: str
) -> None:
    with pytest.raises(ApprovalRefused, match=told):
        give(config, fake, maria, **changed)


def test_a_cost_at_the_ceiling_is_approved(maria: Person, fake: FakeCloud, config: ConfigDocument) -> None:
    assert give(config, fake, maria, cost_ceiling_usd_per_month=511).statement.approver == maria.name


def test_a_plan_made_from_a_revision_that_no_longer_runs_is_refused(
    maria: Person, fake: FakeCloud, config: ConfigDocument
) -> None:
    newer = dict(
        small.definition("web"), taskDefinitionArn="arn:aws:ecs:eu-west-2:123456789012:task-definition/web:9"
    )
    newer["containerDefinitions"] = [{"name": "web", "image": "web:hotfix"}]
    fake.definitions[newer["taskDefinitionArn"]] = newer
    fake.state["service/web"] = {**(fake.state["service/web"] or {}), "taskDefinition": newer["taskDefinitionArn"]}

    with pytest.raises(ApprovalRefused, match="would undo that deployment"):
        give(config, fake, maria)


# Keys and the allow-list


def test_a_private_key_is_for_its_owner_alone_and_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "maria.pem"
    new_key(path)

    assert path.stat().st_mode & 0o077 == 0
    with pytest.raises(KeyProblem, match="not overwritten"):
        new_key(path)
    with pytest.raises(KeyProblem, match="deploy keys new"):
        LocalSigner(tmp_path / "missing.pem")


def test_one_key_stands_for_one_person(maria: Person, tmp_path: Path) -> None:
    path = tmp_path / "approvers.json"
    trust(path, maria.approver)

    assert read_approvers(path) == (maria.approver,)
    with pytest.raises(KeyProblem, match="already stands for Maria"):
        trust(path, replace(maria.approver, name="Nils"))


def test_without_a_list_nobody_may_approve(tmp_path: Path) -> None:
    with pytest.raises(KeyProblem, match="Nobody may approve yet"):
        read_approvers(tmp_path / "none.json")


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as running:
        yield running


def test_a_kms_key_signs_and_is_checked_without_a_call(
    sandbox: Sandbox, maria: Person, fake: FakeCloud, config: ConfigDocument
) -> None:
    key = sandbox.client("kms").create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["Arn"]
    signer = KmsSigner(estate.calls_of(sandbox).call, key)
    approval = give(config, fake, maria, signer=signer)
    approvers = [kms_approver(maria.name, signer)]
    sandbox.forget_calls()

    require_valid(approval, config, approvers, fake.clock.now())
    assert sandbox.calls == []
    altered = replace(approval, statement=replace(approval.statement, reason="another"))
    with pytest.raises(ApprovalRefused, match="altered"):
        require_valid(altered, config, approvers, fake.clock.now())


def test_a_kms_key_for_encryption_is_refused(sandbox: Sandbox) -> None:
    key = sandbox.client("kms").create_key()["KeyMetadata"]["Arn"]

    with pytest.raises(KeyProblem, match="not an ECC_NIST_P256 key"):
        KmsSigner(estate.calls_of(sandbox).call, key)


def test_a_file_that_is_no_approval_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "approval.json"
    path.write_text(json.dumps({"statement": {}}))

    with pytest.raises(DocumentError, match="not an approval"):
        load_approval(path)
