"""The message to send to a consumer: what became of their endpoint, since when, and what they can do. Pure.

It names nothing of the provider's own: no rows, no people, no tickets, no other consumers.
"""

from dataclasses import dataclass
from datetime import datetime

from linkgate.health.causes import OPEN, UNKNOWN
from linkgate.ledger.items import BY_HAND, EndpointRecord, Facts
from linkgate.model import Decision, Mode, Outcome, Reason, Status
from linkgate.policy.grounds import Ground, shown

STAY = "Nothing is wrong with the endpoint: do not recreate it."
OURS = f"This is ours to mend. {STAY}"
RECREATE = "Please delete it and create a new one: AWS does not accept an endpoint again that was rejected."
LATER = "It will be accepted by itself"

_HELD = {
    Reason.NOT_LISTED: (
        "your account is not on our list yet",
        f"Ask us to add account {{account}}. {LATER} within seconds after that. {STAY}",
    ),
    Reason.EXPIRED: (
        "the time for which your account was allowed is over",
        f"Ask us to extend it. {LATER} within seconds after that. {STAY}",
    ),
    Reason.NOT_YET_VALID: ("your account is allowed from a later day on", f"{LATER} then{{starts}}. {STAY}"),
    Reason.WRONG_REGION: (
        "your account is not allowed to connect from {region}",
        f"Ask us to add the Region, or use an endpoint in one that is allowed. {STAY}",
    ),
    Reason.REVIEW: ("we look at each request of your account ourselves", f"You will hear from us. {STAY}"),
    Reason.FROZEN: ("we take no new connections at the moment", f"{LATER} afterwards{{frozen}}. {STAY}"),
    Reason.OVER_LIMIT: (
        "your account has as many connections as we allow it{used}",
        f"{LATER} when you delete one of the others; or ask us for more. {STAY}",
    ),
    Reason.ALLOWED: ("your account is allowed, and the connection is about to be accepted", STAY),
}
_OUR_TROUBLE = "something on our side keeps us from deciding on it"

_CAUSES = {
    "dns_timeout": (
        "the resolver of your VPC does not answer",
        "Check the DHCP options and resolver rules of your VPC.",
    ),
    "dns_not_found": (
        "its name does not resolve in your VPC",
        "Check that the endpoint still exists, and that DNS support is enabled in your VPC.",
    ),
    "dns_unexpected_address": (
        "its name resolves to an address that is not the endpoint's",
        "Check private DNS on the endpoint, and the hosted zones of your VPC.",
    ),
    "private_name_missing": (
        "our private name does not lead to it, while its own names do",
        "Enable private DNS on the endpoint; check DNS hostnames, DNS support and hosted zones of your VPC.",
    ),
    "tcp_timeout": (
        "packets to it are dropped",
        "Check that its security group admits your clients on our port, then the network ACLs of its subnets.",
    ),
    "never_verified": (
        "they never reached it, which may be our probe's own way",
        "If your clients do not reach it either, check that its security group admits them on our port.",
    ),
    "zone_unreachable": (
        "one of its Availability Zones does not answer, while another one does",
        "We look at our side of that zone; please check the network ACL of the endpoint's subnet there.",
    ),
}
"""Causes that a consumer can do something about."""
BEHIND = {
    *("body_mismatch", "http_closed", "http_status", "http_timeout", "private_name_unverified", "tcp_refused"),
    *("tls_client_certificate", "tls_closed", "tls_expired", "tls_failed", "tls_name_mismatch", "tls_name_refused"),
    *("tls_timeout", "tls_untrusted", "tls_version"),
}
"""Causes that lie with the provider: the endpoint is reached, and what stands behind it is at fault."""
_STATES = {
    "connection_pending": f"is accepted, and AWS is still making it available. {STAY}",
    "connection_rejected": "is rejected at the moment. Ask us why before you create another one.",
    "endpoint_deleted": "is gone. If that was not meant, create a new one.",
    OPEN: "must not be used: it gets in although it should stay out. Ask us about it.",
}
"""Causes that say what became of the connection."""
TOLD = {*_CAUSES, *_STATES, *BEHIND, "packet_loss", UNKNOWN}
"""Every cause: one that is not here would be told as the provider's own."""


@dataclass(frozen=True, slots=True)
class Case:
    """One endpoint with its last decision; without `facts` the ledger's own words have to do."""

    record: EndpointRecord
    decision: Decision | None = None
    facts: Facts | None = None


