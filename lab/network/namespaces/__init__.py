"""Real VPCs on one machine: a network namespace for each, and rules of nftables in it.

kernel.py makes namespaces, fabric.py connects them, plan.py says what each VPC must do, rules.py writes that down for
the kernel; vpc.py is one VPC, plane.py all of them. servers.py, certificates.py and health_checks.py are the provider's
side: HTTP and HTTPS servers, and the load balancer's checks of them.
"""

from lab.network.namespaces.kernel import KernelError
from lab.network.namespaces.plane import NamespacesPlane

__all__ = ["KernelError", "NamespacesPlane"]
