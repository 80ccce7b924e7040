"""Connections on the screen: added, tried, edited and removed, without a trace of what was not kept."""

from collections.abc import Mapping
from pathlib import Path
from uuid import uuid4

import pytest
from textual.geometry import Size
from textual.widgets import Input

from connectors.memory import embedded_broker
from tests.brokers.kafka import KafkaAddress
from tests.brokers.rabbitmq import RabbitMQAddress
from tests.views.driver import Driver, running, shop
from views.connection_dialog import ConnectionDialog
from views.connections import Connections
from views.events import Events
from views.widgets.connection_table import ConnectionTable
from workbench.connecting import config_sources
from workbench.connecting.config import Connection
from workbench.connecting.config_sources import find_config
from workbench.connecting.level import Level

pytestmark = pytest.mark.usefixtures("own_file")


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def content(file: Path) -> str:
    return file.read_text() if file.exists() else ""


def values(driver: Driver) -> Mapping[str, str]:
    """What the form's fields hold."""
    return {field.id or "": field.value for field in driver.app.screen.query(Input)}


def new_broker() -> str:
    name = f"added-{uuid4().hex[:8]}"
    embedded_broker(name).declare_queue("letters")
    return name


async def asked(driver: Driver) -> None:
    await driver.until(lambda: isinstance(driver.app.screen, ConnectionDialog))


async def answered(driver: Driver) -> None:
    await driver.until(lambda: isinstance(driver.app.screen, Connections))


async def test_a_connection_is_tried_saved_and_watched(own_file: Path) -> None:
    broker = new_broker()
    async with running() as driver:
        await driver.press("a", "=added", "tab", f"=memory://{broker}", "enter")
        await answered(driver)
        await driver.shows(f"added is saved in {own_file}.", "embedded broker")
        await driver.until(lambda: driver.app.context.watches["added"].state == "connected")
        assert driver.one(ConnectionTable).name_at_cursor == "added"
        await driver.press("1")
        await driver.shows("letters")
    assert content(own_file) == f'[connections.added]\nurl = "memory://{broker}"\nguard = "observe"\n'


async def test_what_is_typed_ahead_goes_where_it_would_go_slowly(own_file: Path) -> None:
    broker = new_broker()
    async with running() as driver:
        await driver.press("a", *"ab", "tab", *"memory", "colon", "slash", "slash", *broker, "enter")
        await answered(driver)
        await driver.shows("ab is saved")
    assert "[connections.ab]" in content(own_file)


@pytest.mark.parametrize("field", ["name", "url"])
async def test_what_becomes_a_password_is_never_on_the_screen_while_it_is_typed(field: str) -> None:
    async with running() as driver:
        await driver.press("a", *(["tab"] if field == "url" else []))
        typed = ""
        for character in "amqp://ops:z9k@h":
            typed += character
            await driver.press({":": "colon", "/": "slash", "@": "=@"}.get(character, character))
            assert not set("z9k") & set(driver.app.screen.query_one(f"#{field}", Input).render_line(0).text)
        await driver.shows("amqp://ops:•••@h")
        assert driver.app.screen.query_one(f"#{field}", Input).value == typed


async def test_a_wrong_password_is_said_at_its_field_and_all_that_was_typed_stays(
    own_file: Path, rabbitmq_4: RabbitMQAddress
) -> None:
    url = f"{rabbitmq_4.url.replace('guest:guest', 'guest')}?management={rabbitmq_4.management_url}"
    async with running((120, 44)) as driver:
        await driver.press("a", "=rabbit", "tab", f"={url}", "tab", "=wrong-one", "enter")
        await driver.shows("✔ DNS", "✔ TCP", "✖ AMQP guest", "· management guest", "not tried", " ms")
        await driver.until(lambda: driver.app.focused is driver.app.screen.query_one("#password"))
        assert values(driver) == {"name": "rabbit", "url": url, "password": "wrong-one"}
        assert "wrong-one" not in driver.text
        assert driver.app.context.session.names == ["shop"]
        assert content(own_file) == ""
        await driver.press("=guest", "enter")
        await answered(driver)
        await driver.until(lambda: driver.app.context.watches["rabbit"].state == "connected")
        # At home, more is proposed than elsewhere.
        assert driver.app.context.session.level("rabbit") == Level.PUBLISH
        await driver.shows("RabbitMQ 4.")
    assert content(own_file) == f'[connections.rabbit]\nurl = "{url}"\nguard = "publish"\n'


