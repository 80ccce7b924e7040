"""What may be done to a broker, whatever it is called: on real ones."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pika
import pytest

from tests.brokers.kafka import KafkaAddress
from tests.brokers.rabbitmq import RabbitMQAddress
from tests.e2e.command import managed, run
from tests.kafka.conftest import make_topic

GUARD = ("--guard", "move")


@pytest.fixture(params=["kafka", "rabbitmq-4.0"])
def place(request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    """A broker on this machine, whose host is written as an address, and one of two places on it that take events."""
    name = f"guards-{uuid4().hex}"
    if request.param == "kafka":
        kafka: KafkaAddress = request.getfixturevalue("kafka")
        for each in (name, f"{name}-2"):
            asyncio.run(make_topic(kafka.bootstrap, called=each))
        yield kafka.url, name
    else:
        rabbitmq: RabbitMQAddress = request.getfixturevalue("rabbitmq_4")
        with pika.BlockingConnection(pika.URLParameters(rabbitmq.url)) as connection:
            channel = connection.channel()
            for each in (name, f"{name}-2"):
                channel.queue_declare(each)
            yield managed(rabbitmq), name
            for each in (name, f"{name}-2"):
                channel.queue_delete(each)


def test_a_production_broker_is_known_again_by_whatever_name(place: tuple[str, str], tmp_path: Path) -> None:
    url, name = place
    config = tmp_path / "mine.toml"
    config.write_text(f"[connections.prod]\nurl = {json.dumps(url)}\nguard = 'publish'\nproduction = true\n")
    other = url.replace("127.0.0.1", "localhost")
    publish = ("workbench", "publish", "-c", f"alias={other}", f"alias/{name}", "x")
    configured = ("--config", str(config))
    # Before it was met, its URL or its name tells.
    for named in (publish, ("workbench", "publish", "-c", f"prod={other}", f"prod/{name}", "x")):
        refused = run(*named, *configured)
        assert (refused.code, "is production: publishing needs its name" in refused.err) == (1, True), refused.err
    assert run("workbench", "ls", *configured).code == 0
    # Without any configuration, it is known by what it calls itself.
    met = run(*publish, "--guard", "move")
    assert "alias leads to the broker of prod, which is production" in met.err
    assert (met.code, "alias is production: publishing needs its name" in met.err) == (1, True), met.err
    assert run(*publish, "--confirm", "alias").code == 0


def test_on_this_machine_a_url_may_publish_and_not_move(place: tuple[str, str]) -> None:
    url, name = place
    option = ("-c", f"here={url}")
    assert run("workbench", "publish", *option, f"here/{name}", "x").code == 0
    for how, refused in (("--yes", True), ("--dry-run", False)):
        moved = run("workbench", "move", *option, f"here/{name}", f"here/{name}-2", how, *(() if refused else GUARD))
        assert (moved.code, "here is guarded at 'publish'" in moved.err) == (int(refused), refused), moved.err
