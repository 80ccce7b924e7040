"""The one door to the terminal: of every command, in every format, on stdout and on stderr, nothing gets out but
visible characters and the program's own line of progress, whatever strangers have put into names and events."""

import json
import re
import socket
import ssl
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import quote

import click
import pytest
import trustme
from pika import spec
from pika.frame import Method

from connectors.memory import QueueSettings, embedded_broker
from tests import hostile
from tests.e2e.forks import Forks, Stream
from workbench.cli.main import workbench
from workbench.decode import ndjson
from workbench.decode.display import visible
from workbench.model.address import Address
from workbench.model.content import Content
from workbench.model.errors import FormatError, PublishRejected
from workbench.model.event import Delivery, Event
from workbench.model.groups import Member

OWNED: Final = "\x1b]52;c;cm0gLXJmIH4=\x07\x1b]0;owned\x07\x1b[31m\u202e\x9b2J\tx\x08\u3164\x00"
"""A stranger's name: a clipboard, a title, a colour, an override, in seven and in eight bits."""
NAME: Final = OWNED.replace("\x00", "")
CONNECTION: Final = "\u202e\x9b2J\u3164"
QUEUE, TOPIC, DEAD, EXCHANGE, GROUP = (f"{NAME}{what}" for what in ("queue", "topic", "dead", "exchange", "group"))
Q, T, D = (f"{CONNECTION}/{name}" for name in (QUEUE, TOPIC, DEAD))
PROGRESS: Final = re.compile(rb"\r\x1b\[K")


def seed() -> None:
    """What the embedded broker holds when a command starts."""
    broker = embedded_broker("strangers")
    broker.declare_exchange(EXCHANGE, "fanout")
    broker.declare_queue(QUEUE, QueueSettings(dead_letter_exchange="", dead_letter_routing_key=DEAD))
    broker.declare_queue(DEAD)
    broker.declare_topic(TOPIC, 2)
    broker.bind(EXCHANGE, QUEUE)
    for each in events():
        broker.append(TOPIC, each)
        try:
            broker.publish(EXCHANGE, each)
        except PublishRejected:
            continue
    consumer = broker.consume(QUEUE, NAME)
    consumer.reject(consumer.take(20))
    broker.consume(QUEUE, NAME, 5)
    broker.commit(GROUP, TOPIC, 0, 3)
    broker.members[GROUP] = (Member(NAME, NAME, NAME),)


