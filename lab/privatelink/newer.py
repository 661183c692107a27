"""What EC2's model gained between the pinned botocore and 1.44.8: the connections of transit gateway attachments.

A client of the pinned botocore drops what it does not know of an answer: an attachment's connection has no id in it.
A test fails as soon as the pinned model knows these; then this file goes.
"""

from typing import Any

Members = dict[str, Any]
"""Members of a shape, or shapes, or operations, as in botocore's service-2.json."""


def _text(name: str, shape: str = "String") -> Members:
    return {name: {"shape": shape, "locationName": name[0].lower() + name[1:]}}


_ASKED_TYPE = {"PermissionType": {"shape": "String"}}
_ASKED_IDS = {
    "TransitGatewayAttachmentIds": {"shape": "AskedAttachmentIdList", "locationName": "TransitGatewayAttachmentId"}
}
_ASKED_ID = {"TransitGatewayAttachmentId": {"shape": "String"}, "DryRun": {"shape": "Boolean"}}

MEMBERS: dict[str, Members] = {
    "VpcEndpointConnection": {**_text("TransitGatewayAttachmentId"), **_text("TransitGatewayAttachmentOwner")},
    "AllowedPrincipal": _text("PermissionType"),
    "AddedPrincipal": _text("PermissionType"),
    "ModifyVpcEndpointServicePermissionsRequest": _ASKED_TYPE,
    "AcceptVpcEndpointConnectionsRequest": _ASKED_IDS,
    "RejectVpcEndpointConnectionsRequest": _ASKED_IDS,
}
"""By the shape that has them now."""

SHAPES: Members = {
    "AskedAttachmentIdList": {"type": "list", "member": {"shape": "String", "locationName": "item"}},
    "CreateTransitGatewayNetworkFunctionAttachmentRequest": {
        "type": "structure",
        "members": {
            "TransitGatewayId": {"shape": "String"},
            "ServiceName": {"shape": "String"},
            "AvailabilityZones": {"shape": "ValueStringList", "locationName": "AvailabilityZone"},
            "DryRun": {"shape": "Boolean"},
        },
    },
    "DeleteTransitGatewayNetworkFunctionAttachmentRequest": {"type": "structure", "members": _ASKED_ID},
    "TransitGatewayNetworkFunctionAttachment": {
        "type": "structure",
        "members": {
            **_text("TransitGatewayAttachmentId"),
            **_text("TransitGatewayId"),
            **_text("ResourceOwnerId"),
            **_text("ResourceId"),
            **_text("State"),
        },
    },
    "TransitGatewayNetworkFunctionAttachmentResult": {
        "type": "structure",
        "members": _text("TransitGatewayNetworkFunctionAttachment", "TransitGatewayNetworkFunctionAttachment"),
    },
}

OPERATIONS: Members = {
    f"{verb}TransitGatewayNetworkFunctionAttachment": {
        "name": f"{verb}TransitGatewayNetworkFunctionAttachment",
        "http": {"method": "POST", "requestUri": "/"},
        "input": {"shape": f"{verb}TransitGatewayNetworkFunctionAttachmentRequest"},
        "output": {"shape": "TransitGatewayNetworkFunctionAttachmentResult"},
    }
    for verb in ("Create", "Delete")
}


def merged(document: Members) -> Members:
    """A copy of EC2's service-2.json with all of the above."""
    shapes = {**document["shapes"], **SHAPES}
    for name, members in MEMBERS.items():
        shapes[name] = {**shapes[name], "members": {**shapes[name]["members"], **members}}
    return {**document, "shapes": shapes, "operations": {**document["operations"], **OPERATIONS}}
