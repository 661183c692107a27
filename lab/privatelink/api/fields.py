"""What the answers of several actions have in common: tags, DNS names, failures."""

from collections.abc import Mapping, Sequence
from typing import Any

from lab.privatelink.rules.model import Connection, Failure, Service

Values = dict[str, Any]
"""A request or an answer as boto3 spells it."""

_HOSTED_ZONE = "Z38GZ743OKFT7T"
"""AWS's hosted zone for the public names of endpoints in eu-west-1; the lab uses it in every Region."""


def given_tags(request: Values, resource_type: str) -> dict[str, str]:
    """The tags that a request gives to a new resource of the type."""
    specifications = [s for s in request.get("TagSpecifications", ()) if s.get("ResourceType") == resource_type]
    return {tag["Key"]: tag.get("Value", "") for s in specifications for tag in s.get("Tags", ())}


def shown_tags(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Tags as an answer lists them."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def public_names(connection: Connection, service: Service) -> list[dict[str, str]]:
    """The DNS names of an endpoint that resolve everywhere, as an answer lists them."""
    return [{"DnsName": name, "HostedZoneId": _HOSTED_ZONE} for name in connection.dns_names(service)]


def unsuccessful(failures: Sequence[Failure]) -> Values:
    """The answer of an action that names what failed."""
    listed = [{"Error": {"Code": f.code, "Message": f.message}, "ResourceId": f.resource_id} for f in failures]
    return {"Unsuccessful": listed}
