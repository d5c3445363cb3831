"""Keys of approvers: local ed25519 pairs, AWS KMS keys, and the allow-list that says whose signature counts."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

ED25519 = "ed25519"
KMS = "kms-ecdsa-sha-256"


class KeyProblem(Exception):
    """A key or an allow-list cannot be used; the message says what to do."""


class Signer(Protocol):
    algorithm: str
    key_id: str

    def sign(self, message: bytes) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Approver:
    """One line of the allow-list."""

    name: str
    algorithm: str
    key_id: str
    """Fingerprint of an ed25519 key, or the ARN of a KMS key."""
    public_key: str
    """Base64: the 32 raw bytes of an ed25519 key, or the DER of a KMS key."""


class LocalSigner:
    """Signs with an ed25519 private key from a PEM file."""

    algorithm = ED25519

    def __init__(self, path: Path) -> None:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        try:
            key = load_pem_private_key(path.read_bytes(), password=None)
        except OSError as error:
            raise KeyProblem(
                f"The key {path} cannot be read ({error.strerror}): make one with `deploy keys new`."
            ) from None
        except (ValueError, TypeError):
            raise KeyProblem(
                f"{path} is not an unencrypted private key in PEM: make one with `deploy keys new`."
            ) from None
        if not isinstance(key, Ed25519PrivateKey):
            raise KeyProblem(f"{path} is not an ed25519 key: make one with `deploy keys new`.")
        self._key = key
        self.key_id = fingerprint(_raw(key.public_key()))

    @property
    def public_key(self) -> bytes:
        return _raw(self._key.public_key())

    def sign(self, message: bytes) -> bytes:
        return self._key.sign(message)


class KmsSigner:
    """Signs with an asymmetric KMS key (ECC_NIST_P256); who may do so is the key's policy.

    The message itself is sent (MessageType RAW, at most 4,096 bytes), so that KMS hashes it exactly once.
    """

    algorithm = KMS

    def __init__(self, call: Callable[..., dict[str, Any]], key: str) -> None:
        self._call = call
        description = call("kms", "DescribeKey", KeyId=key)["KeyMetadata"]
        if description.get("KeyUsage") != "SIGN_VERIFY" or description.get("KeySpec") != "ECC_NIST_P256":
            raise KeyProblem(f"The KMS key {key} is not an ECC_NIST_P256 key for SIGN_VERIFY: use one that is.")
        self.key_id = str(description["Arn"])

    def sign(self, message: bytes) -> bytes:
        answer = self._call(
            "kms", "Sign", KeyId=self.key_id, Message=message, MessageType="RAW", SigningAlgorithm="ECDSA_SHA_256"
        )
        return bytes(answer["Signature"])

    def public_key(self) -> bytes:
        return bytes(self._call("kms", "GetPublicKey", KeyId=self.key_id)["PublicKey"])


def _raw(key: Any) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return bytes(key.public_bytes(Encoding.Raw, PublicFormat.Raw))


def fingerprint(public_key: bytes) -> str:
    """SHA-256 of the raw public key."""
    return "sha256:" + hashlib.sha256(public_key).hexdigest()


def new_key(path: Path) -> bytes:
    """Write a new private key (readable by its owner alone) and return the raw public key."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise KeyProblem(f"{path} exists already and is not overwritten: name another file.") from None
    with os.fdopen(handle, "wb") as file:
        file.write(pem)
    return _raw(key.public_key())


def verifies(approver: Approver, signature: bytes, message: bytes) -> bool:
    """Whether the signature over `message` was made with the approver's key; no call is made."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    raw = base64.b64decode(approver.public_key)
    try:
        if approver.algorithm == ED25519:
            Ed25519PublicKey.from_public_bytes(raw).verify(signature, message)
            return True
        key = load_der_public_key(raw)
        if approver.algorithm != KMS or not isinstance(key, ec.EllipticCurvePublicKey):
            return False
        key.verify(signature, message, ec.ECDSA(SHA256()))
        return True
    except (InvalidSignature, ValueError):
        return False


# The allow-list


def default_approvers_path() -> Path:
    """ECS_DEPLOY_APPROVERS, else ecs-deploy/approvers.json under the user's configuration folder.

    Never beside a bundle: who hands in a bundle must not also say who may approve it.
    """
    named = os.environ.get("ECS_DEPLOY_APPROVERS")
    if named:
        return Path(named)
    base = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(base) / "ecs-deploy" / "approvers.json"


def read_approvers(path: Path) -> tuple[Approver, ...]:
    """The allow-list; KeyProblem says how to make one."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return tuple(Approver(**entry) for entry in data["approvers"])
    except OSError:
        raise KeyProblem(
            f"Nobody may approve yet: there is no {path}; add a key with `deploy keys trust`, or name the "
            "allow-list with --approvers."
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise KeyProblem(f"{path} is not a list of approvers ({error}): restore it.") from None


def trust(path: Path, approver: Approver) -> tuple[Approver, ...]:
    """Add an approver to the allow-list; a key stands for one person only."""
    from planner.documents.canonical import write

    known = read_approvers(path) if path.exists() else ()
    clash = next((a for a in known if a.key_id == approver.key_id and a.name != approver.name), None)
    if clash is not None:
        raise KeyProblem(f"This key already stands for {clash.name}: each approver needs a key of their own.")
    kept = tuple(a for a in known if a.key_id != approver.key_id)
    path.parent.mkdir(parents=True, exist_ok=True)
    listed = (*kept, approver)
    write(path, {"schema_version": "1", "approvers": [_plain(a) for a in listed]})
    return listed


def _plain(approver: Approver) -> dict[str, str]:
    return {
        "name": approver.name,
        "algorithm": approver.algorithm,
        "key_id": approver.key_id,
        "public_key": approver.public_key,
    }


def local_approver(name: str, public_key: bytes) -> Approver:
    return Approver(name, ED25519, fingerprint(public_key), base64.b64encode(public_key).decode())


def kms_approver(name: str, signer: KmsSigner) -> Approver:
    return Approver(name, KMS, signer.key_id, base64.b64encode(signer.public_key()).decode())
