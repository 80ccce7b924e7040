"""A broker's name stands in one folder of `connectors/`: the core and the screens ask what can be done, never who."""

import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

import connectors
import views
import workbench

BROKERS = re.compile(r"rabbit|kafka|amqp|event_?hub|memory://|\b(?:classic|quorum) queue\b", re.IGNORECASE)
ENCODINGS = ("model/amqp091.py", "model/record_headers.py", "model/amqp10.py", "model/wire.py", "export/otlp.py")
"""Where bytes are read and written that are a protocol's, whoever speaks it; OpenTelemetry names brokers in its own."""
DEMO = re.compile(r"""["']\w+=demo://shop/\w+["']""")
"""What the embedded brokers of the demo are called."""
ROOMS = [Path(room.__path__[0]) for room in (workbench, views)]


def sources() -> Iterator[Path]:
    """The files of the core and of the screens, but for the encodings."""
    for room in ROOMS:
        yield from (path for path in sorted(room.rglob("*.py")) if not path.as_posix().endswith(ENCODINGS))


def named(path: Path) -> Iterator[str]:
    """Names and texts in which a broker is named: those that decide, not the sentences that tell a person of one."""
    with path.open("rb") as file:
        for token in tokenize.tokenize(file.readline):
            text = token.string
            if token.type == tokenize.NAME and text != "amqp091" and BROKERS.search(text):
                yield f"{path}:{token.start[0]}: {text}"
            # A text with spaces between its words is for people: an example, help, a docstring.
            if (
                token.type == tokenize.STRING
                and BROKERS.search(text)
                and len(text.split()) < 3
                and not DEMO.fullmatch(text)
            ):
                yield f"{path}:{token.start[0]}: {text}"


@pytest.mark.parametrize("path", list(sources()), ids=lambda path: f"{path.parent.name}/{path.name}")
def test_neither_the_core_nor_a_screen_knows_a_broker_by_name(path: Path) -> None:
    assert list(named(path)) == []


def test_each_broker_has_one_folder() -> None:
    """What the test above looks for is found where it belongs."""
    folder = Path(connectors.__path__[0])
    for broker in ("rabbitmq", "kafka"):
        assert any(list(named(path)) for path in sorted((folder / broker).glob("*.py")))
