"""Addresses: where an endpoint is, as a user writes it."""

from typing import Literal

import msgspec

from workbench.model.errors import AddressError

Namespace = Literal["queue", "exchange"]
"""Which names an endpoint's name is among: a RabbitMQ broker has a queue and an exchange of one name side by side.
Queues, streams and topics share `queue`."""


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
        if name.startswith("exchange:"):
            return cls(connection, name.removeprefix("exchange:"), "exchange").validate(text)
        # `queue:` is only needed before a name that itself begins like this.
        return cls(connection, name.removeprefix("queue:")).validate(text)

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
        if self.namespace == "exchange":
            return f"{self.connection}/exchange:{self.name}"
        if self.name.startswith(("exchange:", "queue:")):
            return f"{self.connection}/queue:{self.name}"
        return f"{self.connection}/{self.name}"


def is_text(text: str) -> bool:
    """Whether a text has no surrogates: Python's stand-ins for bytes that are not UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
