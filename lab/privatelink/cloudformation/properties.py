"""A template's properties on their way into EC2 calls."""

from collections.abc import Iterable, Mapping
from typing import Any

from lab.privatelink import ministack

Properties = Mapping[str, Any]
Made = tuple[str, dict[str, Any]]
"""What CloudFormation made: the physical id, which is also what Ref gives, and the attributes for Fn::GetAtt."""


def given(**arguments: Any) -> dict[str, Any]:
    """The arguments of a call, without those that a template leaves out."""
    return {name: value for name, value in arguments.items() if value not in (None, "", [])}


def flag(properties: Properties, name: str, default: bool) -> bool:
    """A boolean property; YAML may carry it as the string "false"."""
    return str(properties.get(name, default)).lower() == "true"


def tagged(properties: Properties, resource_type: str) -> list[dict[str, Any]]:
    """The Tags property as the TagSpecifications of a call."""
    tags = properties.get("Tags")
    return [{"ResourceType": resource_type, "Tags": tags}] if tags else []


def retag(resource_id: str, old: Properties, new: Properties) -> None:
    """Carry a change of the Tags property over; tags that others put on the resource stay."""
    before, after = ({t["Key"]: t["Value"] for t in p.get("Tags") or ()} for p in (old, new))
    if gone := [{"Key": key} for key in before.keys() - after.keys()]:
        ministack.call("DeleteTags", {"Resources": [resource_id], "Tags": gone})
    if after:
        tags = [{"Key": key, "Value": value} for key, value in after.items()]
        ministack.call("CreateTags", {"Resources": [resource_id], "Tags": tags})


def changes(name: str, old: Properties, new: Properties) -> tuple[list[str], list[str]]:
    """What a list property gained and what it lost."""
    before, after = list(old.get(name) or ()), list(new.get(name) or ())
    return [v for v in after if v not in before], [v for v in before if v not in after]


def succeeded(answer: Mapping[str, Any], gone: Iterable[str] = ()) -> None:
    """Raise ValueError for what an answer lists as unsuccessful, unless its code says that it is `gone` already."""
    for item in answer.get("Unsuccessful", ()):
        if item["Error"]["Code"] not in gone:
            raise ValueError(f"{item['Error']['Message']} ({item['Error']['Code']})")
