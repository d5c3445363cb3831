"""Whose hands the kernel has: the read-only role for every cell, nothing at all for child processes.

At start the credentials are taken out of the environment. Child processes inherit an environment that leads to
none; sessions made in this process get the read-only role's from here; `%apply` alone assumes the deploy role.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, cast

READ_ROLE = "ECS_DEPLOY_READ_ROLE_ARN"
DEPLOY_ROLE = "ECS_DEPLOY_ROLE_ARN"

_EXACT = frozenset(
    {
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_SECURITY_TOKEN",
        "AWS_CREDENTIAL_EXPIRATION",
        "AWS_PROFILE",
        "AWS_DEFAULT_PROFILE",
        "AWS_ROLE_ARN",
        "AWS_ROLE_SESSION_NAME",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_SHARED_CREDENTIALS_FILE",
        "AWS_CONFIG_FILE",
        "AWS_DATA_PATH",
    }
)
_PREFIXES = ("AWS_CONTAINER_", "AWS_BEARER_TOKEN")

NOWHERE = {
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}
"""What makes an AWS SDK in a child process find no credentials by itself."""


def take_from(environment: MutableMapping[str, str]) -> dict[str, str]:
    """Remove everything that leads to credentials, put `NOWHERE` in its place, and return what was removed."""
    taken = {n: v for n, v in environment.items() if n in _EXACT or n.startswith(_PREFIXES)}
    if "AWS_EC2_METADATA_DISABLED" in environment:
        taken["AWS_EC2_METADATA_DISABLED"] = environment["AWS_EC2_METADATA_DISABLED"]
    for name in taken:
        del environment[name]
    environment.update(NOWHERE)
    return taken


class Holder:
    """Gives botocore sessions the credentials this process was started with, as far as a role allows.

    `taken` is what `take_from` removed from the environment; it is put back, under a lock, only while botocore's
    own credential chain runs (a profile's `credential_process` or a token file may need it). The chain's calls
    are let through by `permitted()`.
    """

    def __init__(self, taken: Mapping[str, str], permitted: Callable[[], AbstractContextManager[None]]) -> None:
        import botocore.credentials

        self._taken = dict(taken)
        self._permitted = permitted
        self._lock = threading.RLock()
        self._resolver = botocore.credentials.create_credential_resolver
        self._read_role = os.environ.get(READ_ROLE)
        self._held: dict[str | None, Any] = {}
        setattr(botocore.credentials, "create_credential_resolver", self._read_only_resolver)  # noqa: B010
        self._keep_region()

    @contextmanager
    def running_chain(self) -> Iterator[None]:
        with self._lock, self._permitted():
            os.environ.update(self._taken)
            for name in NOWHERE.keys() - self._taken.keys():
                del os.environ[name]
            try:
                yield
            finally:
                take_from(os.environ)

    def session(self, role_arn: str | None) -> Any:
        """A botocore session of its own with that role's credentials; None: those the kernel was started with."""
        import botocore.session

        session: Any = botocore.session.Session()
        session._credentials = self._credentials(role_arn)
        return session

    def forget(self, role_arn: str | None) -> None:
        """Drop a role's credentials: the next session for it assumes the role anew."""
        with self._lock:
            if role_arn is not None and role_arn != self._read_role:
                self._held.pop(role_arn, None)

    def _keep_region(self) -> None:
        """A profile's Region stays known although its file is no longer named in the environment.

        botocore reads AWS_DEFAULT_REGION alone, other SDKs and AWS's own runtimes AWS_REGION.
        """
        import botocore.session

        if "AWS_REGION" in os.environ:
            os.environ.setdefault("AWS_DEFAULT_REGION", os.environ["AWS_REGION"])
        if not os.environ.keys() & {"AWS_REGION", "AWS_DEFAULT_REGION"}:
            with self.running_chain():
                region = botocore.session.Session().get_config_variable("region")
            if region:
                os.environ["AWS_DEFAULT_REGION"] = region

    def _read_only_resolver(self, *_: Any, **__: Any) -> Any:
        import botocore.credentials

        return botocore.credentials.CredentialResolver(providers=[cast(Any, _Provider(self))])

    def _credentials(self, role_arn: str | None) -> Any:
        import botocore.session

        with self._lock:
            if role_arn not in self._held:
                with self.running_chain():
                    base = self._resolver(botocore.session.Session()).load_credentials()
                    chosen = base if base is None or role_arn is None else _assumed(base, role_arn)
                if chosen is None:
                    return None
                self._held[role_arn] = _permitted_credentials(chosen, self)
            return self._held[role_arn]


class _Provider:
    """The one provider of every session in a cell."""

    METHOD = "ecs-deploy"
    CANONICAL_NAME = "EcsDeployKernel"

    def __init__(self, holder: Holder) -> None:
        self.load = lambda: holder._credentials(holder._read_role)


def _permitted_credentials(base: Any, holder: Holder) -> Any:
    """Credentials whose renewal runs as the chain's."""
    import botocore.credentials

    class Permitted(botocore.credentials.Credentials):
        def __init__(self) -> None:
            self.method = _Provider.METHOD

        def get_frozen_credentials(self) -> Any:
            if not getattr(base, "refresh_needed", lambda: False)():
                return base.get_frozen_credentials()
            with holder.running_chain():
                return base.get_frozen_credentials()

        access_key = property(lambda self: self.get_frozen_credentials().access_key)
        secret_key = property(lambda self: self.get_frozen_credentials().secret_key)
        token = property(lambda self: self.get_frozen_credentials().token)
        account_id = property(lambda self: self.get_frozen_credentials().account_id)

    return Permitted()


def _assumed(base: Any, role_arn: str) -> Any:
    import botocore.credentials
    import botocore.session

    def client(*args: Any, **options: Any) -> Any:
        session: Any = botocore.session.Session()
        session._credentials = base
        return session.create_client(*args, **options)

    fetcher = botocore.credentials.AssumeRoleCredentialFetcher(
        client_creator=client,
        source_credentials=base,
        role_arn=role_arn,
        extra_args={"RoleSessionName": "ecs-deploy"},
    )
    return botocore.credentials.DeferredRefreshableCredentials(fetcher.fetch_credentials, "assume-role")
