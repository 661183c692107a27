"""Who may connect to a service."""

import re

from lab.privatelink.rules.model import Caller, Refusal, Service

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


def may_connect(service: Service, caller: Caller) -> bool:
    """Whether the service lets the caller see and use it.

    The owner's account always may. An account's root ARN means all principals in it, a role's its sessions.
    Organizational units are kept and shown, but admit no caller: the lab has no AWS Organizations.
    """
    wanted = {"*", f"arn:aws:iam::{caller.account}:root", caller.arn}
    if session := re.fullmatch(r"arn:aws:sts::(\d{12}):assumed-role/([^/]+)/.+", caller.arn):
        wanted.add(f"arn:aws:iam::{session[1]}:role/{session[2]}")
    return caller.account == service.owner or not wanted.isdisjoint(service.principals)
