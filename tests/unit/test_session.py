"""A session: which connections it has, and how it reads events."""

import gzip
import pickle

import msgspec
import pytest

from workbench.connecting.config import Connection
from workbench.connecting.config_file import ConfigFile, Configured
from workbench.model.address import Address
from workbench.model.errors import AddressError, ConfigError
from workbench.model.event import Delivery, Event
from workbench.model.wire import Content
from workbench.session import Session

CONFIG = ConfigFile(
    default=("shop",),
    connections={"shop": Configured("memory://shop"), "log": Configured("memory://log")},
    masks=("body.card",),
    conventions=({"name": "ours", "correlation": "header.order-no"},),
)


def seen(body: bytes | None, *headers: tuple[str, str]) -> Delivery:
    return Delivery(Event(body=body, written=Content(headers)), Address("m", "q"), 0)


def test_without_connections_the_configured_default_ones_are_opened() -> None:
    assert Session(config=CONFIG).names == ["shop"]
    assert Session(config=msgspec.structs.replace(CONFIG, default=())).names == ["shop", "log"]


def test_given_connections_take_the_place_of_the_default_ones() -> None:
    assert Session([Connection.parse("a=memory://a"), "log"], CONFIG).names == ["a", "log"]


async def test_a_configured_connection_is_opened_when_an_address_names_it() -> None:
    async with Session(config=CONFIG) as session:
        assert session.address("log/payments") == Address("log", "payments")
        assert await (await session.connector("log")).endpoints() == []


def test_with_one_connection_its_name_may_be_left_out() -> None:
    session = Session([Connection.parse("a=memory://a")])
    assert session.address("orders/new") == Address("a", "orders/new")
    assert session.address("a/orders") == Address("a", "orders")
    assert session.address("exchange:orders") == Address("a", "orders", "exchange")


def test_an_unknown_connection_is_named_with_the_known_ones() -> None:
    session = Session([Connection.parse("a=memory://a"), Connection.parse("b=memory://b")])
    with pytest.raises(AddressError, match="no connection 'c': the connections are a, b"):
        session.address("c/orders")


def test_two_connections_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigError, match="Two connections are called 'a'"):
        Session([Connection.parse("a=memory://a"), Connection.parse("a=memory://b")])


@pytest.mark.parametrize(
    ("query", "delivery"),
    [
        ("correlation = 1001", seen(b"x", ("order-no", "1001"))),
        ("correlation = abc", seen(b"x", ("correlation-id", "abc"))),
        ("body.id = 7", seen(gzip.compress(b'{"id":7}', mtime=0))),
        ("body.id = 7", seen(msgspec.msgpack.encode({"id": 7}))),
        ("body.id = 7", seen(b"\0\0\0\0\x05" + b'{"id":7}')),
    ],
)
def test_queries_read_by_the_sessions_conventions_and_codecs(query: str, delivery: Delivery) -> None:
    asked = Session(config=CONFIG).query(query)
    assert asked.matches(delivery)
    assert not asked.matches(seen(b"{}"))


def test_what_is_masked_cannot_be_searched_for() -> None:
    assert not Session(config=CONFIG).query("4111").matches(seen(b'{"card":"4111"}'))
    assert Session().query("4111").matches(seen(b'{"card":"4111"}'))


def test_a_query_reads_alike_in_a_worker_process() -> None:
    for session in (Session(config=CONFIG), Session()):
        asked = pickle.loads(pickle.dumps(session.query("correlation = abc")))
        assert asked.matches(seen(b"x", ("correlation-id", "abc")))
