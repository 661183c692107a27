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
STRANGER = "never_verified"
"""Nothing answers a canary that never crossed the endpoint before."""

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
        "packets are dropped, and EC2 shows the connection as available: a security group or network ACL stops them",
        "check the endpoint's security group, then the network ACLs of its subnets and of the canary's",
    ),
    "tcp_refused": Cause(
        "the load balancer resets: no healthy target, or no listener on this port",
        "check the target group's health and the NLB's listeners",
    ),
    "tls_timeout": Cause(
        "a target took the connection, and its handshake came to no end in time: it hangs or is overloaded, it "
        "waits for a PROXY protocol header, or large packets are dropped on the way",
        "try a handshake on a target itself; if it is quick there, look for a path with a smaller MTU",
    ),
    "tls_closed": Cause(
        "a target took the connection and hung up during the handshake: it expects a PROXY protocol header, keeps a"
        " list of clients of its own, or speaks no TLS",
        "compare the target group's proxy_protocol_v2.enabled with what the server expects, then read the server's log",
    ),
    "tls_version": Cause(
        "the server speaks neither TLS 1.2 nor TLS 1.3",
        "raise the TLS versions of the server, or the security policy of the load balancer's TLS listener",
    ),
    "tls_name_refused": Cause(
        "the server serves nothing under the name that was asked for",
        "give the probe a server_name that the server is configured for",
    ),
    "tls_client_certificate": Cause(
        "the server wants a certificate of its clients, and a canary has none",
        "probe the port with tcp, or give the server a port or a path without client certificates for probes",
    ),
    "tls_failed": Cause(
        "the TLS handshake broke off: what answers speaks no TLS, or both have no cipher in common",
        "read the alert in the evidence; check that the port speaks TLS, and its ciphers",
    ),
    "tls_untrusted": Cause(
        "the certificate's issuer is not trusted: the server leaves out a certificate in the middle, or its "
        "authority is the provider's own",
        "check the chain that the server sends; give the canary's stack the authority (CanaryAuthorities)",
    ),
    "tls_expired": Cause(
        "a certificate of the chain is out of date, or not valid yet",
        "renew the certificate that the evidence names on the provider's servers, with those above it",
    ),
    "tls_name_mismatch": Cause(
        "the certificate is for another name, as it is when a private name's service is probed by its vpce name",
        "give the probe the certificate's name as server_name",
    ),
    "http_timeout": Cause(
        "a target took the connection and gave no full answer in time: the application is slow, waits for a PROXY "
        "protocol header, or large packets are dropped on the way",
        "ask a target itself; if it is quick there, look for a path with a smaller MTU",
    ),
    "http_closed": Cause(
        "a target took the connection and hung up before it answered: it expects a PROXY protocol header or TLS, "
        "keeps a list of clients of its own, or its process ended",
        "read the server's log, then compare the target group's proxy_protocol_v2.enabled with what the server expects",
    ),
    "http_status": Cause("the application answered with another status", "read the application's log"),
    "body_mismatch": Cause("the application answered with another text", "read the application's log"),
}
"""In the order in which a probe meets them."""
CAUSES = {
    **_ON_THE_WAY,
    OPEN: Cause(
        "an endpoint that must stay out got in",
        "compare the address with the endpoint's network "
        "interfaces; if it is one of them, deregister the service's targets and ask AWS",
    ),
    UNKNOWN: Cause(
        "nobody can say how the endpoint is: no canary reaches it, its canary does not come back or may not touch the "
        "target",
        "read the reason; put a @canary row, mend the canary, or correct the probe's settings or the canary's "
        "parameters",
    ),
    STRANGER: Cause(
        "its canary never crossed it, and nothing answers: the endpoint is in another VPC than its canary, or its "
        "@canary row names the wrong one; otherwise a security group or network ACL has stopped it from the start",
        "compare the endpoint's VPC with the canary's; if they differ, put a @canary row for the endpoint with a "
        "canary of its VPC, else let the canary in by the endpoint's security group",
    ),
    "connection_pending": Cause(
        "the connection waits: nobody accepted it yet, or EC2 is still making it available",
        "add a row for the consumer if it should be let in and has none",
    ),
    "connection_rejected": Cause(
        "the provider rejected the connection, and packets to it are dropped",
        "to be let in, the consumer must delete the endpoint and create a new one",
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
SILENT = ("tcp_timeout", "tls_timeout", "http_timeout")
"""What a lost packet looks like, by the phase in which it was lost."""


def phase_of(cause: str) -> str:
    """The phase that a cause belongs to: dns, tcp, tls or http; "" for a cause of none."""
    phase = cause.partition("_")[0].replace("body", "http")
    return phase if phase in ("dns", "tcp", "tls", "http") else ""
