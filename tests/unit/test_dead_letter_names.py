"""Endpoints that hold dead letters by their names."""

import pytest

from workbench.model.address import Address
from workbench.model.dead_letter_names import DeadLetterNames
from workbench.model.endpoint import Ability, Endpoint, Family


def endpoint(name: str, family: Family = "queue", of: str | None = None) -> Endpoint:
    known = (Address("shop", of),) if of else ()
    return Endpoint(Address("shop", name), family, family, Ability.BROWSE, depth=1, dead_letters_of=known)


def linked(*endpoints: Endpoint, own: tuple[str, ...] = ()) -> dict[str, list[str] | None]:
    """Of each endpoint whose dead letters it holds; None: it holds none."""
    return {
        each.address.name: [of.name for of in each.dead_letters_of] if each.holds_dead_letters else None
        for each in DeadLetterNames(own).link(endpoints)
    }


@pytest.mark.parametrize(
    ("name", "family", "of"),
    [
        ("orders_error", "queue", ["orders"]),
        ("orders_skipped", "queue", ["orders"]),
        ("error", "queue", []),
        ("orders.XQ", "queue", ["orders"]),
        ("nowhere.dlq", "queue", []),
        ("orders-dlt", "log", ["orders"]),
        ("orders.DLT", "log", ["orders"]),
        ("dead-letter-topic-orders", "log", ["orders"]),
        ("error.orders.billing", "log", ["orders"]),
        ("error", "log", None),
        ("orders_error", "log", None),
        ("deadline", "queue", None),
        ("errors", "queue", None),
        ("Orders-DLQ", "log", []),
        ("orders.dlq", "routes", None),
    ],
)
def test_a_name_says_whose_dead_letters_an_endpoint_holds(name: str, family: Family, of: list[str] | None) -> None:
    assert linked(endpoint("orders", family), endpoint(name, family))[name] == of


def test_what_the_broker_knows_goes_before_a_name() -> None:
    assert linked(endpoint("orders"), endpoint("orders_error", of="billing"))["orders_error"] == ["billing"]


@pytest.mark.parametrize("own", ["*.parked", "shop/*.parked", "SHOP/orders.*", "orders.parked"])
def test_a_user_has_names_of_their_own(own: str) -> None:
    found = linked(endpoint("orders"), endpoint("orders.parked"), own=(own,))
    assert found["orders.parked"] == (["orders"] if "*.p" in own else [])
    assert found["orders"] is None


def test_no_endpoint_holds_its_own_dead_letters() -> None:
    assert linked(endpoint("orders"), own=("*",))["orders"] == []
