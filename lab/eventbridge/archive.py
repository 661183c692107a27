"""AWS::Events::Archive for CloudFormation: ministack has the archives, not the type."""

import json
from collections.abc import Mapping
from typing import Any

from ministack.services import eventbridge  # type: ignore[import-untyped]
from ministack.services.cloudformation import provisioners  # type: ignore[import-untyped]

# The private names of ministack used here.
_handlers: dict[str, Any] = provisioners._RESOURCE_HANDLERS
_archives = eventbridge._archives
_create_archive = eventbridge._create_archive

Props = Mapping[str, Any]


def install() -> None:
    """Add the type to ministack's table."""
    _handlers["AWS::Events::Archive"] = {"create": create, "delete": delete}


def create(logical_id: str, props: Props, stack: str) -> tuple[str, dict[str, str]]:
    """An archive; its Ref is its name, its attribute Arn. ValueError if the bus service refuses it."""
    name = str(props.get("ArchiveName") or f"{stack}-{logical_id}"[:48])
    status, _, body = _create_archive(
        {
            "ArchiveName": name,
            "EventSourceArn": props["SourceArn"],
            "Description": props.get("Description", ""),
            "RetentionDays": int(props.get("RetentionDays", 0)),
            "EventPattern": json.dumps(props["EventPattern"]) if "EventPattern" in props else "",
        }
    )
    if status >= 400:
        raise ValueError(str(body))
    return name, {"Arn": _archives[name]["ArchiveArn"], "ArchiveName": name}


def delete(name: str, props: Props) -> None:
    """Gone, whether it was there or not."""
    _archives.pop(name, None)
