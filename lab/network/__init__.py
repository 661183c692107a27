"""The lab's data plane: endpoint names resolve, and packets pass or are dropped as the control plane says.

Everything is derived from the control plane's own state (lab.privatelink, and ministack's elbv2 and ec2); nothing is
configured here. Today there is one plane, lab.network.loopback; what it cannot show is said there.
"""

from lab.network.plane import Plane

__all__ = ["Plane", "install"]


def install() -> Plane:
    """Start the data plane of this process and let it follow the control plane.

    Raises AddressError if the loopback addresses cannot be had.
    """
    # ministack reads its environment when it is imported: not before somebody starts a lab.
    from lab import privatelink
    from lab.network import control, health, stack
    from lab.network.loopback import LoopbackPlane

    health.install()
    stack.install()
    plane = LoopbackPlane(control.topology)
    privatelink.on_change(plane.wake)
    plane.start()
    return plane
