"""`deploy keys`: key pairs of approvers and the list of who may approve."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from deploy.options import Approvers, EndpointUrl, Json, Profile
from planner import terminal


def register(app: typer.Typer) -> None:
    keys = typer.Typer(help="Make key pairs and say whose signature counts.", no_args_is_help=True)
    app.add_typer(keys, name="keys")

    @keys.command()
    def new(
        out: Annotated[Path, typer.Option(help="File for the private key; keep it to yourself")],
        as_json: Json = False,
    ) -> None:
        """Make an ed25519 key pair: the private key in OUT, the public one in OUT.pub."""
        from deploy.keys import fingerprint, new_key
        from deploy.session import errors_told

        with errors_told():
            public = new_key(out)
        public_file = out.with_name(out.name + ".pub")
        public_file.write_text(public.hex() + "\n", encoding="utf-8")
        result = {"private_key": str(out), "public_key": str(public_file), "key_id": fingerprint(public)}
        if as_json:
            terminal.print_json(result)
        else:
            terminal.console().print(
                f"Private key: {out}\nPublic key: {public_file}\n"
                f"Next, by whoever keeps the list: deploy keys trust {public_file} --name NAME",
                markup=False,
            )

    @keys.command()
    def trust(
        key: Annotated[str, typer.Argument(help="Public key file (.pub), or the ARN of a KMS key")],
        name: Annotated[str, typer.Option(help="Whose key it is")],
        approvers: Approvers = None,
        region: Annotated[str | None, typer.Option(help="AWS Region of a KMS key")] = None,
        endpoint_url: EndpointUrl = None,
        profile: Profile = None,
        as_json: Json = False,
    ) -> None:
        """Let a key approve. The public half of a KMS key is read now, so that later checks make no call."""
        from deploy import session
        from deploy.keys import KmsSigner, default_approvers_path, kms_approver, local_approver
        from deploy.keys import trust as add

        path = approvers or default_approvers_path()
        with session.errors_told():
            if key.startswith(("arn:aws", "alias/", "kms:")):
                parts = key.split(":")
                home = parts[3] if key.startswith("arn:") and len(parts) > 3 else (region or "eu-west-2")
                calls = session.calls(session.Target(region, endpoint_url, profile), home)
                approver = kms_approver(name, KmsSigner(calls.call, key.removeprefix("kms:")))
            else:
                approver = local_approver(name, _public_key(Path(key)))
            listed = add(path, approver)
        if as_json:
            terminal.print_json({"approvers": str(path), "trusted": [a.name for a in listed]})
        else:
            terminal.console().print(f"{path}: {', '.join(a.name for a in listed)} may approve", markup=False)


def _public_key(path: Path) -> bytes:
    try:
        raw = bytes.fromhex(path.read_text(encoding="utf-8").strip())
    except (OSError, ValueError, UnicodeDecodeError):
        raw = b""
    if len(raw) != 32:
        raise terminal.BadInput(f"{path} is not a public key from `deploy keys new`: name its .pub file.")
    return raw
