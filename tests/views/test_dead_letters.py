"""The Dead letters screen, on the demo's shop and on a broker of a test's own."""

from functools import partial
from uuid import uuid4

import pytest

from connectors.memory import QueueSettings, embedded_broker
from tests.views.driver import Driver, running
from tests.views.scenes import FACES
from views.app import Opening
from views.dead_letters import DeadLetters
from views.events import Events
from views.widgets.dead_groups import group_lines
from views.widgets.endpoint_tree import EndpointTree
from workbench.decode.display import cells
from workbench.model.address import Address
from workbench.model.endpoint import Ability, Endpoint
from workbench.model.event import Event
from workbench.operations.dead.groups import Group

on_the_shop = partial(running, connections=FACES, opening=Opening(demo=True))


async def read_all(driver: Driver) -> None:
    """Read the queues too."""
    await driver.press("3")
    await driver.shows("16 of 62 read")
    await driver.press("b")
    await driver.shows("5 queues with 46 messages will be browsed once.")
    await driver.press("enter")
    await driver.shows("62 of 62 read")


async def test_what_is_read_freely_is_grouped_at_once_and_the_rest_says_that_it_was_not_read() -> None:
    async with on_the_shop((140, 40)) as driver:
        await driver.press("d")
        await driver.shows("16 of 62 read", "Cannot invoke", "rabbit/payments.dead, not read")
        assert "PaymentRequested" not in driver.text


async def test_queues_are_read_when_their_price_was_agreed_to() -> None:
    async with on_the_shop((140, 40)) as driver:
        await read_all(driver)
        assert "not read" not in driver.text
        first, second = [line for line in driver.lines if "✖ " in line][:2]
        assert "22  " in first and "PaymentRequested" in first and "Character , is neither" in first
        assert "8  " in second and "Cannot invoke" in second


async def test_a_group_opens_with_the_query_that_selects_it() -> None:
    async with on_the_shop((140, 40)) as driver:
        await driver.press("3")
        await driver.shows("16 of 62 read")
        await driver.press("enter")
        await driver.until(lambda: isinstance(driver.app.screen, Events))
        await driver.shows("8 of 9 held", "reason = 'Listener failed; Cannot invoke")
        await driver.press("escape")
        await driver.until(lambda: "8 of 9 held" not in driver.text)


async def test_an_endpoint_that_was_not_read_opens_with_its_price() -> None:
    async with on_the_shop((140, 40)) as driver:
        await driver.press("3")
        await driver.shows("rabbit/shipping_error, not read")
        await driver.press("G", "enter")
        tree = driver.one(EndpointTree)
        await driver.until(lambda: tree.line is not None and tree.line.address is not None)
        assert tree.line is not None and str(tree.line.address) == "rabbit/shipping_error"
        await driver.shows("b browse")


async def test_groups_are_filtered_by_a_text_until_escape() -> None:
    async with on_the_shop((140, 40)) as driver:
        await read_all(driver)
        every = sum("✖ " in line for line in driver.lines)
        await driver.press("/")
        await driver.shows("A text in the reason or the type")
        await driver.press("=BILLING", "enter")
        await driver.shows(f"2 of {every} with 'BILLING', 62 of 62 read")
        shown = [line for line in driver.lines if "✖ " in line]
        assert len(shown) == 2
        assert all("billing" in line for line in shown)
        # What is done is done to the line that is seen.
        await driver.press("G")
        await driver.shows("in rabbit/error 3")
        await driver.press("enter")
        await driver.until(lambda: isinstance(driver.app.screen, Events))
        await driver.shows("Response status code")
        await driver.press("escape", "d")
        await driver.shows("2 of")
        await driver.press("escape")
        await driver.hides("with 'BILLING'")
        assert sum("✖ " in line for line in driver.lines) == every
        await driver.press("/", "=no such text", "enter")
        await driver.shows(f"0 of {every} with 'no such text'", "Nothing here has 'no such text'.")
        await driver.press("m")
        await driver.shows("! Nothing here has 'no such text'.")


async def test_endpoints_that_were_not_read_are_filtered_too() -> None:
    async with on_the_shop((140, 40)) as driver:
        await driver.press("3")
        await driver.shows("16 of 62 read", "rabbit/error, not read")
        await driver.press("/", "=reservations", "enter")
        await driver.shows("rabbit/orders.dead, not read")
        await driver.hides("rabbit/error, not read")


