"""ECS's refusals: the error codes of its API with sentences that say what was wrong."""

from __future__ import annotations

from moto.core.exceptions import ServiceException


class EcsError(ServiceException):
    """An error as ECS answers it: (code, message)."""


def client_error(message: str) -> EcsError:
    return EcsError("ClientException", message)


def invalid(message: str) -> EcsError:
    return EcsError("InvalidParameterException", message)


def no_cluster() -> EcsError:
    return EcsError("ClusterNotFoundException", "Cluster not found.")


def no_service() -> EcsError:
    return EcsError("ServiceNotFoundException", "Service not found.")


def inactive_service() -> EcsError:
    return EcsError("ServiceNotActiveException", "Service was not ACTIVE.")
