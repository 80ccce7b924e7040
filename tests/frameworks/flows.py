"""Flows of several messages that frameworks write themselves: installed for the test, and kept as they were written."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import httpx
import pika

from tests.brokers import install
from tests.brokers.rabbitmq import RabbitMQAddress
from workbench.model.address import Address
from workbench.model.content import Content
from workbench.model.event import Delivery, Event
from workbench.model.wire import encode

_HERE = Path(__file__).parent
_NODE = {"dependencies": {"moleculer": "0.15.2", "amqplib": "0.10.9", "@platformatic/kafka": "1.35.0"}}
_NAMEKO = "nameko==3.0.0rc11"


def moleculer(transporter: str, namespace: str) -> None:
    """Let services of Moleculer call one another over a broker."""
    folder = install.node_modules("frameworks-moleculer", json.dumps(_NODE), "fetching Moleculer")
    program = shutil.copy(_HERE / "moleculer.js", folder)
    _run("node", str(program), transporter, namespace)


def nameko(url: str) -> None:
    """Let services of nameko call one another over a broker."""
    python = install.python_environment("frameworks-nameko", _NAMEKO, "fetching nameko")
    _run(str(python), str(_HERE / "nameko_services.py"), url)


def celery(url: str) -> None:
    """Let tasks of Celery call one another over a broker."""
    _run(sys.executable, str(_HERE / "celery_tasks.py"), url)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


class Traced:
    """A virtual host of RabbitMQ of one's own, with the firehose on."""

    def __init__(self, url: str, channel: "pika.adapters.blocking_connection.BlockingChannel", queue: str) -> None:
        self.url = url
        """Where frameworks connect to."""
        self._channel, self._queue = channel, queue

    def published(self) -> Sequence[Delivery]:
        """All that was published, as it was published."""
        found: list[Delivery] = []
        while True:
            method, properties, body = self._channel.basic_get(self._queue, auto_ack=True)
            if method is None:
                return found
            told = properties.headers
            inner = dict(told["properties"])
            headers = inner.pop("headers", None) or {}
            content = Content(tuple(headers.items()), {name: value for name, value in inner.items()})
            event = Event(str(told["routing_keys"][0]).encode(), body, encode(content))
            place = told["exchange_name"] or told["routing_keys"][0]
            found.append(Delivery(event, Address("rabbit", str(place)), len(found)))


@contextmanager
def traced_vhost(broker: RabbitMQAddress) -> Iterator[Traced]:
    """A virtual host whose firehose goes into a queue, for as long as this is entered."""
    name = f"flows-{uuid4().hex[:8]}"
    api, login = f"{broker.management_url}/api/vhosts/{name}", ("guest", "guest")
    httpx.put(api, json={"tracing": True}, auth=login).raise_for_status()
    try:
        url = f"{broker.url}/{name}"
        with pika.BlockingConnection(pika.URLParameters(url)) as connection:
            channel = connection.channel()
            queue = channel.queue_declare("", exclusive=True).method.queue
            channel.queue_bind(queue, "amq.rabbitmq.trace", "publish.#")
            yield Traced(url, channel, queue)
    finally:
        httpx.delete(api, auth=login).raise_for_status()