async def test_groups_by_a_field_and_back() -> None:
    async with on_the_shop((140, 40)) as driver:
        await driver.press("3")
        await driver.shows("16 of 62 read")
        await driver.press("f")
        await driver.shows("A field in place of the reason")
        await driver.press("=what is this", "enter")
        await driver.until_settled()
        assert not isinstance(driver.app.screen, DeadLetters)
        await driver.press("escape", "f", "=header.kafka_dlt-exception-fqcn", "enter")
        await driver.shows("ListenerExecutionFailed", "16 of 62 read")
        await driver.press("f", "=reason", "enter")
        await driver.shows("Cannot invoke")


async def test_without_dead_letters_it_says_what_would_stand_here() -> None:
    async with running(broker=embedded_broker(f"letters-{uuid4().hex}")) as driver:
        await driver.press("3")
        await driver.shows("No endpoint holds dead letters.")
        await driver.press("b", "r")
        await driver.shows("There is no dead-letter queue with messages in it.")


@pytest.mark.parametrize("size", [(80, 24), (220, 60), (30, 8)])
async def test_it_is_drawn_at_any_size(size: tuple[int, int]) -> None:
    async with on_the_shop(size) as driver:
        await driver.press("3")
        await driver.until(lambda: isinstance(driver.app.screen, DeadLetters))
        await driver.until(lambda: "16 of 62 read" in driver.text or size[0] < 80)
        assert all(len(line) <= size[0] for line in driver.lines)


def group(reason: str, attempts: int | None = None) -> Group:
    return Group(reason, "payments", "PaymentAuthorised", None, None, 3, 1_000, 61_000, attempts)


@pytest.mark.parametrize(("width", "heads"), [(76, "count newest from"), (200, "count oldest newest tries from type")])
def test_what_is_beside_the_reason_gives_way_to_it(width: int, heads: str) -> None:
    head, [line] = group_lines(
        [group("no account of this customer is open in the ledger", 2)], [], width, "why", 90_000
    )
    assert head.plain.split() == [*heads.split(), "why"]
    assert cells(line.plain) <= width and line.plain.endswith("in the ledger")


def test_where_nothing_is_known_there_is_no_column() -> None:
    head, _ = group_lines([group("closed")], [], 200, "reason", 90_000)
    assert "tries" not in head.plain and "arrivals" not in head.plain


def test_an_endpoint_of_a_long_name_that_was_not_read_says_so() -> None:
    name = "com.example.commerce.fulfilment.reservations.v2.production.eu-west-1.dead-letters"
    endpoint = Endpoint(Address("shop", name), "classic queue", "queue", Ability(0), depth=4)
    _, [line] = group_lines([], [(endpoint, "not read")], 76, "reason", 90_000)
    assert cells(line.plain) <= 76 and "4" in line.plain and line.plain.endswith(".dead-letters, not read")


def test_long_names_that_begin_alike_are_told_apart() -> None:
    names = [f"com.example.commerce.fulfilment.service-{number}.production.eu-west-1" for number in range(4)]
    unread = [
        (
            Endpoint(
                Address("shop", f"{name}.dead"),
                "classic queue",
                "queue",
                Ability(0),
                1,
                dead_letters_of=(Address("shop", name),),
            ),
            "not read",
        )
        for name in names
    ]
    _, lines = group_lines([], unread, 76, "reason", 90_000)
    for number, line in enumerate(lines):
        assert line.plain.count(f"service-{number}") == 2 and line.plain.endswith("not read")


async def test_dead_letters_that_come_later_are_read_again() -> None:
    broker = embedded_broker(f"letters-{uuid4().hex}")
    broker.declare_queue("orders", QueueSettings(dead_letter_exchange="", dead_letter_routing_key="orders.dead"))
    broker.declare_queue("orders.dead")
    broker.publish("", Event(b"orders.dead", b"{}"))
    async with running((120, 30), broker=broker) as driver:
        await driver.press("3")
        await driver.shows("0 of 1 read")
        await driver.press("b", "enter")
        await driver.shows("1 of 1 read", "no reason")
        broker.publish("", Event(b"orders.dead", b"{}"))
        await driver.shows("1 of 2 read")
        await driver.press("r", "enter")
        await driver.shows("2 of 2 read")
