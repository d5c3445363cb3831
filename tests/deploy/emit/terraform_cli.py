"""The real terraform with a provider mirror, where the machine has both."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

PROVIDER = "registry.terraform.io/hashicorp/aws"


def provider_mirror() -> Path | None:
    """A folder with the AWS provider: named by the CLI configuration, or in a usual place for plugins."""
    places = [Path(p) for p in re.findall(r'path\s*=\s*"([^"]+)"', _cli_configuration())]
    places += [Path(p) for p in (os.environ.get("TF_PLUGIN_CACHE_DIR"),) if p]
    places += [Path.home() / ".terraform.d/plugins", Path("/usr/local/share/terraform/plugins")]
    places += [path.parents[2] for path in Path("/opt").glob(f"*/{PROVIDER}")]
    return next((place for place in places if (place / PROVIDER).is_dir()), None)


def _cli_configuration() -> str:
    path = Path(os.environ.get("TF_CLI_CONFIG_FILE", str(Path.home() / ".terraformrc")))
    return path.read_text(encoding="utf-8") if path.is_file() else ""


class Terraform:
    """Commands in one folder, with the mirror as the only source of providers."""

    def __init__(self, folder: Path, mirror: Path) -> None:
        self.folder = folder
        configuration = folder / "cli.tfrc"
        configuration.write_text(
            f'provider_installation {{ filesystem_mirror {{ path = "{mirror}" }} }}\n', encoding="utf-8"
        )
        self.environment = {
            "PATH": os.environ["PATH"],
            "TF_CLI_CONFIG_FILE": str(configuration),
            "TF_IN_AUTOMATION": "1",
            "CHECKPOINT_DISABLE": "1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def __call__(self, *arguments: str) -> str:
        done = subprocess.run(
            ["terraform", *arguments, "-no-color"] if arguments[0] != "show" else ["terraform", *arguments],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def json(self, *arguments: str) -> Any:
        return json.loads(self("show", "-json", *arguments))


def terraform_in(folder: Path) -> Terraform:
    mirror = provider_mirror()
    if shutil.which("terraform") is None or mirror is None:
        pytest.skip("terraform and a mirror of its AWS provider are not on this machine")
    return Terraform(folder, mirror)


def provider_block(endpoint_url: str, region: str) -> dict[str, Any]:
    services = (
        "applicationautoscaling",
        "autoscaling",
        "ec2",
        "ecs",
        "iam",
        "ssm",
        "sts",
    )
    return {
        "provider": {
            "aws": {
                "region": region,
                "access_key": "sandbox",
                "secret_key": "sandbox",
                "skip_credentials_validation": True,
                "skip_requesting_account_id": True,
                "skip_metadata_api_check": True,
                "max_retries": 5,  # a busy machine may drop a connection; AWS is retried 25 times by default
                "endpoints": [dict.fromkeys(services, endpoint_url)],
            }
        }
    }