def events() -> Sequence[Event]:
    """Events of strangers, one of them of a flow with an id."""
    headers = (("correlation_id", NAME), ("ce_specversion", "1.0"), ("ce_type", NAME), ("ce_id", NAME))
    of_flow = Event(NAME.encode(), json.dumps({NAME: NAME}).encode(), None, Content(headers))
    left_out = re.compile("bomb")
    others = [delivery.event for name, delivery in hostile.deliveries(huge=False) if not left_out.search(name)]
    return [of_flow, *(each for each in others if len(each.body or b"") + len(each.key or b"") < 500)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of strangers: a configuration, lines, a template, and a plan."""
    folder = tmp_path_factory.mktemp("door")
    (folder / "config.toml").write_text(
        f'[connections.{json.dumps(CONNECTION)}]\nurl = "memory://strangers"\nguard = "destroy"\n'
    )
    (folder / "edited.toml").write_bytes((folder / "config.toml").read_bytes())
    (folder / "gone.toml").write_text(
        f'[connections.{json.dumps(CONNECTION)}]\nurl = "amqp://u:p@127.0.0.1:1/%1b%5b31m"\n'
    )
    lines = []
    for each in events():
        try:
            lines.append(ndjson.encode(Delivery(each, Address("s", NAME), 1)))
        except FormatError:
            continue
    (folder / "lines").write_bytes(b"".join(lines))
    (folder / "bad lines").write_text('{"' + NAME + '": 1}\n')
    (folder / "template.toml").write_text(f"body = {json.dumps('{{ ' + NAME + ' }}')}\n")
    (folder / "plan").write_text(json.dumps({NAME: NAME}))
    (folder / f"{NAME}.db").write_bytes(b"SQLite format 3\0" + b"\x1b]0;x\x07" * 1000)
    return folder


@pytest.fixture(scope="module")
def forks(folder: Path) -> Iterator[Forks]:
    with Forks("tests.e2e.test_door:seed", folder) as forks:
        yield forks


@pytest.fixture(scope="module")
def operation(forks: Forks) -> str:
    """The id of a move that was made."""
    forks.run([(("move", *C, D, Q, "-y"), "stdout")])
    (listed,) = forks.run([(("journal", "-o", "json"), "stdout")])
    return str(json.loads(listed.received.splitlines()[0])["id"])


def obeyed(received: bytes) -> list[str]:
    """The lines of it that a terminal does not show as they are; neither its own line ends nor progress is one."""
    lines = PROGRESS.sub(b"", received.replace(b"\r\n", b"\n")).decode(errors="surrogateescape").split("\n")
    return [line for line in lines if visible(line) != line]


E: Final = ("--config", "edited.toml")
C: Final = ("--config", "config.toml")
ID: Final = "the operation's id"
FORMS: Final = ("table", "json")
STREAMS: Final[Sequence[Stream]] = ("stdout", "stderr")
CASES: Final[dict[str, Sequence[tuple[str, ...]]]] = {
    "ls": [C, (*C, Q), (*C, f"{CONNECTION}/{NAME}"), (NAME,), ("-c", f"{NAME}://x")],
    "groups list": [C, (*C, "-g", GROUP), (*C, "-g", NAME), (*C, T)],
    "groups seek": [
        (*C, GROUP, T, "--to", "beginning", "--dry-run"),
        (*C, GROUP, T, "--to", "beginning", "-y"),
        (*C, NAME, T, "--to", NAME),
        (*C, GROUP, T, "--to", "beginning"),
    ],
    "publish": [
        (*C, Q, NAME),
        (*C, T, "--file", "lines"),
        (*C, T, "--file", "bad lines"),
        (*C, T, "--template", "template.toml"),
        (*C, f"{CONNECTION}/{NAME}", "x"),
        (*C, T, "x", "-H", NAME),
        (*C, T, "x", "--partition", "77"),
    ],
    "replay": [(*C, Q, T, "--rate", "10000"), (*C, f"{NAME}.db", T), (*C, "bad lines", T), (*C, NAME, T)],
    "browse": [
        (*C, T, "--from", "beginning"),
        (*C, Q),
        (*C, Q, T, f"{CONNECTION}/{NAME}"),
        (*C, f"{NAME}.db"),
        (*C, T, "-w", NAME),
        (*C, T, "--columns", NAME),
    ],
    "tail": [(*C, T, "--from", "beginning", "--idle", "0.2"), (*C, f"{CONNECTION}/{NAME}"), (*C, T, "--from", NAME)],
    "find": [(*C, "owned", "--since", "beginning"), (*C, NAME), (*C, "x", f"{CONNECTION}/{NAME}", T)],
    "trace": [
        (*C, NAME, "--since", "beginning", "--look"),
        (*C, NAME, "--since", "beginning", "--tree"),
        (*C, f"{NAME} is nowhere", T),
        (*C, NAME, "--since", "beginning", "--tree", "--follow", f"{CONNECTION}/{NAME}"),
    ],
    "sagas": [(*C, "--since", "beginning", "--look", "--all"), (*C, f"{CONNECTION}/{NAME}")],
    "dead": [(*C, "--look"), (*C, "--look", "--by", NAME), (*C, D, "--look", "--by", "header.ce_type"), (*C, NAME)],
    "move": [
        (*C, D, Q, "--dry-run"),
        (*C, D, Q),
        (*C, D, "-y"),
        (*C, Q, T, "-y", "-n", "3"),
        (*C, f"{CONNECTION}/{NAME}"),
        (*C, "--plan", "plan"),
    ],
    "delete": [(*C, D, "-y", "-w", "key exists"), (*C, D, "--dry-run", "-w", "key exists"), (*C, D)],
    "journal": [()],
    "journal show": [(ID, *C), (ID, "--messages", *C), (NAME, *C)],
    "journal resume": [(ID, *C), (NAME, *C)],
    "journal undo": [(ID, *C), (ID, "-y", *C), (NAME, *C)],
    "journal forget": [(ID,), (NAME,), (ID, "-y")],
    "explain": [(*C, T, "0:0"), (*C, Q, "1"), (*C, json.dumps({NAME: 1})), (*C, NAME, NAME), (*C, "bad lines")],
    "expect": [
        (*C, T, "-w", "type = nothing", "--timeout", "0.2s", "--", "true", NAME),
        (*C, T, "-w", "type = nothing", "--timeout", "0.2s", "--", f"./{NAME}"),
        (*C, f"{CONNECTION}/{NAME}", "-w", "x", "--timeout", "0.2s"),
        (*C, T, "-w", "x", "--timeout", NAME),
    ],
    "connections": [C, ("--config", NAME)],
    "connections check": [C, (*C, NAME), ("--config", "gone.toml")],
    "connections add": [
        ("fine", "kafka://h", "--config", f"{NAME}.toml"),
        (NAME, "kafka://h", "--config", "new.toml"),
        (NAME, f"{NAME}://h", "--config", "new.toml"),
    ],
    "connections edit": [(CONNECTION, "--url", NAME, *E), (NAME, "--name", NAME, *E), (CONNECTION, "--production", *E)],
    "connections remove": [(NAME, *E), (CONNECTION, *E)],
    "connections trust": [(NAME,), C],
    "demo": [(), (NAME,)],
}


def commands(group: click.Group, prefix: str = "") -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if command.name == name:
            if not isinstance(command, click.Group) or command.invoke_without_command:
                yield f"{prefix}{name}", command
            if isinstance(command, click.Group):
                yield from commands(command, f"{prefix}{name} ")


COMMANDS: Final = dict(commands(workbench))


def test_every_command_is_tried() -> None:
    assert set(CASES) == set(COMMANDS)


@pytest.mark.parametrize("name", list(CASES))
def test_a_terminal_is_sent_visible_characters_only(name: str, forks: Forks, operation: str) -> None:
    # A bare `groups` lists, and has no command of that name.
    words = name.removesuffix(" list").split()
    cases = [[operation if each == ID else each for each in case] for case in CASES[name]]
    sent = forks.run(
        [
            ((*words, *option, *case), stream)
            for case in cases
            for option in _formats(COMMANDS[name])
            for stream in STREAMS
        ]
    )
    for each in sent:
        assert each.code in range(6), each
        assert not re.search(b"Traceback|an unexpected", each.received), each
        assert obeyed(each.received) == [], (each.arguments, each.stream)
    shown = {each.stream for each in sent if b"owned" in each.received or b"\\u{202e}" in each.received}
    assert shown or name == "demo"


MISTYPED: Final = "ops:hunter2@host?heartbeat=10"
"""Nearly a URL."""


def test_no_command_says_the_password_of_a_mistyped_url(forks: Forks) -> None:
    places = [(MISTYPED,), ("-c", MISTYPED, "-c", "m=memory://m", "m/q", "x")]
    commands = [name.removesuffix(" list").split() for name in CASES]
    sent = forks.run([((*words, *place), "stderr") for words in commands for place in places])
    sent += forks.run([(("connections", "check", *place), "stdout") for place in places])
    for each in sent:
        assert b"hunter2" not in each.received, each


def _close(text: str) -> bytes:
    return bytes(Method(0, spec.Connection.Close(530, text, 10, 40)).marshal())


def _start(mechanisms: str) -> bytes:
    server = {"version": NAME, "product": NAME, "cluster_name": NAME}
    return bytes(Method(0, spec.Connection.Start(0, 9, server, mechanisms.encode(), b"en_US")).marshal())


ANSWERS: Final = {
    "its own words": _close(f"NOT_ALLOWED - {NAME}"),
    "its own words after a greeting": _start("PLAIN") + _close(f"NOT_ALLOWED - vhost '{NAME}' not found"),
    "what it offers": _start(NAME),
    "no AMQP": NAME.encode(),
    "HTTP": f"HTTP/1.1 400 {NAME}\r\nContent-Encoding: {NAME}\r\n\r\n{NAME}".encode(),
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS.keys())
def test_what_a_strange_broker_says_is_visible_characters_only(answer: bytes, forks: Forks) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    accepted, _ = server.accept()
                    with accepted:
                        accepted.recv(8)
                        accepted.sendall(answer)

        serving = threading.Thread(target=serve, daemon=True)
        serving.start()
        url = f"amqp://127.0.0.1:{server.getsockname()[1]}/{quote(NAME)}"
        commands = [("ls", "-c", f"r={url}"), *(("connections", "check", "-o", form, "-c", url) for form in FORMS)]
        for each in forks.run([(command, stream) for command in commands for stream in STREAMS]):
            assert each.code == 1, each
            assert not re.search(b"Traceback|an unexpected", each.received), each
            assert obeyed(each.received) == [], (each.arguments, each.stream)
        server.shutdown(socket.SHUT_RDWR)
        serving.join()


@pytest.mark.parametrize("fault", ["its certificate is not trusted", "has expired", "is for another host"])
def test_a_strangers_certificate_is_refused_for_what_is_wrong_with_it(fault: str, forks: Forks, tmp_path: Path) -> None:
    stranger = trustme.CA(organization_name=NAME[:60], organization_unit_name=NAME[:60])
    trusted = trustme.CA() if "not trusted" in fault else stranger
    trusted.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    host = "elsewhere.example" if "another" in fault else "127.0.0.1"
    last = datetime(2020, 1, 2, tzinfo=UTC) if "expired" in fault else None
    subject = NAME[:60]
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    first = last and datetime(2020, 1, 1, tzinfo=UTC)
    issued = stranger.issue_cert(
        host,
        common_name=subject,
        organization_name=subject,
        organization_unit_name=subject,
        not_before=first,
        not_after=last,
    )
    issued.configure_cert(context)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    accepted, _ = server.accept()
                    with accepted, suppress(OSError), context.wrap_socket(accepted, server_side=True):
                        pass

        serving = threading.Thread(target=serve, daemon=True)
        serving.start()
        place = f"127.0.0.1:{server.getsockname()[1]}?ca={tmp_path / 'ca.pem'}"
        tries: Sequence[tuple[tuple[str, ...], Stream]] = (
            (("ls",), "stderr"),
            (("connections", "check", "-o", "table"), "stdout"),
        )
        urls = (f"r=amqps://{place}", f"r=kafka://{place}&tls")
        sent = forks.run([((*command, "-c", url), stream) for url in urls for command, stream in tries])
        for each in sent:
            assert each.code == 1, each
            assert fault in each.received.decode(), each
            assert obeyed(each.received) == [], (each.arguments, each.stream)
        server.shutdown(socket.SHUT_RDWR)
        serving.join()


def _formats(command: click.Command) -> Sequence[tuple[str, ...]]:
    choices = [
        each.type.choices for each in command.params if isinstance(each.type, click.Choice) and "-o" in each.opts
    ]
    return [("-o", str(form)) for form in choices[0]] if choices else [()]
