"""Why an endpoint does not answer: each cause, what it usually means for PrivateLink, and what to do next.

One table for the diagnosis, the events and the runbook (docs/runbook.md has a heading for each). The meanings follow
AWS re:Post, "connect-endpoint-service-vpc", and the PrivateLink guide.
"""

from typing import NamedTuple


class Cause(NamedTuple):
    """`meaning` in PrivateLink's terms, and the `step` to take first."""

    meaning: str
    step: str


GOOD = ""
OPEN = "unexpectedly_open"
"""Something answers where the endpoint must stay out."""
UNKNOWN = "probe_error"
"""The canary could not probe: nothing is known of the endpoint."""

_ON_THE_WAY = {
    "dns_timeout": Cause(
        "the VPC's resolver did not answer in time",
        "check the DHCP options and resolver rules of the consumer's VPC",
    ),
    "dns_not_found": Cause(
        "the name does not exist: the endpoint was deleted, or the VPC's DNS support is off",
        "describe the endpoint in the consumer's account; check enableDnsSupport of its VPC",
    ),
    "dns_unexpected_address": Cause(
        "the name resolves to an address outside the canary's CIDRs: a private DNS name not enabled, or not ours",
        "compare the name's addresses with the endpoint's network interfaces",
    ),
    "private_name_unverified": Cause(
        "the service's private name is not verified, so that no endpoint can use it",
        "publish the TXT record that EC2 shows for the service, then start its private DNS verification",
    ),
    "private_name_missing": Cause(
        "the private name does not lead to the endpoint while its own names do: private DNS is not enabled on it, or "
        "something else answers for the name in this VPC",
        "enable private DNS on the endpoint; check enableDnsHostnames, enableDnsSupport and hosted zones of its VPC",
    ),
    "packet_loss": Cause(
        "some packets arrive and some do not: the network loses them, or one of several targets swallows them",
        "compare timeouts by address, then look for a target that hangs and for a firewall at its limit",
    ),
    "zone_unreachable": Cause(
        "one Availability Zone of the endpoint drops what another one answers: the zone is down, has no healthy target "
        "of its own on this port, or a network ACL of that subnet stops it",
        "check the NLB's targets there and its cross-zone setting, then the network ACL of the endpoint's subnet",
    ),
    "tcp_timeout": Cause(
        "packets are dropped: the connection is not available, or a security group or network ACL stops them",
        "check the connection's state, then the endpoint's security group, then network ACLs",
    ),
    "tcp_refused": Cause(
        "the load balancer resets: no healthy target, or no listener on this port",
        "check the target group's health and the NLB's listeners",
    ),
    "tls_failed": Cause("the TLS handshake broke off", "check that the port speaks TLS and which versions it takes"),
    "tls_untrusted": Cause("the certificate's issuer is not trusted", "check the chain that the server sends"),
    "tls_expired": Cause("the certificate is out of date", "renew the certificate on the provider's servers"),
    "tls_name_mismatch": Cause(
        "the certificate is for another name, as it is when a private name's service is probed by its vpce name",
        "give the probe the certificate's name as server_name",
    ),
    "http_timeout": Cause("the server took the request and did not answer in time", "check the application's load"),
    "http_status": Cause("the application answered with another status", "read the application's log"),
    "body_mismatch": Cause("the application answered with another text", "read the application's log"),
}
"""In the order in which a probe meets them."""
CAUSES = {
    **_ON_THE_WAY,
    OPEN: Cause("an endpoint that must stay out got in", "check the connection's state and the allow-list"),
    UNKNOWN: Cause(
        "nobody can say how the endpoint is: no canary reaches it, its canary does not come back or may not touch the "
        "target",
        "read the reason; put a @canary row, mend the canary, or correct the probe's settings or the canary's "
        "parameters",
    ),
    "connection_pending": Cause(
        "the connection waits: nobody accepted it yet, or EC2 is still making it available",
        "see the endpoint's decision in the ledger; add a row for the consumer if it should be let in",
    ),
    "connection_rejected": Cause(
        "the provider rejected the connection, and packets to it are dropped",
        "see in the ledger who rejected it and why; to be let in, the consumer must create a new endpoint",
    ),
    "endpoint_deleted": Cause(
        "the endpoint is gone: its consumer deleted it, or EC2 gave it up as failed or expired",
        "ask the consumer whether that was meant; if not, they must create a new endpoint",
    ),
}

RANK = {cause: rank for rank, cause in enumerate(_ON_THE_WAY)}
"""How far a probe got, as a number; a good one got past them all."""
DERIVED = frozenset({"private_name_unverified", "private_name_missing", "packet_loss", "zone_unreachable"})
"""Causes that only a comparison of several verdicts shows."""
PROBED = frozenset(RANK) - DERIVED | {OPEN, UNKNOWN}
"""What one probe can find (design section 8)."""
SILENT = ("tcp_timeout", "tls_failed", "http_timeout")
"""What a lost packet looks like, by the phase in which it was lost."""


def phase_of(cause: str) -> str:
    """The phase that a cause belongs to: dns, tcp, tls or http; "" for a cause of none."""
    phase = cause.partition("_")[0].replace("body", "http")
    return phase if phase in ("dns", "tcp", "tls", "http") else ""
