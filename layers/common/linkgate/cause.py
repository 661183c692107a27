"""Why a probe failed: each cause, what it usually means for PrivateLink, and what to do next.

One table for the canary, the events and the runbook (docs/runbook.md has a heading for each). The meanings follow
AWS re:Post, "connect-endpoint-service-vpc", and the PrivateLink guide.
"""

from typing import NamedTuple


class Cause(NamedTuple):
    """`meaning` in PrivateLink's terms, and the `step` to take first."""

    meaning: str
    step: str


GOOD = ""
CAUSES = {
    "dns_not_found": Cause(
        "the name does not exist: the endpoint was deleted, or the VPC's DNS support is off",
        "describe the endpoint in the consumer's account; check enableDnsSupport of its VPC",
    ),
    "dns_timeout": Cause(
        "the VPC's resolver did not answer in time",
        "check the DHCP options and resolver rules of the consumer's VPC",
    ),
    "dns_unexpected_address": Cause(
        "the name resolves to an address outside the canary's CIDRs: a private DNS name not enabled, or not ours",
        "compare the name's addresses with the endpoint's network interfaces",
    ),
    "tcp_timeout": Cause(
        "packets are dropped: the connection is not available, or a security group or network ACL stops them",
        "check the connection's state, then the endpoint's security group, then network ACLs",
    ),
    "tcp_refused": Cause(
        "the load balancer resets: no healthy target, or no listener on this port",
        "check the target group's health and the NLB's listeners",
    ),
    "tls_name_mismatch": Cause(
        "the certificate is for another name, as it is when a private name's service is probed by its vpce name",
        "give the probe the certificate's name as server_name",
    ),
    "tls_untrusted": Cause("the certificate's issuer is not trusted", "check the chain that the server sends"),
    "tls_expired": Cause("the certificate is out of date", "renew the certificate on the provider's servers"),
    "tls_failed": Cause("the TLS handshake broke off", "check that the port speaks TLS and which versions it takes"),
    "http_timeout": Cause("the server took the request and did not answer in time", "check the application's load"),
    "http_status": Cause("the application answered with another status", "read the application's log"),
    "body_mismatch": Cause("the application answered with another text", "read the application's log"),
    "unexpectedly_open": Cause(
        "an endpoint that must stay out got in", "check the connection's state and the allow-list"
    ),
    "probe_error": Cause(
        "the canary could not probe: the target is not one it may touch", "correct the probe's settings"
    ),
}
