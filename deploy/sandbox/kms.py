"""KMS signatures as AWS makes them: a DIGEST is signed as it is, and a wrong signature is an error.

moto hashes a digest once more and answers SignatureValid=False where KMS raises
KMSInvalidSignatureException (KMS API reference, Sign and Verify).
"""

from __future__ import annotations

import base64
import json
from typing import Any

from moto.core.exceptions import JsonRESTError
from moto.kms.responses import KmsResponse


class InvalidSignature(JsonRESTError):
    def __init__(self) -> None:
        super().__init__("KMSInvalidSignatureException", "")


class SandboxKms(KmsResponse):
    def sign(self) -> Any:
        if self._get_param("MessageType") != "DIGEST":
            return super().sign()
        key, algorithm = self._signing_key()
        signature = key.private_key.private_key.sign(self._digest(), *self._prehashed(algorithm))
        return json.dumps(
            {
                "KeyId": key.arn,
                "Signature": base64.b64encode(signature).decode(),
                "SigningAlgorithm": algorithm,
            }
        )

    def verify(self) -> Any:
        if self._get_param("MessageType") != "DIGEST":
            answer = json.loads(super().verify())
            if not answer["SignatureValid"]:
                raise InvalidSignature
            return json.dumps(answer)
        from cryptography.exceptions import InvalidSignature as Wrong

        key, algorithm = self._signing_key()
        public = key.private_key.private_key.public_key()
        try:
            public.verify(self._blob("Signature"), self._digest(), *self._prehashed(algorithm))
        except Wrong:
            raise InvalidSignature from None
        return json.dumps({"KeyId": key.arn, "SignatureValid": True, "SigningAlgorithm": algorithm})

    def _signing_key(self) -> tuple[Any, str]:
        """The key and the algorithm, once moto has found that they fit each other."""
        key_id, algorithm = self._get_param("KeyId"), self._get_param("SigningAlgorithm")
        self._validate_key_id(key_id)
        self.kms_backend.sign(key_id=key_id, message=b"check", signing_algorithm=algorithm)
        return self.kms_backend.describe_key(key_id), algorithm

    def _blob(self, name: str) -> bytes:
        value = self._get_param(name)
        return base64.b64decode(value) if isinstance(value, str) else bytes(value)

    def _digest(self) -> bytes:
        return self._blob("Message")

    def _prehashed(self, algorithm: str) -> tuple[Any, ...]:
        """What cryptography needs to take the message as a digest already; only ECDSA is imitated."""
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

        if not algorithm.startswith("ECDSA"):
            raise NotImplementedError(f"signing a digest with {algorithm}")
        kinds: dict[str, hashes.HashAlgorithm] = {
            "ECDSA_SHA_256": hashes.SHA256(),
            "ECDSA_SHA_384": hashes.SHA384(),
            "ECDSA_SHA_512": hashes.SHA512(),
        }
        kind = kinds[algorithm]
        if len(self._digest()) != kind.digest_size:
            raise JsonRESTError("ValidationException", "Digest is invalid length for algorithm " + algorithm + ".")
        return (ec.ECDSA(Prehashed(kind)),)