def message(case: Case, now: datetime) -> str:
    """The message, in sentences."""
    record = case.record
    where = f", {record.region}" if record.region else ""
    endpoint = f"Your endpoint {record.endpoint} (account {record.account or 'unknown'}{where})"
    return f"{endpoint} to our service {record.service} {_state(case)}"


def _state(case: Case) -> str:
    record, status = case.record, case.record.status
    match status:
        case Status.HELD:
            return _held(case)
        case Status.VERIFIED:
            return f"is accepted{_since(record.accepted_at)}, and answers. You need do nothing."
        case Status.UNHEALTHY:
            return _unhealthy(record)
        case Status.ACCEPTED:
            return (
                f"is accepted{_since(record.accepted_at)}. You need do nothing; if it does not answer, tell us its id."
            )
        case Status.CLOSED:
            return "is gone: it was deleted, or AWS gave it up. To connect again, create a new one."
    return _rejected(case)


def _held(case: Case) -> str:
    record = case.record
    began = f"has been waiting{_since(record.requested_at)}"
    if record.mode == Mode.OBSERVE and record.outcome != Outcome.HOLD:
        return f"{began}: we accept connections by hand at the moment. You will hear from us. {STAY}"
    reason = Reason(record.reason) if record.reason in set(Reason) else None
    if reason not in _HELD or record.refusal:
        return f"{began}: {_OUR_TROUBLE}. {OURS}"
    why, step = _HELD[reason]
    if reason is Reason.OVER_LIMIT and case.decision and case.decision.limit == 0:
        return f"{began}: we let nobody new of your account in at the moment. Ask us when that changes. {STAY}"
    words = _words(case)
    return f"{began}: {why.format(**words)}. {step.format(**words)}"


def _words(case: Case) -> dict[str, str]:
    """What the templates name; "" where nobody knows."""
    words = dict.fromkeys(("starts", "frozen", "used"), "")
    words |= {"account": case.record.account, "region": case.record.region}
    if case.facts and case.decision:
        ground = Ground(case.facts.connection, case.decision, case.facts.rows, case.facts.now, case.facts.context)
        nearest, frozen = ground.nearest(), ground.settings.frozen_until
        words["starts"] = f", on {shown(nearest.starts_at)}" if nearest and nearest.starts_at else ""
        words["frozen"] = f", on {shown(frozen)}" if frozen else ""
        words["used"] = f" ({case.facts.context.live} of {case.decision.limit})" if case.decision.limit else ""
    return words


def _rejected(case: Case) -> str:
    record = case.record
    done = "was cut" if record.status is Status.CUT else "was rejected"
    when = _on(record.answered_at or record.decided_at)
    if record.final and record.outcome == Outcome.ACCEPT:
        return f"{done}{when}; your account is allowed now. {RECREATE}"
    if record.reason == BY_HAND or not record.reason:
        return f"{done}{when} by one of us. Ask us why before you create another one."
    why = (
        "your account is not allowed to connect"
        if record.reason == Reason.DENIED
        else "your account is not on our list"
    )
    if record.reason == Reason.EXPIRED:
        why = "the time for which your account was allowed is over"
    if record.reason == Reason.WRONG_REGION:
        why = f"your account is not allowed to connect from {record.region}"
    return (
        f"{done}{when}: {why}. Do not recreate it yet, a new one would be rejected as well: ask us to allow account "
        f"{record.account} first, and we will tell you whether this one comes back or a new one is needed."
    )


def _unhealthy(record: EndpointRecord) -> str:
    if record.cause in _STATES:
        return _STATES[record.cause]
    accepted = f"is accepted{_since(record.accepted_at)}, and our probes fail"
    if record.cause in _CAUSES:
        seen, step = _CAUSES[record.cause]
        return f"{accepted}: {seen}. {step} Do not recreate it before you have looked."
    if record.cause in ("", UNKNOWN):
        return f"is accepted{_since(record.accepted_at)}; our probes say nothing yet, we are looking into it. {STAY}"
    if record.cause == "packet_loss":
        return f"{accepted} at times: some packets are lost on the way. {OURS}"
    return f"{accepted}: it is reached, and what stands behind it on our side does not answer as it should. {OURS}"


def _since(moment: datetime | None) -> str:
    return f" since {moment:%Y-%m-%d %H:%M} UTC" if moment else ""


def _on(moment: datetime | None) -> str:
    return f" on {moment:%Y-%m-%d at %H:%M} UTC" if moment else ""
