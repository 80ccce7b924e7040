"""Which broker it is, whatever the URL says: what it calls itself, and where it says that it lives."""

import ipaddress
import socket
from contextlib import closing

import msgspec

from workbench.connecting.config import is_loopback


class BrokerIdentity(msgspec.Struct, frozen=True):
    """What a broker says of itself.

    Attributes:
        id: Its kind and its own name, `kafka 4L6g3nShT-eMCtK--X86sw`: equal ones are one broker. Empty: it has none.
        hosts: Where it says that it lives, as names or addresses; empty: it does not say.
    """

    id: str = ""
    hosts: tuple[str, ...] = ()

    @property
    def elsewhere(self) -> str:
        """A host of another machine where it says that it lives; empty: it lives on this one, or does not say."""
        return next((host for host in self.hosts if not is_this_machine(host)), "")


def is_this_machine(host: str) -> bool:
    """Whether a host is this machine, by its name or by an address of one of its networks; no name server is asked."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        # A broker may know its machine by its long name or by its short one.
        return is_loopback(host) or _short(host) == _short(socket.gethostname())
    return is_loopback(host) or _is_own_address(host)


def _short(host: str) -> str:
    return host.partition(".")[0].lower()


def _is_own_address(host: str) -> bool:
    # A socket can only be bound to what is one's own; nothing is sent.
    with closing(socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)) as probe:
        try:
            probe.bind((host, 0))
        except OSError:
            return False
    return True