async def test_kafka_asks_for_the_password_that_its_user_needs(own_file: Path, kafka: KafkaAddress) -> None:
    url = f"{kafka.sasl_url.replace(':alice-secret', '')}?tls&sasl=scram-sha-256&ca={kafka.ca_file}"
    async with running((120, 44)) as driver:
        await driver.press("a", "=log", "tab", f"={url}", "enter")
        await driver.shows("The URL has no password for its user 'alice': write it here.")
        await driver.press("=not-it", "enter")
        await driver.shows("✖ Kafka alice")
        await driver.press("=alice-secret", "enter")
        await answered(driver)
        await driver.shows("log is saved", "Kafka, 1 broker")
    assert "secret" not in content(own_file)


@pytest.mark.parametrize(("url", "step"), [("amqp://127.0.0.1:1", "✖ TCP"), ("kafka://no-such-host.invalid", "✖ DNS")])
async def test_a_broker_that_cannot_be_reached_is_not_added_unless_untried(own_file: Path, url: str, step: str) -> None:
    async with running((120, 44)) as driver:
        await driver.press("a", "=far", "tab", f"={url}", "enter")
        await driver.shows(step)
        await driver.until(lambda: driver.app.focused is driver.app.screen.query_one("#url"))
        assert (driver.app.context.session.names, content(own_file)) == (["shop"], "")
        await driver.press("ctrl+s")
        await answered(driver)
        await driver.shows("far is saved", "last error")
    assert "[connections.far]" in content(own_file)


async def test_what_is_left_leaves_nothing_behind(own_file: Path, rabbitmq_4: RabbitMQAddress) -> None:
    async with running() as driver:
        await driver.press("a", "=left", "tab", f"={rabbitmq_4.url}", "enter", "escape")
        await answered(driver)
        await driver.until_settled()
        assert driver.app.context.session.names == list(driver.app.context.watches) == ["shop"]
        assert content(own_file) == ""
        await driver.press("a")
        assert values(driver) == {"name": "", "url": "", "password": ""}


async def test_what_is_left_as_its_last_step_succeeds_is_not_kept(own_file: Path) -> None:
    async with running() as driver:
        await driver.press("a", "=left", "tab", f"=memory://{new_broker()}")
        dialog = driver.app.screen
        assert isinstance(dialog, ConnectionDialog)
        dialog.action_take()
        dialog.dismiss(None)
        await answered(driver)
        await driver.until_settled()
        assert (driver.app.context.session.names, content(own_file)) == (["shop"], "")


async def test_a_connection_is_kept_for_this_session_only(own_file: Path) -> None:
    async with running() as driver:
        await driver.press("a", "=mine", "tab", f"=memory://{new_broker()}", *["tab"] * 4, "down", "enter")
        await answered(driver)
        await driver.shows("mine is kept for this session only", "for this session only")
        assert content(own_file) == ""
        await driver.press("e")
        await asked(driver)
        assert values(driver)["name"] == "mine"
        await driver.press("=ours", "enter")
        await answered(driver)
        await driver.until(lambda: list(driver.app.context.watches) == ["shop", "ours"])
        await driver.press("x")
        await driver.shows("Remove ours?", "added for this session only")
        await driver.press("enter")
        await driver.until(lambda: list(driver.app.context.watches) == ["shop"])


async def test_what_is_wrong_is_said_in_the_form(own_file: Path) -> None:
    async with running() as driver:
        await driver.press("a", "=shop", "tab", "=memory://x", "enter")
        await driver.shows("There is a connection 'shop' already: choose another name.")
        await driver.press("ctrl+u", "=a/b", "enter")
        await driver.shows("without / : = ? @")
        await driver.press("ctrl+u", "=fine", "tab", "ctrl+u", "=nonsense", "enter")
        await driver.shows("'nonsense' is not a connection")
        await driver.press("ctrl+u", "=smtp://host", "enter")
        await driver.shows("Unknown connection type smtp://")
        assert values(driver)["name"] == "fine"
        await driver.press("escape")
        await answered(driver)


CONFIGURED = """\
# all of mine
default = ["main"]

# the shop
[connections.main]
url = "memory://ops:sec%2Fret@{broker}"  # in town
guard = "look"
"""


async def test_a_renamed_connection_keeps_its_password_and_its_place_and_its_looks_end(own_file: Path) -> None:
    broker = shop()
    broker.users["ops"] = "sec/ret"
    text = CONFIGURED.format(broker=broker.name)
    write(own_file, text)
    async with running(broker=broker, config=find_config(), connections=["main"]) as driver:
        await driver.go_to("main/payments")
        await driver.press("enter")
        await driver.shows("PaymentSettled")
        assert driver.app.context.ingestions.of_connection("main")
        await driver.press("5", "e")
        await asked(driver)
        assert values(driver) == {"name": "main", "url": f"memory://ops:…@{broker.name}", "password": ""}
        assert "sec" not in driver.text
        await driver.press("=store", "enter")
        await answered(driver)
        await driver.shows("● store", f"store is saved in {own_file}.")
        assert not driver.app.context.ingestions.of_connection("main")
        await driver.press("1")
        await driver.go_to("store/payments")
        await driver.press("enter")
        await driver.shows("PaymentSettled")
    assert content(own_file) == text.replace('"main"', '"store"').replace(".main]", ".store]")


