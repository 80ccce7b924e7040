"""Which broker it is, whatever the URL says: what it calls itself, and where it says that it lives."""

import msgspec

from workbench.connecting.hosts import is_this_machine


class BrokerIdentity(msgspec.Struct, frozen=True):
    """What a broker says of itself.

    Attributes:
        id: Its kind and its own name, `kafka 4L6g3nShT-eMCtK--X86sw`: equal ones are one broker. Empty: it has none.
        hosts: Where it says that it lives, as names or addresses; empty: it does not say.
        also: What else it goes by, in the form of `id`: each of its nodes may be all that somebody is told.
        sure: Whether one that has another id is another broker, and no other node of this one.
    """

    id: str = ""
    hosts: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    sure: bool = True

    @property
    def elsewhere(self) -> str:
        """A host of another machine where it says that it lives; empty: it lives on this one, or does not say."""
        return next((host for host in self.hosts if not is_this_machine(host)), "")
