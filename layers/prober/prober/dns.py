"""The phase dns: every address of a name, by the operating system's resolver, which knows no timeout."""

import functools
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from prober.clock import Failed

AT_ONCE = 100
"""Names that may be asked for at one time in the whole process: each keeps a thread, also after its timeout."""
_CAUSES = {
    socket.EAI_NONAME: "dns_not_found",
    getattr(socket, "EAI_NODATA", socket.EAI_NONAME): "dns_not_found",
    socket.EAI_AGAIN: "dns_timeout",
    socket.EAI_FAIL: "dns_timeout",
}


@functools.cache
def threads() -> ThreadPoolExecutor:
    """Those of the process: getaddrinfo cannot be interrupted, so a question may outlast the run that asked it."""
    return ThreadPoolExecutor(AT_ONCE, "resolve")


def resolve(host: str, timeout: float, ipv6: bool = True) -> list[str]:
    """Every address of a name, A and AAAA, each once; at least one. Raises Failed after `timeout` seconds at most.

    Without `ipv6` A alone, unless there is none.
    """
    question = threads().submit(_ask, host, ipv6)
    try:
        found = list(dict.fromkeys(str(entry[4][0]) for entry in question.result(timeout)))
    except TimeoutError:
        if question.cancel():
            raise Failed("probe_error", f"{host} was not asked for: {AT_ONCE} earlier names hang") from None
        raise Failed("dns_timeout", f"{host} was not resolved within {timeout:.3g} s") from None
    except socket.gaierror as error:
        raise Failed(_CAUSES.get(error.errno or 0, "probe_error"), f"{host}: {error.strerror}") from None
    except OSError as error:
        raise Failed("probe_error", f"{host[:100]}: {error}") from None
    if not found:
        raise Failed("dns_not_found", f"{host} has no address")
    return found


def _ask(host: str, ipv6: bool) -> list[Any]:
    if not ipv6:
        try:
            return socket.getaddrinfo(host, None, socket.AF_INET, socket.SOCK_STREAM)
        except socket.gaierror as error:
            if _CAUSES.get(error.errno or 0) == "dns_timeout":
                raise
    return socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