async def test_a_connection_is_removed_while_it_is_shown(own_file: Path) -> None:
    broker = shop()
    broker.users["ops"] = "sec/ret"
    write(own_file, CONFIGURED.format(broker=broker.name))
    async with running(broker=broker, config=find_config(), connections=["main"]) as driver:
        await driver.go_to("main/payments")
        await driver.press("enter")
        await driver.shows("PaymentSettled")
        await driver.press("5", "x")
        await driver.shows("Remove main?", "main and its settings are deleted from", "1 open view of it")
        await driver.press("escape")
        assert driver.app.context.session.names == ["main"]
        await driver.press("x", "enter")
        await driver.shows("No connection is open.", "main is removed from")
        assert not driver.app.context.ingestions.of_connection("main")
        await driver.press("x")
        await driver.shows("There is no connection: a adds one.")
        # What was seen of it stays.
        await driver.press("1")
        await driver.shows("PaymentSettled")
        assert driver.app.failures == []
    assert content(own_file) == "# all of mine\ndefault = []\n"


async def test_a_file_that_was_changed_elsewhere_is_not_overwritten(own_file: Path) -> None:
    broker = shop()
    broker.users["ops"] = "sec/ret"
    write(own_file, CONFIGURED.format(broker=broker.name))
    async with running(broker=broker, config=find_config(), connections=["main"]) as driver:
        await driver.press("5", "e")
        await asked(driver)
        write(own_file, "# empty now\n")
        await driver.press("=store", "enter")
        # The file's name is as long as the machine has it, and the sentence breaks where it does.
        await driver.shows("✖", "none.")
        assert content(own_file) == "# empty now\n"


async def test_what_cannot_be_edited_says_where_it_comes_from() -> None:
    theirs = config_sources.here_path()
    write(theirs, f'[connections.theirs]\nurl = "memory://{new_broker()}"\n')
    given = Connection.parse(f"given=memory://{new_broker()}")
    async with running((200, 40), config=find_config(), connections=[given, "theirs"]) as driver:
        await driver.press("5", "e")
        await driver.shows("given is in no file: it was given when the workbench was started, by -c or as the demo.")
        await driver.press("down", "x")
        await driver.shows(f"'theirs' is in {theirs}, which is not trusted")


async def test_a_production_connection_is_marked_in_words_and_its_last_error_has_a_time(own_file: Path) -> None:
    write(own_file, '[connections.live]\nurl = "amqp://127.0.0.1:1"\nguard = "publish"\nproduction = true\n')
    async with running((160, 40), config=find_config(), connections=["live"], connected=False) as driver:
        await driver.press("5")
        await driver.shows("production", "publish", "amqp://127.0.0.1:1", "last error", "retry in")
        await driver.until(lambda: driver.app.context.watches["live"].failed_at is not None)
        await driver.press("enter")
        await driver.shows("✔ DNS 127.0.0.1", "✖ TCP 127.0.0.1:1", "not tried", "checked ")


@pytest.mark.parametrize("size", [(1, 1), (20, 6), (80, 24), (120, 36), (220, 60)])
async def test_list_details_and_form_hold_at_any_size(size: tuple[int, int]) -> None:
    async with running(size) as driver:
        await driver.press("5", "enter", "tab", "tab", "a", "=x", "tab", "=y", "enter", "escape", "j", "G", "escape")
        assert driver.app.size == Size(*size)
        assert driver.app.failures == []


async def test_a_narrow_screen_shows_the_list_and_the_details_below_it() -> None:
    async with running((80, 24)) as driver:
        await driver.press("5", "enter")
        await driver.shows("● connected", "endpoints", "✔ memory", "in no file")
        await driver.press("tab", "escape")
        assert driver.one(ConnectionTable).has_focus
        await driver.press("escape")
        await driver.until(lambda: isinstance(driver.app.screen, Events))


async def test_a_wide_screen_lists_the_largest_endpoints_of_the_connection_at_the_cursor() -> None:
    async with running((220, 60)) as driver:
        await driver.press("5")
        await driver.shows("Largest endpoints of shop")
        rows = [line.split() for line in driver.lines[2:] if " topic " in line or " classic queue " in line]
        assert [row[1] for row in rows] == ["payments", "orders", "orders.dead"]
        await driver.pilot.resize_terminal(120, 36)
        await driver.hides("Largest endpoints")
