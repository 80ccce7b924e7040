"""The screen in front of a real Kafka: it says when a broker is gone, and what a group is."""

import asyncio
from pathlib import Path

import pytest

from tests.brokers.kafka import Kafka, KafkaAddress
from tests.brokers.narrow import EventHubs
from tests.kafka.conftest import connect, make_topic
from tests.kafka.reading import numbered, publish
from tests.kafka.test_group_kinds import new_group, odd_member
from tests.views.driver import running
from views.widgets.event_table import EventTable
from workbench.connecting.config import Connection
from workbench.connecting.config_file import ConfigFile
from workbench.model.address import Address


async def test_a_killed_broker_is_told_of_and_nothing_is_lost(own_kafka: Kafka) -> None:
    async with connect(own_kafka.url) as connector:
        made = await make_topic(own_kafka.bootstrap, 2)
        await publish(connector, made, numbered(100))
    address = Address("log", made.name)
    async with running((160, 40), connections=[Connection.parse(f"log={own_kafka.url}")]) as driver:
        await driver.go_to(str(address))
        await driver.press("enter")
        await driver.until(lambda: len(driver.app.events.sequences) == 100)
        await asyncio.to_thread(own_kafka.kill)
        await driver.shows("lost:", "○ log")
        await asyncio.to_thread(own_kafka.start)
        await driver.until(lambda: "● log" in driver.text and "● live" in driver.text)
        async with connect(own_kafka.url) as connector:
            await publish(connector, made, numbered(100, 100))
        await driver.until(lambda: len(driver.app.events.sequences) >= 200)
        await driver.until_settled()
        found = await driver.app.context.archive.rows(driver.app.events.sequences)
        assert driver.one(EventTable).cursor == driver.app.events.sequences[-1]
    positions = [each.position for each in found if each is not None]
    assert len(positions) == len(set(map(str, positions))) == 200


async def test_a_group_shows_its_kind_and_what_of_it_is_not_known(kafka: KafkaAddress) -> None:
    name = new_group()
    async with (
        odd_member(kafka, name, b"in its own form"),
        running((160, 40), connections=[Connection.parse(f"log={kafka.url}")]) as driver,
    ):
        await driver.until(lambda: "● log" in driver.text)
        await driver.press("/", f"={name}", "enter", "G", "enter")
        await driver.shows("classic", "not all known")
        await driver.press("G", "enter")
        await driver.shows("classic · Stable · 1 member · lag 0", "Not known: what is assigned to odd-")


async def test_a_pasted_connection_string_is_added_and_its_key_is_not_saved(
    event_hubs: EventHubs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(event_hubs.ca))
    made = await make_topic(event_hubs.kafka.bootstrap)
    file = tmp_path / "mine.toml"
    async with running((160, 40), config=ConfigFile(path=file)) as driver:
        await driver.press("a", f"=eh={event_hubs.connection_string};EntityPath={made.name}", "enter")
        await driver.shows("✖")
        await driver.press("escape", "a", f"=eh={event_hubs.connection_string}", "enter")
        await driver.shows(f"eh is saved in {file}")
        await driver.until(lambda: driver.app.context.watches["eh"].state == "connected")
        assert driver.app.context.watches["eh"].endpoints[Address("eh", made.name)].kind == "event hub"
    assert f'url = "eventhubs://tests@{event_hubs.broker.bootstrap}"' in file.read_text()
