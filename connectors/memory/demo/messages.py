"""The messages of the shop, as its services read and write them."""

from collections.abc import Sequence
from typing import Annotated, TypeAlias, TypeVar

import msgspec

Number: TypeAlias = Annotated[int, msgspec.Meta(ge=0, lt=2**53)]
"""What any language's JSON can count."""


Read = TypeVar("Read")


class Message(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """Whatever the shop's services tell one another about an order."""

    order_id: Number


class Line(msgspec.Struct, frozen=True):
    """Something ordered."""

    sku: str
    name: str
    qty: Number


class Buyer(msgspec.Struct, frozen=True):
    """Who ordered."""

    id: str
    name: str
    city: str


class OrderPlaced(Message, frozen=True):
    """A customer has ordered.

    Attributes:
        total: In whole `currency`.
        language: Of the storefront.
    """

    customer: Buyer
    total: float
    currency: str
    language: str
    lines: Sequence[Line]


class PaymentRequested(Message, frozen=True):
    """An order is to be paid.

    Attributes:
        amount: As the storefront writes it: a German one with a comma.
    """

    customer: str
    amount: str
    currency: str


class Payment(Message, frozen=True):
    """A payment was authorised, or has failed and then has a reason."""

    customer: str
    amount: float
    currency: str
    reason: str | None = None


class OrderChanged(Message, frozen=True):
    """An order is in another state."""

    status: str
    reason: str | None = None


class ShipOrder(Message, frozen=True):
    """An order is to be sent."""

    customer: str
    carrier: str


class OrderShipped(Message, frozen=True):
    """An order is on its way."""

    carrier: str
    parcel: str


class StockHold(Message, frozen=True):
    """Goods are kept for an order while someone looks for them."""

    sku: str
    qty: Number


class IssueInvoice(Message, frozen=True):
    """An order needs an invoice."""

    customer: str
    amount: float
    currency: str


class Deployment(msgspec.Struct, frozen=True):
    """A service is replaced by another version of itself."""

    service: str
    version: str


def read(body: bytes | msgspec.Raw | None, type: type[Read]) -> Read:
    """A body as a message.

    Raises:
        msgspec.DecodeError: It is not one.
    """
    try:
        return msgspec.json.decode(body or b"", type=type)
    except (UnicodeDecodeError, RecursionError) as error:
        raise msgspec.DecodeError(str(error)) from error
