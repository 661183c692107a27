"""Two real VPCs on one machine: a network namespace for each, and rules of nftables in it.

kernel.py makes namespaces, fabric.py lays cables between them, plan.py says what each VPC must do, rules.py writes that
down for the kernel; room.py is one VPC, plane.py all of them. servers.py, certificates.py and checks.py are the
provider's side: HTTP and HTTPS servers, and the load balancer's look at them.
"""

from lab.network.namespaces.kernel import KernelError
from lab.network.namespaces.plane import NamespacesPlane

__all__ = ["KernelError", "NamespacesPlane"]
