"""What lets a user who is not root make network namespaces."""

import functools
import os
import subprocess


@functools.cache
def privileges(plane: str) -> tuple[str, ...]:
    """What goes before the server's command so that it may make namespaces: a user namespace, if we are not root."""
    command = ("unshare", "--user", "--map-root-user", "--")
    if plane == "loopback" or not hasattr(os, "geteuid") or os.geteuid() == 0:
        return ()
    try:
        return () if subprocess.run([*command, "true"], capture_output=True).returncode else command  # noqa: S603
    except OSError:
        return ()
