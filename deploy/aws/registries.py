"""Images in registries outside ECR, asked through the registry's own HTTP API (OCI distribution specification).

GitLab, Docker Hub and the plain registry answer it alike: a manifest by tag or digest, after a token where the
answer to the first request names where to get one. Who asks is who logged in here (`docker login` keeps that in
config.json); the secret that tasks pull with is never read.
"""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode, urlsplit
from urllib.request import Request, urlopen

from deploy.model import Check

TIMEOUT_S = 10.0
LARGEST_ANSWER = 4 * 1024 * 1024
"""Registries keep manifests under 4 MiB (OCI distribution specification)."""
LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
ACCEPTED = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
PLATFORM = {"X86_64": "amd64", "ARM64": "arm64"}


@dataclass(frozen=True, slots=True)
class Reference:
    """An image reference taken apart as Docker does."""

    host: str
    repository: str
    version: str
    """A tag, or a digest."""


def parse(image: str) -> Reference:
    """`web`, `team/web:2`, `registry.example:5000/team/web@sha256:...`; the host defaults to Docker Hub."""
    rest, _, digest = image.partition("@")
    first, slash, path = rest.partition("/")
    named = slash and ("." in first or ":" in first or first == "localhost")
    host, rest = (first, path) if named else ("registry-1.docker.io", rest if slash else f"library/{rest}")
    repository, _, tag = rest.partition(":")
    return Reference(host, repository, digest or tag or "latest")


def credentials(host: str, environment: Mapping[str, str] = os.environ) -> str | None:
    """`user:password` in base64 as `docker login` left it; None where nobody logged in (or a helper keeps it)."""
    folder = Path(environment.get("DOCKER_CONFIG") or Path.home() / ".docker")
    try:
        known = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("auths", {})
    except (OSError, ValueError, AttributeError):
        return None
    for name, entry in known.items():
        if (urlsplit(name).netloc or name.split("/")[0]) == host and entry.get("auth"):
            return str(entry["auth"])
    return None


def registry_check(
    name: str, image: str, architecture: str, private: bool, environment: Mapping[str, str] = os.environ
) -> Check:
    """Whether the image is there for the architecture; a SKIP with the reason where that cannot be asked."""
    reference = parse(image)
    login = credentials(reference.host, environment)
    if login is None and reference.host.rpartition(":")[0] not in LOOPBACK:
        kind = "private registry" if private else "registry"
        return Check.skip(
            name, f"{image} is in a {kind} that nobody here is logged in to: `docker login {reference.host}` first"
        )
    registry = _Registry(reference, login)
    try:
        digest, manifest = registry.manifest(reference.version)
        platforms = _platforms(registry, manifest)
    except HTTPError as error:
        if error.code == 404:
            return Check.ng(name, f"{reference.repository} has no image {reference.version} in {reference.host}")
        if error.code in {401, 403}:
            return Check.skip(name, f"{reference.host} does not let this login read {reference.repository}")
        return Check.skip(name, f"{reference.host} answered {error.code}")
    except (URLError, OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        return Check.skip(name, f"{reference.host} cannot be asked from here ({reason})")
    wanted = PLATFORM[architecture]
    if platforms and wanted not in platforms:
        return Check.ng(name, f"it has {', '.join(sorted(platforms))}, but the task runs on {architecture}")
    return Check.ok(name, f"{digest}, for {architecture}")


def _platforms(registry: _Registry, manifest: Mapping[str, Any]) -> set[str]:
    listed = {str(m.get("platform", {}).get("architecture")) for m in manifest.get("manifests", [])} - {"unknown"}
    if listed:
        return listed
    config = (manifest.get("config") or {}).get("digest")
    told = registry.blob(str(config)).get("architecture") if config else None
    return {str(told)} if told else set()


class _Registry:
    """One repository of one registry, with a token once it was asked for one."""

    def __init__(self, reference: Reference, login: str | None) -> None:
        self.reference = reference
        self._login = login
        self._authorization: str | None = None
        scheme = "http" if reference.host.rpartition(":")[0] in LOOPBACK else "https"
        self._base = f"{scheme}://{reference.host}/v2/{reference.repository}"

    def manifest(self, version: str) -> tuple[str, dict[str, Any]]:
        headers, body = self._get(f"{self._base}/manifests/{version}", ", ".join(ACCEPTED))
        return headers.get("Docker-Content-Digest", version), _document(body)

    def blob(self, digest: str) -> dict[str, Any]:
        return _document(self._get(f"{self._base}/blobs/{digest}", "*/*")[1])

    def _get(self, url: str, accept: str) -> tuple[Mapping[str, str], bytes]:
        try:
            return _ask(url, accept, self._authorization)
        except HTTPError as error:
            challenge = error.headers.get("WWW-Authenticate", "")
            if error.code != 401 or self._authorization is not None:
                raise
            self._authorization = self._answer(challenge)
            return _ask(url, accept, self._authorization)

    def _answer(self, challenge: str) -> str | None:
        """What a 401 asks for: the login itself, or a token from the place it names."""
        basic = None if self._login is None else f"Basic {self._login}"
        if not challenge.lower().startswith("bearer "):
            return basic
        told = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
        realm = told.get("realm", "")
        if urlsplit(realm).scheme not in {"http", "https"}:
            raise ValueError("it names no place to get a token from")
        if urlsplit(realm).scheme == "http" and urlsplit(realm).hostname not in LOOPBACK:
            raise ValueError("it wants the login sent without encryption")
        scope = told.get("scope") or f"repository:{self.reference.repository}:pull"
        asked = {"service": told["service"]} if "service" in told else {}
        _headers, body = _ask(f"{realm}?{urlencode({**asked, 'scope': scope})}", "application/json", basic)
        answer = _document(body)
        return f"Bearer {answer.get('token') or answer.get('access_token', '')}"


def _document(body: bytes) -> dict[str, Any]:
    """ValueError where it is no JSON object."""
    found = json.loads(body)
    if not isinstance(found, dict):
        raise ValueError("its answer is no manifest")
    return found


def _ask(url: str, accept: str, authorization: str | None) -> tuple[Mapping[str, str], bytes]:
    # A redirect (blobs in S3, say) drops what is unredirected, so that no other host sees the login.
    request = Request(url, headers={"Accept": accept})
    if authorization is not None:
        request.add_unredirected_header("Authorization", authorization)
    with urlopen(request, timeout=TIMEOUT_S) as answer:
        return dict(answer.headers), answer.read(LARGEST_ANSWER)


def encoded(user: str, password: str) -> str:
    """A login as config.json keeps it."""
    return base64.b64encode(f"{user}:{password}".encode()).decode()
