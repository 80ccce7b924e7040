"""Runs the Java programs of this folder, which print what frameworks put into headers."""

import base64
import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.brokers import install
from workbench.model.address import Address
from workbench.model.content import Content, Headers
from workbench.model.event import Delivery, Event
from workbench.model.wire import encode

_HERE = Path(__file__).parent


def printed(program: str) -> Mapping[str, Mapping[str, Any]]:
    """The lines that a program prints, by their names.

    Args:
        program: `NAME` for `NAME.java`, which needs what `name.xml` lists.
    """
    jars = install.jars(f"frameworks-{program.lower()}", _HERE / f"{program.lower()}.xml", f"fetching {program}")
    # A short run: the second compiler would only take time.
    java = ["java", "-XX:TieredStopAtLevel=1", "-cp", f"{jars}/*", str(_HERE / f"{program}.java")]
    done = subprocess.run(java, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return {line["name"]: line for line in map(json.loads, done.stdout.splitlines())}


def from_kafka(line: Mapping[str, Any]) -> Delivery:
    """An event with the headers printed, which are bytes."""
    headers: Headers = tuple((name, base64.b64decode(value)) for name, value in line["headers"])
    return Delivery(Event(None, b"body", None, Content(headers)), Address("kafka", "orders.dead"), 0)


def from_rabbitmq(line: Mapping[str, Any]) -> Delivery:
    """An event with the properties and headers printed, as RabbitMQ would send them."""
    headers: Headers = tuple((name, value) for name, value in line["headers"])
    wire = encode(Content(headers, line["properties"]))
    return Delivery(Event(b"", b"body", wire), Address("rabbit", "orders.dead"), 0)
