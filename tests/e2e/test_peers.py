"""Tools that we did not write read what `workbench publish` wrote, and the other way round."""

import json
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.brokers.kafka import KafkaAddress
from tests.brokers.rabbitmq import RabbitMQAddress
from tests.e2e.command import Ran, kcat_publish, managed, run


@pytest.fixture
def name() -> str:
    return f"peers-{uuid.uuid4().hex[:8]}"


class RabbitMQAdmin:
    """rabbitmqadmin, as the broker's management plugin hands it out."""

    def __init__(self, broker: RabbitMQAddress, folder: Path) -> None:
        self._url = urlsplit(broker.management_url)
        self._script = folder / "rabbitmqadmin"
        script = httpx.get(f"{broker.management_url}/cli/rabbitmqadmin", trust_env=False)
        self._script.write_bytes(script.raise_for_status().content)

    def __call__(self, *arguments: str) -> Ran:
        done = run(
            # Old releases of the script use parts of Python that newer ones warn of.
            *(sys.executable, "-W", "ignore", str(self._script)),
            *("-H", str(self._url.hostname), "-P", str(self._url.port), "-f", "raw_json", *arguments),
        )
        assert done.code == 0, done.err
        return done


@pytest.fixture(params=["rabbitmq_3", "rabbitmq_4"])
def rabbitmq(request: pytest.FixtureRequest) -> RabbitMQAddress:
    broker: RabbitMQAddress = request.getfixturevalue(request.param)
    return broker


@pytest.fixture
def rabbitmqadmin(rabbitmq: RabbitMQAddress, tmp_path: Path, name: str) -> Iterator[RabbitMQAdmin]:
    admin = RabbitMQAdmin(rabbitmq, tmp_path)
    admin("declare", "queue", f"name={name}", "durable=true")
    yield admin
    admin("delete", "queue", f"name={name}")


def test_kcat_reads_what_we_publish(kafka: KafkaAddress, name: str) -> None:
    kcat_publish(kafka, name, stdin=b"first\n")
    done = run(
        *("workbench", "publish", "-c", kafka.url.replace("kafka://", "k=kafka://"), f"k/{name}", '{"id":1}'),
        *("-k", "order-1", "-H", "traceparent=00-ab", "-H", "traceparent=00-cd"),
    )
    assert done.code == 0, done.err
    assert done.records[0]["position"] == {"partition": 0, "offset": 1}
    read = run("kcat", "-b", kafka.bootstrap, "-C", "-e", "-q", "-J", "-o", "1", "-t", name).records
    assert [(record["key"], record["payload"]) for record in read] == [("order-1", '{"id":1}')]
    assert read[0]["headers"] == ["traceparent", "00-ab", "traceparent", "00-cd"]


def test_we_read_what_kcat_publishes(kafka: KafkaAddress, name: str) -> None:
    lines = b"order-1|first\norder-2|second\n"
    kcat_publish(kafka, name, "-K", "|", "-H", "a=1", "-H", "a=2", stdin=lines)
    done = run("workbench", "browse", "-c", f"k={kafka.url}", name, "--json")
    assert done.code == 0, done.err
    assert [(record["key"], record["body"]) for record in done.records] == [
        ("order-1", {"text": "first"}),
        ("order-2", {"text": "second"}),
    ]
    assert [record["headers"] for record in done.records] == [[["a", "1"], ["a", "2"]]] * 2


def test_amqp_get_reads_what_we_publish(rabbitmq: RabbitMQAddress, rabbitmqadmin: RabbitMQAdmin, name: str) -> None:
    assert run("workbench", "publish", "-c", f"r={managed(rabbitmq)}", f"r/{name}", "grüße").code == 0
    assert run("amqp-get", "-u", rabbitmq.url, "-q", name).out == "grüße"


def test_rabbitmqadmin_reads_what_we_publish(
    rabbitmq: RabbitMQAddress, rabbitmqadmin: RabbitMQAdmin, name: str
) -> None:
    rabbitmqadmin("declare", "exchange", f"name={name}", "type=topic")
    rabbitmqadmin("declare", "binding", f"source={name}", f"destination={name}", "routing_key=order.#")
    done = run(
        *(
            "workbench",
            "publish",
            "-c",
            f"r={managed(rabbitmq)}",
            f"r/exchange:{name}",
            '{"id":1}',
            "-k",
            "order.placed",
        ),
        *("-H", "tenant=north", "--property", "correlation_id=c-1", "--property", "priority=4"),
    )
    assert done.code == 0, done.err
    [message] = json.loads(rabbitmqadmin("get", f"queue={name}").out)
    rabbitmqadmin("delete", "exchange", f"name={name}")
    assert (message["payload"], message["routing_key"]) == ('{"id":1}', "order.placed")
    assert message["properties"]["headers"] == {"tenant": "north"}
    assert (message["properties"]["correlation_id"], message["properties"]["priority"]) == ("c-1", 4)


def test_we_read_what_amqp_publish_publishes(
    rabbitmq: RabbitMQAddress, rabbitmqadmin: RabbitMQAdmin, name: str
) -> None:
    published = run("amqp-publish", "-u", rabbitmq.url, "-r", name, "-C", "text/plain", "-b", "hello")
    assert published.code == 0, published.err
    done = run("workbench", "browse", "-c", f"r={managed(rabbitmq)}", name, "--json")
    assert [(record["key"], record["body"]) for record in done.records] == [(name, {"text": "hello"})]
    assert done.records[0]["properties"]["content_type"] == "text/plain"


def test_we_read_what_rabbitmqadmin_publishes(
    rabbitmq: RabbitMQAddress, rabbitmqadmin: RabbitMQAdmin, name: str
) -> None:
    properties = {"delivery_mode": 2, "message_id": "m-1", "headers": {"tenant": "north", "retries": 3}}
    rabbitmqadmin("publish", f"routing_key={name}", 'payload={"id":1}', f"properties={json.dumps(properties)}")
    done = run("workbench", "browse", "-c", f"r={managed(rabbitmq)}", name, "--json")
    [record] = done.records
    assert record["body"] == {"json": {"id": 1}}
    assert sorted(record["headers"]) == [["retries", 3], ["tenant", "north"]]
    assert (record["properties"]["message_id"], record["properties"]["delivery_mode"]) == ("m-1", 2)
