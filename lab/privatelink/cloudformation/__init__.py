"""CloudFormation's PrivateLink types, each made of the EC2 calls that it stands for.

An endpoint is complete as soon as it exists: CloudFormation does not wait for its acceptance.
What AWS replaces (schema: createOnlyProperties) is created anew, and the engine deletes its predecessor.
"""

from typing import Any

from lab.privatelink import ministack
from lab.privatelink.cloudformation import notifications, services
from lab.privatelink.cloudformation.endpoints import Endpoints
from lab.privatelink.rules.state import State


def install(state: State) -> None:
    """Teach CloudFormation the types; endpoints on AWS's own services stay with ministack's handler."""
    endpoints = Endpoints(state, ministack.RESOURCE_TYPES["AWS::EC2::VPCEndpoint"])
    handlers: dict[str, tuple[Any, Any, Any]] = {
        "VPCEndpointService": (services.create_service, services.update_service, services.delete_service),
        "VPCEndpointServicePermissions": (
            services.create_permissions,
            services.update_permissions,
            services.delete_permissions,
        ),
        "VPCEndpointConnectionNotification": (notifications.create, notifications.update, notifications.delete),
        "VPCEndpoint": (endpoints.create, endpoints.update, endpoints.delete),
    }
    for name, functions in handlers.items():
        ministack.RESOURCE_TYPES[f"AWS::EC2::{name}"] = dict(
            zip(("create", "update", "delete"), functions, strict=True)
        )
    ministack.STACK_TAGS["AWS::EC2::VPCEndpointService"] = ("Tags", "list")
