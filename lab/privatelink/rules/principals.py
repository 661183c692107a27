"""Who may connect to a service."""

import re
from dataclasses import replace

from lab.privatelink.rules.model import ATTACHMENT, GATEWAY, INTERFACE, Caller, Refusal, Service

ENDPOINTS, ATTACHMENTS = "vpc-endpoint", "transit-gateway-attachment"
"""EC2's types of permission: to make endpoints on a service, and to attach transit gateways to it."""

_FORMS = (
    (re.compile(r"\*"), "All"),
    (re.compile(r"arn:aws:iam::\d{12}:root"), "Account"),
    (re.compile(r"arn:aws:iam::\d{12}:user/[\w+=,.@-]+"), "User"),
    (re.compile(r"arn:aws:iam::\d{12}:role/[\w+=,.@-]+"), "Role"),
    (re.compile(r"arn:aws:organizations::\d{12}:ou/o-\w+/ou-[\w-]+"), "OrganizationUnit"),
    (re.compile(r"[\w.-]+\.amazonaws\.com"), "Service"),
)


def principal_type(principal: str) -> str:
    """The type of an allowed principal; ARNs carry no path (PrivateLink guide, "Configure an endpoint service").

    Raises Refusal InvalidPrincipal for anything else; the code is unconfirmed.
    """
    for form, kind in _FORMS:
        if form.fullmatch(principal):
            return kind
    raise Refusal("InvalidPrincipal", f"Invalid Principal: '{principal}'")


def require_permission(service: Service, permission: str) -> None:
    """Raises Refusal InvalidParameter for a type that there is not, or that a service of its type does not have."""
    if permission not in ((ENDPOINTS, ATTACHMENTS) if service.kind == GATEWAY else (ENDPOINTS,)):
        raise Refusal("InvalidParameter", f"The permission type {permission} is not supported by {service.service_id}.")


def allowed(service: Service, permission: str) -> tuple[str, ...]:
    """The principals that have this type of permission."""
    return service.attaching if permission == ATTACHMENTS else service.principals


def with_allowed(service: Service, permission: str, principals: tuple[str, ...]) -> Service:
    """The service with these principals for this type of permission."""
    if permission == ATTACHMENTS:
        return replace(service, attaching=principals)
    return replace(service, principals=principals)


def may_connect(service: Service, caller: Caller, kind: str = INTERFACE) -> bool:
    """Whether the service lets the caller see and use it, for connections of this kind.

    The owner's account always may. An account's root ARN means all principals in it, a role's its sessions.
    Organizational units are kept and shown, but admit no caller: the lab has no AWS Organizations.
    """
    wanted = {"*", f"arn:aws:iam::{caller.account}:root", caller.arn}
    if session := re.fullmatch(r"arn:aws:sts::(\d{12}):assumed-role/([^/]+)/.+", caller.arn):
        wanted.add(f"arn:aws:iam::{session[1]}:role/{session[2]}")
    admitted = allowed(service, ATTACHMENTS if kind == ATTACHMENT else ENDPOINTS)
    return caller.account == service.owner or not wanted.isdisjoint(admitted)
