"""Which machine a host is, however it is written. No name server is asked."""

import ipaddress
import socket
from contextlib import closing, suppress
from typing import Final


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, whoever's it is, by its name or address in any spelling."""
    host = _plain(host)
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host in _ALWAYS_HERE or host.endswith(".localhost")
    # A connection to no address in particular leads here.
    return address.is_loopback or address.is_unspecified


def is_this_machine(host: str) -> bool:
    """Whether a host is this machine, by its name or by an address of one of its networks."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        # A broker may know its machine by its long name or by its short one.
        return is_loopback(host) or _short(host) == _short(socket.gethostname())
    return is_loopback(host) or _is_own_address(host)


def machine_of(host: str) -> str:
    """A host in one spelling of all that a socket takes for it: `127.1`, `0x7f000001`, `::ffff:127.0.0.1`, `0.0.0.0`,
    full-width letters and this machine's own name are all `localhost`. Equal ones are one machine; others may be."""
    host = _plain(host)
    return "localhost" if is_this_machine(host) else host


_ALWAYS_HERE: Final = frozenset({"localhost", "ip6-localhost", "ip6-loopback", "localhost6", "localhost.localdomain"})
"""Names of this machine in hosts files."""


def _plain(host: str) -> str:
    """A name in small letters, or an address as it is usually written."""
    with suppress(UnicodeError):
        # As Python's sockets read it.
        host = host if host.isascii() else host.encode("idna").decode()
    host = host.lower().rstrip(".")
    with suppress(OSError):
        host = socket.inet_ntoa(socket.inet_aton(host))
    with suppress(ValueError):
        address = ipaddress.ip_address(host.partition("%")[0])
        mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        host = str(mapped or address)
    return host


def _short(host: str) -> str:
    return host.partition(".")[0].lower()


def _is_own_address(host: str) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        # A socket can only be bound to what is one's own; nothing is sent.
        with closing(socket.socket(family, socket.SOCK_DGRAM)) as probe:
            probe.bind((host, 0))
    except OSError:
        return False
    return True
