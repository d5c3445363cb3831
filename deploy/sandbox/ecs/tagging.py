"""Tags and account settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from deploy.sandbox.ecs.errors import EcsError, invalid
from deploy.sandbox.ecs.state import Document

if TYPE_CHECKING:
    from deploy.sandbox.ecs.engine import Ecs

ACCOUNT_SETTINGS = {
    "serviceLongArnFormat": "enabled",
    "taskLongArnFormat": "enabled",
    "containerInstanceLongArnFormat": "enabled",
    "awsvpcTrunking": "disabled",
    "containerInsights": "disabled",
    "dualStackIPv6": "disabled",
    "tagResourceAuthorization": "off",
    "guardDutyActivate": "off",
    "fargateTaskRetirementWaitPeriod": "7",
    "defaultLogDriverMode": "non-blocking",
}


class Tagging:
    def __init__(self, ecs: Ecs) -> None:
        self.ecs = ecs
        self.settings = dict(ACCOUNT_SETTINGS)

    def list_tags_for_resource(self, given: Document) -> Document:
        return {"tags": self._tags(given["resourceArn"])}

    def tag_resource(self, given: Document) -> Document:
        tags = self._tags(given["resourceArn"])
        changed = {tag["key"] for tag in given["tags"]}
        tags[:] = [tag for tag in tags if tag["key"] not in changed] + given["tags"]
        return {}

    def untag_resource(self, given: Document) -> Document:
        tags = self._tags(given["resourceArn"])
        tags[:] = [tag for tag in tags if tag["key"] not in given["tagKeys"]]
        return {}

    def _tags(self, arn: str) -> list[Document]:
        definition = self.ecs.definitions.tagged(arn)
        if definition is not None:
            return definition
        for provider in self.ecs.providers.by_name.values():
            if provider.arn == arn:
                return provider.tags
        for cluster in self.ecs.by_name.values():
            owners: tuple[Any, ...] = (
                cluster,
                *cluster.services.values(),
                *cluster.tasks.values(),
                *cluster.instances.values(),
            )
            for owner in owners:
                if owner.arn == arn:
                    tags: list[Document] = owner.tags
                    return tags
        raise EcsError("InvalidParameterException", "The specified resource does not exist or is inactive.")

    def list_account_settings(self, given: Document) -> Document:
        name = given.get("name")
        return {
            "settings": [
                {"name": n, "value": v, "principalArn": self.ecs.caller, "type": "user"}
                for n, v in sorted(self.settings.items())
                if name in (None, n) and given.get("value") in (None, v)
            ]
        }

    def put_account_setting(self, given: Document) -> Document:
        if given["name"] not in self.settings:
            raise invalid(f"{given['name']} is not an account setting of the sandbox.")
        self.settings[given["name"]] = given["value"]
        return {"setting": {"name": given["name"], "value": given["value"], "principalArn": self.ecs.caller}}

    def put_account_setting_default(self, given: Document) -> Document:
        return self.put_account_setting(given)
