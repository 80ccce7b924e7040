"""An editor or a pager has the terminal to itself as long as it likes, and nothing that comes meanwhile is lost."""

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.brokers.rabbitmq import RabbitMQAddress
from tests.e2e.command import run
from tests.e2e.terminal import Terminal
from tests.rabbitmq.conftest import Rabbit, new_vhost
from views.steady_app import PATIENCE
from workbench.model.address import Address

COUNT = 5_000


@pytest.fixture
def rabbit(rabbitmq_4: RabbitMQAddress) -> Iterator[Rabbit]:
    made = new_vhost(rabbitmq_4)
    yield made
    made.remove()


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A user whose editor and pager stay open until they are told to go on."""
    script = tmp_path / "editor"
    script.write_text(
        "#!/bin/sh\n"
        f'echo "this is the editor"; echo $$ > "{tmp_path}/open"\n'
        f'while [ ! -e "{tmp_path}/go" ]; do sleep 0.05; done\n'
        f'printf changed > "$1"; rm "{tmp_path}/open" "{tmp_path}/go"\n'
    )
    script.chmod(0o755)
    return {"HOME": str(tmp_path), "EDITOR": str(script), "PAGER": str(script)}


def until(condition: Callable[[], object], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def of(rabbit: Rabbit, address: Address) -> tuple[str, ...]:
    management = quote(rabbit.broker.management_url, safe="")
    return "-c", f"rabbit={rabbit.url}?management={management}", str(address)


def opened(terminal: Terminal, folder: Path, key: str) -> None:
    """Press the key of an editor and wait until it has the terminal."""
    terminal.press(key)
    terminal.until("this is the editor")
    until((folder / "open").exists)


def taps(rabbit: Rabbit) -> list[dict[str, Any]]:
    """The queues of taps, with what they hold."""
    found: list[dict[str, Any]] = (
        rabbit.api.get(f"/api/queues/{quote(rabbit.vhost, safe='')}").raise_for_status().json()
    )
    return [queue for queue in found if queue["exclusive"]]


def test_a_tap_goes_on_while_a_pager_is_open(rabbit: Rabbit, environment: dict[str, str], tmp_path: Path) -> None:
    exchange = rabbit.exchange("fanout")
    recording = tmp_path / "seen.db"
    with Terminal(*of(rabbit, exchange), "--record", str(recording), environment=environment) as terminal:
        terminal.until("rabbit/exchange:fanout")
        terminal.press("l")
        bindings = f"/api/exchanges/{quote(rabbit.vhost, safe='')}/{exchange.name}/bindings/source"
        until(lambda: rabbit.api.get(bindings).json())
        rabbit.publish(exchange, b"the first", key="k")
        terminal.until("the first")
        opened(terminal, tmp_path, "v")
        drawn = terminal.drain(quiet=0.5)
        rabbit.publish(exchange, *(b"event %d" % number for number in range(COUNT)), key="k")

        # Far more than the tap's prefetch: they come only as fast as the program takes them.
        until(lambda: max(queue.get("message_stats", {}).get("deliver", 0) for queue in taps(rabbit)) > COUNT)
        assert drawn + terminal.drain(quiet=0.5) == b""
        (tmp_path / "go").touch()
        terminal.until(f"event {COUNT - 1}")
        terminal.until("rabbit")
        terminal.press("q")
        terminal.until("the recording ends")
        terminal.press("\r")
        assert terminal.wait() == 0
    seen = run("workbench", "browse", str(recording), "--json")
    assert [record["body"]["text"] for record in seen.records] == ["the first", *(f"event {n}" for n in range(COUNT))]
    assert "gap" not in seen.err


def test_the_body_of_a_draft_is_edited_and_the_screen_is_drawn_again(
    environment: dict[str, str], tmp_path: Path
) -> None:
    with Terminal("demo", environment=environment) as terminal:
        terminal.until("payments")
        terminal.press("p")
        terminal.until("leave the field")
        terminal.press("\x1b")
        # Only the pause behind it tells an escape from the beginning of another key.
        terminal.drain(quiet=0.5)
        opened(terminal, tmp_path, "e")
        (tmp_path / "go").touch()
        terminal.until("changed")
        terminal.until("Receipts")
        terminal.press("q")
        terminal.drain()


def test_what_is_typed_behind_the_pagers_key_waits_until_it_is_closed(
    environment: dict[str, str], tmp_path: Path
) -> None:
    with Terminal("demo", "kafka/orders-events", environment=environment) as terminal:
        terminal.until("JSON")
        terminal.press("vq")
        terminal.until("this is the editor")
        until((tmp_path / "open").exists)
        # Longer than a key waits for anything else: `q` would have ended the editor with the program.
        with pytest.raises(subprocess.TimeoutExpired):
            terminal.process.wait(3 * PATIENCE)
        (tmp_path / "go").touch()
        assert terminal.wait() == 0
        assert not (tmp_path / "go").exists()


def test_an_interrupt_ends_the_pager_and_not_the_program(environment: dict[str, str], tmp_path: Path) -> None:
    with Terminal("demo", "kafka/orders-events", environment=environment) as terminal:
        terminal.until("JSON")
        opened(terminal, tmp_path, "v")
        terminal.press("\x03")
        terminal.until("orders-events")
        terminal.press("q")
        assert terminal.wait() == 0


def test_a_pager_that_cannot_be_started_is_said_on_the_screen(tmp_path: Path) -> None:
    environment = {"HOME": str(tmp_path), "PAGER": "/nonexistent/pager"}
    with Terminal("demo", "kafka/orders-events", environment=environment) as terminal:
        terminal.until("JSON")
        terminal.press("v")
        terminal.until("$PAGER cannot be started")
        terminal.press("q")
        assert terminal.wait() == 0


def test_a_pager_ends_with_the_program(environment: dict[str, str], tmp_path: Path) -> None:
    with Terminal("demo", "kafka/orders-events", environment=environment) as terminal:
        terminal.until("JSON")
        opened(terminal, tmp_path, "v")
        editor = int((tmp_path / "open").read_text())
        terminal.process.terminate()
        terminal.wait()
    with pytest.raises(ProcessLookupError):
        os.kill(editor, 0)


def test_what_a_killed_program_had_open_is_swept_by_the_next(environment: dict[str, str], tmp_path: Path) -> None:
    environment = {**environment, "XDG_STATE_HOME": str(tmp_path / "state")}

    def bodies() -> list[Path]:
        files = (tmp_path / "state" / "event-workbench" / "sessions").glob("session-*")
        return [path for path in files if path.suffix in (".json", ".txt", ".xml")]

    with Terminal("demo", "kafka/payments-dlt", environment=environment) as terminal:
        terminal.until("JSON")
        opened(terminal, tmp_path, "v")
        assert [path.stat().st_mode & 0o777 for path in bodies()] == [0o600]
    assert bodies()
    with Terminal("demo", environment=environment) as terminal:
        terminal.until("payments")
        assert not bodies()
        terminal.press("\x11")
        assert terminal.wait() == 0
