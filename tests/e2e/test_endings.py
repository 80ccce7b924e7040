"""However a command ends: one sentence, the right exit code, and never a traceback."""

import asyncio
import json
import os
import stat
import uuid
from pathlib import Path

import pytest

from tests.brokers.kafka import KafkaAddress
from tests.brokers.rabbitmq import RabbitMQAddress
from tests.e2e.command import INSTALLED, Ran, kcat_publish, managed, run
from tests.kafka.conftest import make_topic
from tests.kafka.test_groups import commit

DOWN = "down=kafka://127.0.0.1:1"
NOT_UTF8 = os.fsdecode(b"caf\xe9")
PLUGIN = """
import os, sys
from contextlib import asynccontextmanager

PLACE = os.environ["ODD_PLACE"]

def here(place):
    if place == PLACE:
        local = "a local variable"
        eval(os.environ["ODD_RAISES"], {"password": "hunter2"})

here("import")

class Connector:
    def __init__(self, connection):
        here("constructor")
        self.connection = connection
    async def __aenter__(self):
        here("enter")
        return self
    async def __aexit__(self, *_):
        here("exit")
    async def check(self):
        here("check")
        return
        yield
    async def endpoints(self):
        here("endpoints")
        return []
    async def endpoint(self, address):
        from workbench.model.endpoint import Ability, Endpoint
        here("endpoint")
        return Endpoint(address, "topic", "log", Ability.BROWSE | Ability.TAIL | Ability.PUBLISH | Ability.CLAIM)
    @asynccontextmanager
    async def browse(self, *_):
        from workbench.model.look import Coverage
        class Stream:
            @property
            def coverage(self):
                here("coverage")
                return Coverage()
            interruption = None
            async def __aiter__(self):
                here("batch")
                if PLACE == "answer":
                    yield [1]
                if PLACE == "unraisable":
                    import asyncio
                    async def failing():
                        raise KeyError(0)
                    asyncio.get_running_loop().create_task(failing())
                    await asyncio.sleep(0)
                    failing()
                    import logging, threading, atexit
                    logging.getLogger("driver").error("what a driver says")
                    thread = threading.Thread(target=lambda: {}[0])
                    thread.start()
                    thread.join()
                    atexit.register(lambda: {}[0])
        here("open")
        yield Stream()
        here("leave")
    tail = browse
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a plugin for `odd://`."""
    (tmp_path / "odd_plugin.py").write_text(PLUGIN)
    installed = tmp_path / "odd_plugin-1.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: odd-plugin\nVersion: 1\n")
    (installed / "entry_points.txt").write_text("[event_workbench.connectors]\nodd = odd_plugin:Connector\n")
    return tmp_path


def odd(folder: Path, *arguments: str, place: str = "", raises: str = "{}[0]") -> Ran:
    """A command with the plugin, which raises in one place."""
    env = {**os.environ, "PYTHONPATH": str(folder), "ODD_PLACE": place, "ODD_RAISES": raises}
    return run("workbench", *arguments, "-c", "odd=odd://user:hunter2@localhost", env=with_state(folder, env))


