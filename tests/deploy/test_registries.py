"""Images in other registries are looked up through the registry's own API, with the login of whoever asks."""

from __future__ import annotations

import hashlib
import json
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from deploy.aws.registries import Reference, encoded, parse, registry_check
from deploy.model import Check, CheckStatus

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
INDEX = "application/vnd.oci.image.index.v1+json"


@pytest.mark.parametrize(
    ("image", "reference"),
    [
        ("web", Reference("registry-1.docker.io", "library/web", "latest")),
        ("team/web:2", Reference("registry-1.docker.io", "team/web", "2")),
        ("registry.example:5000/a/b/web:2.1", Reference("registry.example:5000", "a/b/web", "2.1")),
        ("registry.example/web:2@sha256:ab", Reference("registry.example", "web", "sha256:ab")),
        ("localhost/web", Reference("localhost", "web", "latest")),
    ],
)
def test_a_reference_is_taken_apart_as_docker_does(image: str, reference: Reference) -> None:
    assert parse(image) == reference


# A registry of Debian's docker-registry


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    program = shutil.which("docker-registry")
    if program is None:
        pytest.skip("docker-registry is not installed")
    folder = tmp_path_factory.mktemp("registry")
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{found.getsockname()[1]}"
    settings = {
        "version": "0.1",
        "log": {"level": "error"},
        "storage": {"filesystem": {"rootdirectory": str(folder)}},
        "http": {"addr": host},
    }
    (folder / "config.yml").write_text(json.dumps(settings))
    process = subprocess.Popen(
        [program, "serve", str(folder / "config.yml")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _until_it_answers(host)
        yield host
    finally:
        process.terminate()
        process.wait()


def _until_it_answers(host: str) -> None:
    for _ in range(100):
        try:
            with urlopen(f"http://{host}/v2/"):
                return
        except OSError:
            time.sleep(0.05)
    pytest.skip("docker-registry did not start")


def put(host: str, path: str, body: bytes, kind: str) -> None:
    request = Request(f"http://{host}/v2/{path}", body, {"Content-Type": kind}, method="PUT")
    with urlopen(request):
        pass


def push(host: str, repository: str, tag: str, architecture: str) -> dict[str, Any]:
    """An image without layers; returns its description for an index."""
    config = json.dumps({"architecture": architecture, "os": "linux", "rootfs": {"type": "layers"}}).encode()
    digest = f"sha256:{hashlib.sha256(config).hexdigest()}"
    with urlopen(Request(f"http://{host}/v2/{repository}/blobs/uploads/", b"", method="POST")) as begun:
        place = begun.headers["Location"]
    where = place if place.startswith("http") else f"http://{host}{place}"
    plain = {"Content-Type": "application/octet-stream"}
    with urlopen(Request(f"{where}&digest={digest}", config, plain, method="PUT")):
        pass
    described = {
        "mediaType": "application/vnd.docker.container.image.v1+json",
        "size": len(config),
        "digest": digest,
    }
    manifest = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "config": described, "layers": []}).encode()
    put(host, f"{repository}/manifests/{tag}", manifest, MANIFEST)
    return {
        "mediaType": MANIFEST,
        "size": len(manifest),
        "digest": f"sha256:{hashlib.sha256(manifest).hexdigest()}",
        "platform": {"architecture": architecture, "os": "linux"},
    }


def ask(image: str, architecture: str = "X86_64") -> Check:
    return registry_check(
        "image", image, architecture, private=True, environment={"DOCKER_CONFIG": "/nonexistent"}
    )


def test_an_image_of_one_platform_tells_it_by_its_configuration(registry: str) -> None:
    push(registry, "team/web", "1", "amd64")

    found = ask(f"{registry}/team/web:1")
    assert found.status is CheckStatus.OK
    assert "sha256:" in found.reason
    assert ask(f"{registry}/team/web:1", "ARM64") == Check.ng("image", "it has amd64, but the task runs on ARM64")


def test_an_image_of_many_platforms_tells_them_by_its_index(registry: str) -> None:
    manifests = [push(registry, "team/both", name, name) for name in ("amd64", "arm64")]
    index = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}).encode()
    put(registry, "team/both/manifests/2", index, INDEX)

    assert ask(f"{registry}/team/both:2").status is CheckStatus.OK
    assert ask(f"{registry}/team/both:2", "ARM64").status is CheckStatus.OK


def test_an_image_that_is_not_there_is_named(registry: str) -> None:
    push(registry, "team/web", "1", "amd64")

    assert ask(f"{registry}/team/web:9") == Check.ng("image", f"team/web has no image 9 in {registry}")
    assert ask(f"{registry}/team/none:1").status is CheckStatus.NG


# Tokens, as GitLab and Docker Hub hand them out


class Guarded(BaseHTTPRequestHandler):
    """A registry that wants a token, and the place that gives one to who has a login."""

    def do_GET(self) -> None:
        given = self.headers.get("Authorization", "")
        host = self.headers["Host"]
        if self.path.startswith("/jwt/auth"):
            known = given == f"Basic {encoded('deploy', 'token')}"
            self._answer(200 if known else 401, {"token": "good"} if known else {})
        elif given == "Bearer good":
            self._answer(200, {"manifests": [{"platform": {"architecture": "arm64"}}]})
        else:
            self._answer(
                401,
                {},
                f'Bearer realm="http://{host}/jwt/auth",service="container_registry",scope="repository:a:pull"',
            )

    def _answer(self, status: int, body: dict[str, Any], challenge: str | None = None) -> None:
        self.send_response(status)
        if challenge:
            self.send_header("WWW-Authenticate", challenge)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, format: str, *args: Any) -> None: ...


@pytest.fixture
def guarded() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Guarded)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def logged_in(folder: Path, host: str, password: str) -> dict[str, str]:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"auths": {host: {"auth": encoded("deploy", password)}}}))
    return {"DOCKER_CONFIG": str(folder)}


def test_a_login_is_exchanged_for_a_token(guarded: str, tmp_path: Path) -> None:
    environment = logged_in(tmp_path, guarded, "token")

    found = registry_check("image", f"{guarded}/a:1", "ARM64", True, environment)
    assert found.status is CheckStatus.OK


def test_a_wrong_login_is_a_skip_that_says_so(guarded: str, tmp_path: Path) -> None:
    found = registry_check("image", f"{guarded}/a:1", "ARM64", True, logged_in(tmp_path, guarded, "wrong"))

    assert found.status is CheckStatus.SKIP
    assert "does not let this login read a" in found.reason
    assert "wrong" not in found.reason


def test_without_a_login_no_registry_is_asked(tmp_path: Path) -> None:
    found = registry_check("image", "registry.example/web:1", "X86_64", True, {"DOCKER_CONFIG": str(tmp_path)})

    assert found.status is CheckStatus.SKIP
    assert "docker login registry.example" in found.reason


def test_a_registry_that_cannot_be_reached_is_a_skip(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{free.getsockname()[1]}"
    found = registry_check("image", f"{host}/web:1", "X86_64", True, {"DOCKER_CONFIG": str(tmp_path)})

    assert found.status is CheckStatus.SKIP
    assert "cannot be asked from here" in found.reason
