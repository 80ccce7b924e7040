"""What is used of the drivers beyond their public interfaces: listed, where it stands, and still there.

Nothing of the connectors is imported here, so that a member that has moved fails its own test, and says its name.
"""

import ast
import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pika
import pytest
from pika.adapters.asyncio_connection import AsyncioConnection

from tests.brokers.kafka import KafkaAddress
from tests.brokers.rabbitmq import RabbitMQAddress

ROOT = Path(__file__).resolve().parents[2]
DRIVERS = ("connectors/rabbitmq/driver.py", "connectors/kafka/driver.py")
PUBLIC = {
    "pika",
    "pika.adapters.asyncio_connection",
    "pika.channel",
    "pika.exceptions",
    "aiokafka",
    "aiokafka.errors",
}
"""Modules that the documentation of the drivers names (https://pika.readthedocs.io, https://aiokafka.readthedocs.io)."""
PYTHONS_OWN = {"_replace", "_value2member_map_"}
"""Public, though they begin with `_`: of named tuples and enumerations."""

PIKA_CONNECTION, PIKA_TRANSPORT = "pika.adapters.asyncio_connection.AsyncioConnection", "its transport"
KAFKA_CONNECTION, KAFKA_REQUEST = "aiokafka.conn.AIOKafkaConnection", "aiokafka.protocol.api.Request"


def listed() -> dict[str, list[str]]:
    """The table in the documentation: names, by what they are of."""
    _, _, section = (ROOT / "docs/architecture.md").read_text().partition("### Private members of drivers")
    table, _, _ = section.partition("\n## ")
    rows = [row.split("|")[1:3] for row in re.findall(r"^\| .*`.*$", table, re.MULTILINE)]
    return {of.strip(" `"): re.findall(r"`(\w+)`", names) for of, names in rows}


def of_classes(names: bool) -> list[Any]:
    """The rows of the table as parameters: private members of objects, or names of internal modules."""
    return [
        pytest.param(of, name, id=f"{of.rpartition('.')[2] if name.startswith('_') else of}.{name}")
        for of, some in listed().items()
        for name in some
        if name.startswith("_") is not names
    ]


@pytest.mark.parametrize(("module", "name"), of_classes(names=True))
def test_a_name_of_an_internal_module_is_there(module: str, name: str) -> None:
    assert hasattr(import_module(module), name), f"{module} has no {name} any more"


@pytest.fixture
async def pika_connection(rabbitmq_4: RabbitMQAddress) -> AsyncIterator[AsyncioConnection]:
    loop = asyncio.get_running_loop()
    opened, closed = loop.create_future(), loop.create_future()
    connection = AsyncioConnection(
        pika.URLParameters(rabbitmq_4.url),
        on_open_callback=opened.set_result,
        on_open_error_callback=lambda _, error: opened.set_exception(error),
        on_close_callback=lambda *_: closed.set_result(None),
        custom_ioloop=loop,
    )
    async with asyncio.timeout(20):
        await opened
        yield connection
        connection.close()
        await closed


@pytest.mark.parametrize(("of", "name"), [each for each in of_classes(names=False) if "kafka" not in each.values[0]])
async def test_pika_member_is_there(pika_connection: AsyncioConnection, of: str, name: str) -> None:
    has = {PIKA_CONNECTION: pika_connection, PIKA_TRANSPORT: getattr(pika_connection, "_transport", None)}[of]
    assert hasattr(has, name), f"{of} has no {name} any more"


@pytest.fixture
async def kafka_connection(kafka: KafkaAddress) -> AsyncIterator[Any]:
    place = urlsplit(kafka.url)
    made = import_module("aiokafka.conn").AIOKafkaConnection(place.hostname, place.port)
    async with asyncio.timeout(20):
        await made.connect()
        yield made
        await made.close()


@pytest.mark.parametrize(("of", "name"), [each for each in of_classes(names=False) if "kafka" in each.values[0]])
async def test_aiokafka_member_is_there(kafka_connection: Any, of: str, name: str) -> None:
    request = import_module("aiokafka.protocol.metadata").MetadataRequest
    has = {KAFKA_CONNECTION: kafka_connection, KAFKA_REQUEST: request}[of]
    assert getattr(has, name, None) is not None, f"{of} has no {name} any more"


def test_the_documentation_lists_what_is_used_and_no_more() -> None:
    used: set[tuple[str, str]] = set()
    private: set[str] = set()
    for file in DRIVERS:
        tree = ast.parse((ROOT / file).read_text())
        used |= {(module, name) for module, name in imported(tree) if module not in PUBLIC}
        private |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and is_private(node.attr)}
    table = [(of, name) for of, some in listed().items() for name in some]
    assert {each for each in table if not is_private(each[1])} == used
    assert {name for _, name in table if is_private(name)} == private


@pytest.mark.parametrize(
    "file",
    [
        str(file.relative_to(ROOT))
        for package in ("workbench", "connectors", "views")
        for file in sorted((ROOT / package).rglob("*.py"))
        if str(file.relative_to(ROOT)) not in DRIVERS
    ],
)
def test_no_other_module_reaches_into_a_driver(file: str) -> None:
    tree = ast.parse((ROOT / file).read_text())
    assert {module for module, _ in imported(tree)} <= PUBLIC, "imports an internal module: it belongs into driver.py"
    of_drivers = {name for some in listed().values() for name in some if is_private(name)}
    own = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)}
    own |= {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    touched = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and is_private(node.attr)}
    assert not touched & of_drivers - own
    if imports_a_driver(tree):
        own |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        assert touched - own - PYTHONS_OWN == set(), "touches a private member that is not its own"


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def imported(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """The modules of drivers that a module imports, and the names from them."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] in ("pika", "aiokafka"):
            yield from ((node.module, name.name) for name in node.names)
        elif isinstance(node, ast.Import):
            yield from ((each.name, "") for each in node.names if each.name.partition(".")[0] in ("pika", "aiokafka"))


def imports_a_driver(tree: ast.AST) -> bool:
    return any(True for _ in imported(tree)) or any(
        isinstance(node, ast.ImportFrom) and re.fullmatch(r"connectors\.\w+\.driver", node.module or "")
        for node in ast.walk(tree)
    )