def with_state(folder: Path, env: dict[str, str] | None = None) -> dict[str, str]:
    return {**(env or os.environ), "XDG_STATE_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}


def log(folder: Path) -> Path:
    return folder / "event-workbench" / "errors.log"


BROWSE, LS, CHECK, TAIL = ("browse", "odd/x"), ("ls",), ("connections", "check"), ("tail", "odd/x", "--idle", "1")


@pytest.mark.parametrize("raises", ["{}[0]", "b'\\xff'.decode()", "exit(0)", "int(password)", "1/0"])
@pytest.mark.parametrize(
    ("place", "arguments", "code"),
    [
        *(("import", arguments, 2) for arguments in (LS, BROWSE, CHECK)),
        *(("constructor", arguments, 2) for arguments in (LS, BROWSE, CHECK)),
        *(("enter", arguments, 1) for arguments in (LS, BROWSE, CHECK)),
        ("endpoints", LS, 1),
        ("endpoints", CHECK, 1),
        ("check", CHECK, 1),
        ("exit", LS, 1),
        ("endpoint", BROWSE, 1),
        *((place, BROWSE, 1) for place in ("open", "batch", "leave")),
        *((place, TAIL, 1) for place in ("open", "batch", "leave")),
        ("coverage", BROWSE, 0),
    ],
)
def test_what_a_plugin_raises_is_one_sentence_that_names_the_log(
    folder: Path, place: str, arguments: tuple[str, ...], code: int, raises: str
) -> None:
    done = odd(folder, *arguments, place=place, raises=raises)
    assert done.code == code, done.err
    said = done.out + done.err
    logged = log(folder).read_text()
    assert said.count(str(log(folder))) == 1 and "hunter2" not in said + logged
    assert "in here" in logged and "a local variable" not in logged.replace('local = "a local variable"', "")
    assert len([line for line in said.splitlines() if not line.startswith(("✔", "tailing"))]) <= 2
    assert stat.S_IMODE(log(folder).stat().st_mode) == 0o600


def test_what_a_plugin_hands_over_is_no_event(folder: Path) -> None:
    done = odd(folder, *BROWSE, place="answer")
    assert done.code == 1
    assert "failed with an unexpected TypeError" in done.err and "Traceback" not in done.err


def test_what_python_would_print_by_itself_goes_into_the_log(folder: Path) -> None:
    done = odd(folder, *BROWSE, place="unraisable")
    assert (done.code, done.err) == (0, "odd/x: 0 read\n")
    assert log(folder).read_text().count("KeyError: 0") == 3


def test_a_plugin_that_raises_disturbs_no_completion(folder: Path) -> None:
    for place in ("import", "constructor", "enter", "endpoints"):
        env = {
            **with_state(folder),
            "PYTHONPATH": str(folder),
            "ODD_PLACE": place,
            "ODD_RAISES": "exit(1)",
            "_WORKBENCH_COMPLETE": "bash_complete",
            "COMP_WORDS": f"workbench ls -c odd=odd:// odd/{NOT_UTF8}",
            "COMP_CWORD": "4",
        }
        done = run("workbench", env=env)
        assert (done.code, done.err) == (0, "") and "Traceback" not in done.out


def test_a_command_that_cannot_be_imported_is_one_sentence(folder: Path) -> None:
    (folder / "msgspec.py").write_text("import no_such_module\n")
    done = run("workbench", "ls", env={**with_state(folder), "PYTHONPATH": str(folder)})
    assert done.code == 1
    assert done.err.count("\n") == 1 and "no_such_module" in done.err


# What answers is listed.


@pytest.mark.parametrize("arguments", [("ls",), ("groups",)])
def test_what_answers_is_listed_and_what_does_not_is_said(kafka: KafkaAddress, arguments: tuple[str, ...]) -> None:
    # Other tests' topics and groups come and go meanwhile: these stay.
    topic = asyncio.run(make_topic(kafka.bootstrap))
    asyncio.run(commit(kafka, f"stays-{uuid.uuid4().hex[:8]}", topic, {0: 0}))
    up = run("workbench", *arguments, "-c", f"up={kafka.url}", "--json")
    done = run("workbench", *arguments, "-c", DOWN, "-c", f"up={kafka.url}", "--json")
    assert done.code == 3 and up.code == 0
    assert len(done.records) > 0 or not up.records
    assert done.err.count("\n") == 1 and "down" in done.err and "127.0.0.1:1" in done.err
    neither = run("workbench", *arguments, "-c", DOWN, "-c", "gone=kafka://127.0.0.1:2")
    assert (neither.code, neither.out) == (1, "")
    assert len(neither.err.splitlines()) == 2


def test_a_check_tells_of_all_connections(kafka: KafkaAddress) -> None:
    done = run("workbench", "connections", "check", "-c", DOWN, "-c", f"up={kafka.url}", "--json")
    assert done.code == 3
    assert [step["error"] for step in done.records if step["connection"] == "up"] != []
    assert not [step for step in done.records if step["connection"] == "up" and step["error"]]
    assert [step for step in done.records if step["connection"] == "down" and step["error"]]


def test_what_can_be_browsed_is_shown(kafka: KafkaAddress) -> None:
    topic = f"endings-{uuid.uuid4().hex[:8]}"
    kcat_publish(kafka, topic, stdin=b"zero\n")
    done = run("workbench", "browse", "-c", DOWN, "-c", f"up={kafka.url}", "down/x", f"up/{topic}", "-o", "body")
    assert (done.code, done.out) == (3, "zero\n")
    assert "workbench: down/x: " in done.err
    for command in (["tail", "--idle", "1"], ["expect", "-w", "key = a", "--timeout", "1s"]):
        done = run("workbench", *command, "-c", DOWN, "-c", f"up={kafka.url}", f"up/{topic}", "down/x")
        assert done.code == 1
        assert done.err.startswith("workbench: down/x: ") and done.err.count("\n") == 1


# Arguments that are not UTF-8.


@pytest.mark.parametrize(
    "arguments",
    [
        ["browse", f"m/{NOT_UTF8}"],
        ["browse", NOT_UTF8],
        ["tail", f"m/{NOT_UTF8}", "--idle", "1"],
        ["tail", "m/topic", "-k", NOT_UTF8],
        ["tail", "m/topic", "-w", f"body ~ '{NOT_UTF8}'"],
        ["browse", "m/topic", "--from", NOT_UTF8],
        ["expect", "m/topic", "-w", NOT_UTF8],
        ["publish", f"m/{NOT_UTF8}", "x"],
        ["publish", "m/topic", "x", "-H", f"a={NOT_UTF8}"],
        ["publish", "m/topic", "x", "-H", f"{NOT_UTF8}=a"],
        ["publish", "m/topic", "x", "--property", f"type={NOT_UTF8}"],
        ["publish", "m/topic", "x", "--set", f"a={NOT_UTF8}"],
        ["publish", "m/topic", "--template", NOT_UTF8],
        ["replay", NOT_UTF8, "m/topic"],
        ["replay", f"m/{NOT_UTF8}", "m/topic"],
        ["ls", f"m/{NOT_UTF8}"],
        ["ls", NOT_UTF8],
        ["groups", "-g", NOT_UTF8],
        ["groups", NOT_UTF8],
        ["connections", "check", NOT_UTF8],
        ["connections", "add", NOT_UTF8, "amqp://localhost"],
        ["connections", "add", "x", f"amqp://user:{NOT_UTF8}@localhost"],
        ["connections", "trust", NOT_UTF8],
        ["ls", "-c", f"amqp://{NOT_UTF8}"],
        ["ls", "-c", f"{NOT_UTF8}=amqp://localhost"],
        ["ls", "-c", NOT_UTF8],
        ["ls", "--config", NOT_UTF8],
        ["ls", "--confirm", NOT_UTF8, "-c", NOT_UTF8],
        [NOT_UTF8],
        [f"--{NOT_UTF8}"],
    ],
)
def test_an_argument_that_is_not_utf8_is_a_sentence(folder: Path, arguments: list[str]) -> None:
    given = [] if arguments[0].startswith(("connections", "-", NOT_UTF8)) else ["-c", "m=memory://x"]
    done = run("workbench", *arguments, *given, env=with_state(folder), cwd=folder)
    assert (done.code, done.out) == (2, "")
    assert "Traceback" not in done.err and "codec" not in done.err
    assert len([line for line in done.err.splitlines() if line and not line.startswith(("Usage:", "Try "))]) == 1


@pytest.mark.parametrize(("option", "command"), [("-H", "publish m/topic x"), ("-g", "groups")])
def test_an_option_that_is_not_utf8_is_called_as_it_is_written(folder: Path, option: str, command: str) -> None:
    done = run("workbench", *command.split(), "-c", "m=memory://x", option, f"a={NOT_UTF8}", env=with_state(folder))
    assert (done.code, done.err) == (2, f"workbench: {option} is not UTF-8.\n")


def test_bytes_are_kept_where_they_mean_something(folder: Path, kafka: KafkaAddress) -> None:
    topic = f"endings-{uuid.uuid4().hex[:8]}"
    kcat_publish(kafka, topic, stdin=b"zero\n")
    to = ("-c", f"k={kafka.url}", topic)
    (folder / NOT_UTF8).write_bytes(b"from a file")
    for body in ([NOT_UTF8], [f"@{folder / NOT_UTF8}", "-k", NOT_UTF8]):
        assert run("workbench", "publish", *to, *body, env=with_state(folder)).code == 0
    recorded = f"{folder / NOT_UTF8}.db"
    done = run("workbench", "browse", *to, "--record", recorded, "--json", env=with_state(folder))
    assert done.code == 0, done.err
    assert [record["body"] for record in done.records] == [
        {"text": "zero"},
        {"base64": "Y2Fm6Q=="},
        {"text": "from a file"},
    ]
    again = run("workbench", "browse", recorded, "--json", "--coverage", env=with_state(folder), cwd=folder)
    assert again.code == 0, again.err
    assert again.records[:-1] == done.records
    lines = folder / f"{NOT_UTF8}.lines"
    lines.write_text("\n".join(map(json.dumps, done.records)))
    assert run("workbench", "publish", *to, "--file", str(lines), env=with_state(folder)).code == 0
    assert run("workbench", "replay", str(lines), *to[:2], topic, env=with_state(folder)).code == 0
    config = folder / f"{NOT_UTF8}.toml"
    config.write_text(f'[connections.k]\nurl = "{kafka.url}"\n')
    assert run("workbench", "ls", "k", "--config", str(config), env=with_state(folder)).code == 0


# Standard streams.


def shell(folder: Path, text: str) -> Ran:
    env = {**with_state(folder), "PATH": f"{INSTALLED.parent}:{os.environ['PATH']}"}
    return run("bash", "-c", f"set -o pipefail; {text}", env=env)


LISTING = "workbench ls -c shop=demo://shop"


@pytest.mark.parametrize(
    ("text", "code", "err"),
    [
        (f"{LISTING} >&-", 1, "workbench: Standard input or output is closed.\n"),
        (f"{LISTING} >&- 2>/dev/null", 1, ""),
        (f"{LISTING} >&- 2>&-", 1, ""),
        (f"{LISTING} >&- 2>&- <&-", 1, ""),
        (f"{LISTING} >/dev/null 2>&- <&-", 0, ""),
        ("workbench ls 2>&-", 2, ""),
        ("workbench --help >&-", 1, "workbench: Standard input or output is closed.\n"),
        ("workbench ls --help >/dev/full", 1, "workbench: Reading or writing failed: No space left on device.\n"),
        ("workbench --version >/dev/full", 1, "workbench: Reading or writing failed: No space left on device.\n"),
        ("workbench connections >/dev/full 2>/dev/full", 0, ""),
        (f"{LISTING} >/dev/full", 1, "workbench: Reading or writing failed: No space left on device.\n"),
        (f"{LISTING} 2>/dev/full >/dev/null", 0, ""),
        ("workbench publish -c m=memory://x x - <&-", 1, "workbench: Standard input or output is closed.\n"),
        ("workbench publish -c m=demo://shop m/orders --null --file - <&-", 2, None),
        ("workbench browse m/x -c m=memory://x <&- >&- 2>&-", 1, ""),
        ("workbench <&-", 1, None),
        ("workbench >&- 2>&-", 1, ""),
        (f"{LISTING} | head -1", 0, ""),
        (f"{LISTING} --json | true", 0, ""),
        ("workbench --help | true", 0, ""),
        ("workbench browse --help | head -1", 0, ""),
        ("workbench ls -c nothing | true", 2, None),
    ],
)
def test_standard_streams_may_be_closed_full_or_left(folder: Path, text: str, code: int, err: str | None) -> None:
    done = shell(folder, text)
    assert done.code == code
    assert "Traceback" not in done.err and "Exception" not in done.err
    assert err is None or done.err == err


def test_what_was_taken_to_look_at_is_given_back_when_the_reader_goes_away(
    folder: Path, rabbitmq_4: RabbitMQAddress
) -> None:
    import pika

    name = f"endings-{uuid.uuid4().hex[:8]}"
    with pika.BlockingConnection(pika.URLParameters(rabbitmq_4.url)) as connection:
        channel = connection.channel()
        channel.queue_declare(name, durable=True)
        try:
            for number in range(2000):
                channel.basic_publish("", name, f"{number:04}".encode() * 250)
            done = shell(folder, f"workbench browse -c 'r={managed(rabbitmq_4)}' r/{name} -n 2000 -o body | head -1")
            assert (done.code, done.out) == (0, "0000" * 250 + "\n")
            assert channel.queue_declare(name, passive=True).method.message_count == 2000
            assert channel.basic_get(name)[2] == b"0000" * 250
        finally:
            channel.queue_delete(name)


@pytest.mark.parametrize(
    ("reader", "code", "printed"),
    [("| head -2", 0, 2), ("| true", 0, 0), (">/dev/full", 3, 0), (">&-", 3, 0)],
)
def test_receipts_that_nobody_takes_stop_no_publishing(
    folder: Path, kafka: KafkaAddress, reader: str, code: int, printed: int
) -> None:
    source, target = f"endings-{uuid.uuid4().hex[:8]}", f"endings-{uuid.uuid4().hex[:8]}"
    connection = f"-c k={kafka.url}"
    kcat_publish(kafka, source, stdin=b"x\n" * 20_000)
    kcat_publish(kafka, target, stdin=b"first\n")
    for number, command in enumerate(
        (f"publish {connection} {target} x --count 20000 --json", f"replay {connection} {source} {target} --json"), 1
    ):
        done = shell(folder, f"workbench {command} {reader}")
        assert (done.code, len(done.out.splitlines())) == (code, printed), done.err
        assert "20,000 published, 0 refused" in done.err
        assert ("Receipts could not be printed: " in done.err) == (code == 3)
        there = run("workbench", "browse", "-c", f"k={kafka.url}", target, "-n", "1")
        assert f"1 of {number * 20_000 + 1:,} read" in there.err


def test_a_refusal_counts_though_nobody_takes_the_receipts(folder: Path, rabbitmq_4: RabbitMQAddress) -> None:
    lines = folder / "lines"
    lines.write_text('{"body":{"text":"x"}}\n' * 5000 + '{"body":null}\n')
    done = shell(
        folder,
        f"workbench publish -c 'r={managed(rabbitmq_4)}' r/exchange:amq.fanout --file {lines} --json | head -1",
    )
    assert done.code == 1, done.err
    assert "0 published, 5,001 refused" in done.err
