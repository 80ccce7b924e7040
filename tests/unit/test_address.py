import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.strategies import addresses
from workbench.model.address import Address
from workbench.model.errors import AddressError


@given(addresses)
def test_an_address_is_read_as_it_is_written(address: Address) -> None:
    assert Address.parse(str(address)) == address


@given(st.text())
def test_any_text_is_read_or_refused_in_a_sentence_that_quotes_it(text: str) -> None:
    try:
        assert Address.parse(text).connection
    except AddressError as error:
        assert str(error).startswith(f"{text!r} is not an address: write connection/name")


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("kafka/payments", Address("kafka", "payments")),
        ("rabbit/exchange:orders", Address("rabbit", "orders", "exchange")),
        ("rabbit/exchange:", Address("rabbit", "", "exchange")),
        ("rabbit/a/b", Address("rabbit", "a/b")),
        ("rabbit/orders:eu", Address("rabbit", "orders:eu")),
        ("rabbit/queue:orders", Address("rabbit", "orders")),
        ("rabbit/queue:exchange:orders", Address("rabbit", "exchange:orders")),
        ("rabbit/exchange:exchange:orders", Address("rabbit", "exchange:orders", "exchange")),
    ],
)
def test_an_address_names_a_connection_and_an_endpoint(text: str, address: Address) -> None:
    assert Address.parse(text) == address


@pytest.mark.parametrize("text", ["", "orders", "/", "/orders", "rabbit/", "rabbit/queue:", "exchange:orders"])
def test_an_address_without_either_is_refused(text: str) -> None:
    with pytest.raises(AddressError, match="is not an address"):
        Address.parse(text)


def test_a_queue_and_an_exchange_of_one_name_have_two_addresses() -> None:
    assert Address("rabbit", "orders") != Address("rabbit", "orders", "exchange")


def test_addresses_sort_by_connection_and_name() -> None:
    texts = ["a/b", "a/exchange:b", "a/c", "b/a"]
    assert [str(address) for address in sorted(map(Address.parse, texts))] == ["a/exchange:b", "a/b", "a/c", "b/a"]
