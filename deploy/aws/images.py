"""Whether a container image is there, for the architecture that it will run on."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from deploy.aws.calls import Calls
from deploy.aws.registries import PLATFORM, registry_check
from deploy.model import Check
from deploy.ports import CallFailed

ECR = re.compile(
    r"^(\d{12})\.dkr\.ecr\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?/([^:@]+)(?::([^@]+))?(?:@(sha256:[0-9a-f]{64}))?$"
)
INDEX_TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
MANIFEST_TYPES = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)


def image_check(calls: Calls, name: str, container: Mapping[str, Any], architecture: str) -> Check:
    """ECR is asked through AWS, any other registry through its own API."""
    image = str(container["image"])
    match = ECR.match(image)
    if match is None:
        return registry_check(name, image, architecture, bool(container.get("repositoryCredentials")))
    account, region, repository, tag, digest = match.groups()
    if region != calls.region:
        return Check.skip(name, f"{image} is in {region}, these credentials are used in {calls.region}")
    wanted = {"imageDigest": digest} if digest else {"imageTag": tag or "latest"}
    try:
        answer = calls(
            "ecr",
            "BatchGetImage",
            registryId=account,
            repositoryName=repository,
            imageIds=[wanted],
            acceptedMediaTypes=[*INDEX_TYPES, *MANIFEST_TYPES],
        )
    except CallFailed as error:
        if error.code == "RepositoryNotFoundException":
            return Check.ng(name, f"there is no repository {repository}")
        raise
    if not answer.get("images"):
        return Check.ng(name, f"{repository} has no image {tag or digest or 'latest'}")
    return _architecture_check(name, answer["images"][0], architecture)


def _architecture_check(name: str, found: Mapping[str, Any], architecture: str) -> Check:
    digest = found["imageId"].get("imageDigest", "no digest told")
    try:
        manifest = json.loads(found.get("imageManifest", "{}"))
    except ValueError:
        manifest = {}
    platforms = {m.get("platform", {}).get("architecture") for m in manifest.get("manifests", [])}
    if not platforms:
        return Check.ok(name, f"{digest}; one platform, which its manifest does not tell")
    if PLATFORM[architecture] not in platforms:
        listed = ", ".join(sorted(str(p) for p in platforms))
        return Check.ng(name, f"it has {listed}, but the task runs on {architecture}")
    return Check.ok(name, f"{digest}, for {architecture}")
