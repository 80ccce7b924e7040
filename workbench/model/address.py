"""Addresses: where an endpoint is, as a user writes it."""

from typing import Final, Literal, get_args

import msgspec

from workbench.model.errors import AddressError

Namespace = Literal["queue", "exchange"]
"""Which names an endpoint's name is among: a RabbitMQ broker has a queue and an exchange of one name side by side.
Queues, streams and topics share `queue`, which need not be written. An address is read before anybody knows what kind
of broker it is on, so this is the one list of the words that stand before a name; a broker that keeps other names apart
adds its own."""

_PREFIXES: Final[tuple[tuple[str, Namespace], ...]] = tuple((f"{each}:", each) for each in get_args(Namespace))
_BEGINNINGS: Final = tuple(prefix for prefix, _ in _PREFIXES)


class Address(msgspec.Struct, frozen=True, gc=False, order=True):
    """One endpoint of one connection, written `rabbit/orders`, `rabbit/exchange:orders` or `kafka/payments`.

    Attributes:
        connection: The connection's name; holds no `/`.
        name: The endpoint's name, any characters; empty only for RabbitMQ's default exchange.
        namespace: Which names `name` is among.
    """

    connection: str
    name: str
    namespace: Namespace = "queue"

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Read an address as a user writes it.

        Raises:
            AddressError: The text is not `connection/name` or `connection/exchange:name`.
        """
        if not is_text(text):
            raise AddressError(f"{text!r} is not UTF-8, as the names of endpoints are.")
        connection, _, name = text.partition("/")
        for prefix, namespace in _PREFIXES:
            if name.startswith(prefix):
                return cls(connection, name.removeprefix(prefix), namespace).validate(text)
        return cls(connection, name).validate(text)

    def validate(self, text: str) -> "Address":
        """This address, if it names a connection and an endpoint.

        Raises:
            AddressError: It does not; the sentence quotes `text`.
        """
        if not self.connection or (not self.name and self.namespace == "queue"):
            raise AddressError(
                f"{text!r} is not an address: write connection/name, or connection/exchange:name for an exchange."
            )
        return self

    def __str__(self) -> str:
        # `queue:` is only needed before a name that itself begins like a namespace.
        if self.namespace == "queue" and not self.name.startswith(_BEGINNINGS):
            return f"{self.connection}/{self.name}"
        return f"{self.connection}/{self.namespace}:{self.name}"


def is_text(text: str) -> bool:
    """Whether a text has no surrogates: Python's stand-ins for bytes that are not UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
