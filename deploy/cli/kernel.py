"""`deploy kernel install|status|uninstall`: the Jupyter kernel "ECS deploy"."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from planner import terminal

JSON = Annotated[bool, typer.Option("--json", help="Print the result as JSON")]


def register(app: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True, help='The Jupyter kernel "ECS deploy".')
    app.add_typer(group, name="kernel")

    @group.command()
    def install(
        sys_prefix: Annotated[
            bool, typer.Option("--sys-prefix", help="Into this environment (the default)")
        ] = False,
        user: Annotated[bool, typer.Option("--user", help="Into your own Jupyter folder")] = False,
        prefix: Annotated[Path | None, typer.Option(help="Into PREFIX/share/jupyter/kernels")] = None,
        as_json: JSON = False,
    ) -> None:
        """Install the kernelspec `ecs-deploy`."""
        from deploy.kernel import install as installing

        if sum((sys_prefix, user, prefix is not None)) > 1:
            raise terminal.BadInput("Pass one of --sys-prefix, --user and --prefix, not several.")
        try:
            path = installing.install(user=user, prefix=prefix)
        except OSError as error:
            raise terminal.BadInput(
                f"The kernelspec cannot be written ({error}): try `deploy kernel install --user`."
            ) from None
        _tell({"installed": str(path)}, f'The kernel "ECS deploy" is installed in {path}.', as_json)

    @group.command()
    def status(as_json: JSON = False) -> None:
        """Say whether Jupyter finds the kernel, and where. Exit 1 if it does not."""
        from deploy.kernel import install as installing

        found = installing.find()
        if found is None:
            raise terminal.Refusal("The kernel is not installed: run `deploy kernel install`.")
        if not found.is_ours:
            raise terminal.Refusal(
                f"{found.path} is another kernel of the same name: run `deploy kernel install` to replace it."
            )
        _tell({"installed": str(found.path)}, f"Installed in {found.path}.", as_json)

    @group.command()
    def uninstall(as_json: JSON = False) -> None:
        """Remove the kernelspec that Jupyter finds."""
        from deploy.kernel import install as installing

        try:
            path = installing.uninstall()
        except OSError as error:
            raise terminal.BadInput(f"The kernelspec cannot be removed ({error}): check its owner.") from None
        if path is None:
            raise terminal.Refusal("The kernel is not installed: there is nothing to remove.")
        _tell({"removed": str(path)}, f"Removed {path}.", as_json)


def _tell(result: dict[str, str], text: str, as_json: bool) -> None:
    if as_json:
        terminal.print_json(result)
    else:
        terminal.console().print(text, markup=False, soft_wrap=True)
