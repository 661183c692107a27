"""Puts a Python process into a VPC of the lab's loopback plane; Python imports it by itself when it starts.

Standard library only: it runs in any Lambda runtime's interpreter, before the function's own code. It reads
LAB_RESOLVER (host:port of the VPC's DNS server), LAB_NETWORK (the VPC's block, CIDR) and LAB_VOID (a host:port
where the plane drops every packet); without them it does nothing.

- Names are asked of the VPC's DNS server alone, and fail as with glibc: gaierror EAI_NONAME if there is no such name,
  EAI_NODATA if it has no address of the family, EAI_AGAIN if the server refuses or does not answer.
- A connect to anything but the VPC's block, the Lambda runtime API and that DNS server goes to the void instead, and so
  times out like packets in a private subnet without NAT. IPv6 is unreachable, as in a VPC that has IPv4 only.

It can show this of socket.getaddrinfo, gethostbyname, gethostbyname_ex, connect and connect_ex alone: programs that are
not Python, extension modules with sockets of their own (as awslambdaric's client of the runtime API) and sendto are
not held back. A function's own servers on 127.0.0.1 are out of its reach too, which they would not be on AWS.
"""

import errno
import ipaddress
import os
import socket
import struct
from typing import Any

_TIMEOUT_SECONDS = 1.0
_ATTEMPTS = 2
_TYPE_A, _CLASS_IN = 1, 1
_NXDOMAIN = 3
_NODATA: int = getattr(socket, "EAI_NODATA", socket.EAI_NONAME)
_MESSAGES = {
    socket.EAI_NONAME: "Name or service not known",
    _NODATA: "No address associated with hostname",
    socket.EAI_AGAIN: "Temporary failure in name resolution",
}

_real_getaddrinfo = socket.getaddrinfo
_real_connect = socket.socket.connect
_real_connect_ex = socket.socket.connect_ex


def _place(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host, int(port)


def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def _failure(code: int) -> socket.gaierror:
    return socket.gaierror(code, _MESSAGES[code])


class _Resolver:
    """A stub resolver: one server, UDP, A records."""

    def __init__(self, server: tuple[str, int]) -> None:
        self._server = server

    def addresses(self, name: str) -> list[str]:
        """The IPv4 addresses of a name, at least one; raises gaierror."""
        number = os.urandom(2)
        try:
            question = self._question(name)
        except (UnicodeError, struct.error):
            raise _failure(socket.EAI_NONAME) from None
        reply = self._ask(number, number + struct.pack("!HHHHH", 0x0100, 1, 0, 0, 0) + question)
        status = reply[3] & 0x0F
        if status:
            raise _failure(socket.EAI_NONAME if status == _NXDOMAIN else socket.EAI_AGAIN)
        found = list(self._answers(reply, 12 + len(question)))
        if not found:
            raise _failure(_NODATA)
        return found

    @staticmethod
    def _question(name: str) -> bytes:
        labels = name.rstrip(".").encode("idna").split(b".")
        return b"".join(struct.pack("!B", len(one)) + one for one in labels) + struct.pack(
            "!BHH", 0, _TYPE_A, _CLASS_IN
        )

    def _ask(self, number: bytes, query: bytes) -> bytes:
        for _ in range(_ATTEMPTS):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
                asking.settimeout(_TIMEOUT_SECONDS)
                try:
                    _real_connect(asking, self._server)
                    asking.send(query)
                    reply = asking.recv(4096)
                except OSError:
                    continue
            if reply[:2] == number and len(reply) >= len(query):
                return reply
        raise _failure(socket.EAI_AGAIN)

    @staticmethod
    def _answers(reply: bytes, at: int) -> Any:
        for _ in range(struct.unpack_from("!H", reply, 6)[0]):
            # A name ends with a zero or, compressed, with a pointer of two bytes.
            while reply[at] and reply[at] < 0xC0:
                at += 1 + reply[at]
            at += 2 if reply[at] else 1
            kind, _, _, length = struct.unpack_from("!HHIH", reply, at)
            at += 10
            if kind == _TYPE_A:
                yield socket.inet_ntoa(reply[at : at + length])
            at += length


class _Vpc:
    """The process's sight of the network: the functions that take the place of the socket module's."""

    def __init__(self, environ: Any) -> None:
        self._resolver = _Resolver(_place(environ["LAB_RESOLVER"]))
        self._network = ipaddress.IPv4Network(environ["LAB_NETWORK"])
        self._void = _place(environ["LAB_VOID"])
        self._open = {_place(environ["LAB_RESOLVER"])}
        if runtime := environ.get("AWS_LAMBDA_RUNTIME_API"):
            self._open.add(_place(runtime))

    def getaddrinfo(
        self, host: Any, port: Any, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0
    ) -> list[Any]:
        name = host.decode() if isinstance(host, bytes) else host
        if not name or name == "localhost" or _is_literal(name) or flags & socket.AI_NUMERICHOST:
            return _real_getaddrinfo(host, port, family, type, proto, flags)
        addresses = self._resolver.addresses(name)
        if family == socket.AF_INET6:
            raise _failure(_NODATA)
        return [
            entry
            for address in addresses
            for entry in _real_getaddrinfo(address, port, socket.AF_INET, type, proto, flags)
        ]

    def gethostbyname(self, hostname: str) -> str:
        return str(self.getaddrinfo(hostname, None, socket.AF_INET, socket.SOCK_STREAM)[0][4][0])

    def gethostbyname_ex(self, hostname: str) -> tuple[str, list[str], list[str]]:
        found = self.getaddrinfo(hostname, None, socket.AF_INET, socket.SOCK_STREAM)
        return hostname, [], [entry[4][0] for entry in found]

    def destination(self, sock: socket.socket, address: Any) -> Any:
        """Where a connect to an address really goes; raises OSError if there is no route at all, or gaierror."""
        if sock.family == socket.AF_INET6:
            raise OSError(errno.ENETUNREACH, os.strerror(errno.ENETUNREACH))
        if sock.family != socket.AF_INET:
            return address
        host, port = self.getaddrinfo(address[0], address[1], socket.AF_INET, sock.type)[0][4]
        is_reachable = ipaddress.IPv4Address(host) in self._network or (host, port) in self._open
        return (host, port) if is_reachable else self._void


def _enter(vpc: _Vpc) -> None:
    def connect(self: socket.socket, address: Any, /) -> None:
        _real_connect(self, vpc.destination(self, address))

    def connect_ex(self: socket.socket, address: Any, /) -> int:
        try:
            return _real_connect_ex(self, vpc.destination(self, address))
        except socket.gaierror:
            raise
        except OSError as error:
            return error.errno or errno.ENETUNREACH

    for name in ("getaddrinfo", "gethostbyname", "gethostbyname_ex"):
        setattr(socket, name, getattr(vpc, name))
    for name, function in (("connect", connect), ("connect_ex", connect_ex)):
        setattr(socket.socket, name, function)


if "LAB_RESOLVER" in os.environ:
    _enter(_Vpc(os.environ))
