"""Messages edited on their way, through the command."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pika
import pytest

from tests.brokers.rabbitmq import RabbitMQAddress
from tests.e2e.command import Ran, managed, run
from tests.e2e.terminal import Terminal


class Queues:
    """A queue and its dead letters on a broker of its own virtual host."""

    def __init__(self, broker: RabbitMQAddress, channel: pika.adapters.blocking_connection.BlockingChannel) -> None:
        self.name = f"edited-{uuid4().hex[:8]}"
        self.dead = f"{self.name}.dlq"
        self._url = managed(broker)
        self._channel = channel
        channel.queue_declare(
            self.name, arguments={"x-dead-letter-exchange": "", "x-dead-letter-routing-key": self.dead}
        )
        channel.queue_declare(self.dead)

    def fail(self, body: bytes, **properties: object) -> None:
        """Have a message rejected."""
        self._channel.basic_publish("", self.name, body, pika.BasicProperties(**properties))
        method, _, _ = self._channel.basic_get(self.name)
        assert method is not None
        self._channel.basic_reject(method.delivery_tag, requeue=False)

    def command(self) -> tuple[str, ...]:
        return "move", "-c", f"r={self._url}", "--guard", "move", f"r/{self.dead}"

    def move(self, state: Path, *arguments: str, editor: str = "false") -> Ran:
        environment = {**os.environ, "XDG_STATE_HOME": str(state), "VISUAL": editor, "EDITOR": editor}
        return run("workbench", *self.command(), *arguments, env=environment)

    def taken(self) -> list[tuple[pika.BasicProperties, bytes]]:
        """What is in the queue again."""
        found = []
        while (got := self._channel.basic_get(self.name, auto_ack=True))[0] is not None:
            assert got[1] is not None and got[2] is not None
            found.append((got[1], got[2]))
        return found

    def left(self) -> int:
        count: int = self._channel.queue_declare(self.dead, passive=True).method.message_count
        return count


@pytest.fixture
def queues(rabbitmq_4: RabbitMQAddress) -> Iterator[Queues]:
    with pika.BlockingConnection(pika.URLParameters(f"{rabbitmq_4.url}?heartbeat=0")) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        made = Queues(rabbitmq_4, channel)
        yield made
        channel.queue_delete(made.name)
        channel.queue_delete(made.dead)


def test_many_are_edited_by_a_patch_and_keep_what_it_does_not_name(queues: Queues, tmp_path: Path) -> None:
    for number in range(3):
        queues.fail(b'{ "id": %d, "total": 1.50, "big": 12345678901234567890}' % number, headers={"tenant": "north"})
    done = queues.move(tmp_path, "--yes", "-o", "table", "--merge", '{"currency": "EUR"}', "-H", "tenant=south")
    assert done.code == 0, done.err
    assert "- header.tenant  north" in done.out and "+ header.tenant  south" in done.out
    assert '+ body.currency  "EUR"' in done.out
    found = queues.taken()
    assert [json.loads(body)["id"] for _, body in found] == [0, 1, 2]
    for properties, body in found:
        # As it was written, but for what was added.
        assert body.startswith(b'{ "id": ') and b'"total": 1.50, "big": 12345678901234567890' in body
        assert json.loads(body)["currency"] == "EUR"
        assert properties.headers is not None and properties.headers["tenant"] == "south"
    assert queues.left() == 0


def test_what_cannot_be_edited_stays_and_is_told(queues: Queues, tmp_path: Path) -> None:
    queues.fail(b'{"id": 1}')
    queues.fail(b"\xff\xfe no text")
    done = queues.move(tmp_path, "--yes", "-o", "table", "--merge", '{"id": 2}')
    assert done.code == 3, done.err
    assert "1 moved, 0 failed" in done.out and "1 cannot go and stay" in done.out
    assert "1 stayed: Its body was not edited" in done.err
    assert [body for _, body in queues.taken()] == [b'{"id": 2}']
    assert queues.left() == 1


@pytest.mark.parametrize("header", ["x-death", "workbench-move", "x-first-death-queue"])
def test_what_dead_lettering_wrote_is_locked(queues: Queues, tmp_path: Path, header: str) -> None:
    queues.fail(b"{}")
    done = queues.move(tmp_path, "--yes", "-H", f"{header}=mine")
    assert done.code == 1
    assert f"The header {header} cannot be edited" in done.err
    assert queues.left() == 1


def test_a_sensitive_header_is_named_before_it_is_edited(queues: Queues, tmp_path: Path) -> None:
    queues.fail(b"{}", headers={"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"})
    done = queues.move(tmp_path, "--dry-run", "-o", "table", "--without-header", "traceparent")
    assert done.code == 0
    assert "Edited: header traceparent, by which events are found, followed or read." in done.out


def test_one_is_edited_in_the_users_editor(queues: Queues, tmp_path: Path) -> None:
    for number in range(3):
        queues.fail(b'{"id": %d}' % number)
    done = queues.move(tmp_path, "--yes", "--edit", "-w", "body.id = 1", editor="sed -i s/1/41/")
    assert done.code == 0, done.err
    assert [body for _, body in queues.taken()] == [b'{"id": 41}']
    assert queues.left() == 2


def test_the_editor_inherits_no_password(queues: Queues, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_PASSWORD_SHOP", "s3cret")
    queues.fail(b'{"id": 1}')
    editor = tmp_path / "editor"
    editor.write_text(
        '#!/bin/sh\nprintf \'{"password": "%s", "path": "%s"}\' "$WORKBENCH_PASSWORD_SHOP" "$PATH" > "$1"\n'
    )
    editor.chmod(0o755)
    done = queues.move(tmp_path, "--yes", "--edit", editor=str(editor))
    assert done.code == 0, done.err
    [(_, body)] = queues.taken()
    assert json.loads(body) == {"password": "", "path": os.environ["PATH"]}


def test_ctrl_c_is_the_editors_own_while_it_is_open(queues: Queues, tmp_path: Path) -> None:
    queues.fail(b'{"id": 1}')
    editor = tmp_path / "editor"
    wait = f'while [ ! -e "{tmp_path}/go" ]; do sleep 0.05; done'
    editor.write_text(f'#!/bin/sh\ntrap "echo interrupted" INT\necho opened\n{wait}\nsed -i s/1/41/ "$1"\n')
    editor.chmod(0o755)
    environment = {"EDITOR": str(editor), "XDG_STATE_HOME": str(tmp_path)}
    with Terminal(*queues.command(), "--edit", "--yes", environment=environment) as terminal:
        terminal.until("opened")
        terminal.press("\x03")
        terminal.until("interrupted")
        (tmp_path / "go").touch()
        terminal.until("1 moved")
        assert terminal.wait() == 0
    assert [body for _, body in queues.taken()] == [b'{"id": 41}']


def test_an_editor_that_changes_nothing_moves_nothing(queues: Queues, tmp_path: Path) -> None:
    queues.fail(b'{"id": 1}')
    done = queues.move(tmp_path, "--yes", "--edit", editor="true")
    assert done.code == 2
    assert "nothing was changed" in done.err
    assert queues.left() == 1


def test_what_several_match_is_not_edited_by_hand(queues: Queues, tmp_path: Path) -> None:
    queues.fail(b"{}")
    queues.fail(b"{}")
    done = queues.move(tmp_path, "--yes", "--edit", editor="sed -i s/{/[/")
    assert done.code == 2
    assert "several match" in done.err
    assert queues.left() == 2


def test_what_an_edit_would_make_breaks_its_schema_and_stays(queues: Queues, tmp_path: Path) -> None:
    queues.fail(b'{"total": 5}', type="Placed")
    queues.fail(b'{"total": 5}', type="Other")
    (tmp_path / "placed.json").write_text('{"properties": {"total": {"type": "number"}}}')
    (tmp_path / "workbench.toml").write_text('[schemas]\nPlaced = "placed.json"\n')
    config = ("--config", str(tmp_path / "workbench.toml"))
    done = queues.move(tmp_path, *config, "--yes", "--merge", '{"total": "five"}')
    assert done.code == 3, done.err
    assert "body.total" in done.err
    assert [(properties.type, body) for properties, body in queues.taken()] == [("Other", b'{"total": "five"}')]
    assert queues.left() == 1


def test_the_journal_keeps_the_original(queues: Queues, tmp_path: Path) -> None:
    queues.fail(b'{"id": 1}')
    done = queues.move(tmp_path, "--yes", "--json", "--merge", '{"id": 2}')
    assert done.code == 0, done.err
    id = done.records[-1]["operation"]
    shown = run("workbench", "journal", "show", id, "--messages", env={**os.environ, "XDG_STATE_HOME": str(tmp_path)})
    assert [each["body"]["json"] for each in shown.records] == [{"id": 1}]
