"""Moving messages in a real terminal: each task in no more keys than it should take."""

import asyncio
import json
import os
import pty
import re
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.brokers.rabbitmq import RabbitMQAddress
from tests.e2e.command import INSTALLED
from tests.e2e.fuzz import private
from tests.e2e.terminal import Terminal
from tests.e2e.test_tasks import DEADLINE, ENTER, Step, do
from tests.rabbitmq.conftest import Rabbit, new_vhost
from tests.rabbitmq.moving import held
from workbench.model.address import Address
from workbench.operations.journal.records import read_entries, records


@pytest.fixture
def environment(tmp_path: Path) -> Mapping[str, str]:
    return private(tmp_path)


@pytest.fixture
def rabbit(rabbitmq_4: RabbitMQAddress) -> Iterator[Rabbit]:
    made = new_vhost(rabbitmq_4)
    yield made
    made.remove()


def letters(rabbit: Rabbit, *bodies: bytes) -> tuple[Address, Address]:
    """A queue, and another that holds its dead letters."""
    dead = rabbit.queue()
    origin = rabbit.queue(x_dead_letter_exchange="", x_dead_letter_routing_key=dead.name)
    rabbit.publish(origin, *bodies)
    channel = rabbit.amqp.channel()
    for _ in bodies:
        method, _, _ = channel.basic_get(origin.name)
        channel.basic_reject(method.delivery_tag, requeue=False)
    channel.close()
    until_ready(rabbit, dead, len(bodies))
    return dead, origin


def until_ready(rabbit: Rabbit, queue: Address, count: int) -> None:
    """Return when a queue has so many messages at least."""
    end = time.monotonic() + DEADLINE
    while rabbit.ready(queue) < count:
        assert time.monotonic() < end
        time.sleep(0.05)


READ: list[Step] = [
    ("3", "", "rabbit/payments.dead"),
    ("b", "", "will be browsed once"),
    (ENTER, "", "reason = 'Character , is neither"),
]
"""Leads to the largest group of the demo's dead letters: payments of which a deployment mends the cause."""


def canary(seconds: str) -> list[Step]:
    """Ask for a move that stops when what it moved comes back within so many seconds."""
    return [("m", "", "watch, seconds"), *[("\t", "", "")] * 4, (" ", "", "[X]"), ("\t", seconds, "")]


def test_the_fix_is_deployed_and_what_failed_before_goes_back_and_stays(environment: Mapping[str, str]) -> None:
    with Terminal("demo", environment=environment) as terminal:
        terminal.until("payments")
        do(terminal, READ, 3)
        do(terminal, [(":", "deploy", "deploy"), (ENTER, "", "payments 1.1 is deployed")], 2)
        do(terminal, [*canary("1"), (ENTER, "", "will be browsed once"), (ENTER, "", "not run")], 9)
        do(terminal, [("r", "", " moved, 0 failed, 0 returned")], 1)
        terminal.press("\x11")
        assert terminal.wait() == 0


def test_without_the_fix_the_canary_stops_at_the_first_that_comes_back(environment: Mapping[str, str]) -> None:
    with Terminal("demo", environment=environment) as terminal:
        terminal.until("payments")
        do(terminal, READ, 3)
        do(terminal, [*canary("60"), (ENTER, "", "will be browsed once"), (ENTER, "", "not run")], 9)
        do(terminal, [("r", "", "1 moved, 0 failed, 1 returned")], 1)
        terminal.press("\x11")
        assert terminal.wait() == 0


def test_a_move_whose_program_was_killed_is_resumed_and_undone(
    rabbit: Rabbit, environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", environment["XDG_STATE_HOME"])
    bodies = [b"%d" % number for number in range(9)]
    dead, origin = letters(rabbit, *bodies)
    started = ("-c", f"r={rabbit.url}?management={rabbit.broker.management_url}", "--guard", "move")
    with Terminal(*started, environment=environment) as terminal:
        terminal.until("classic queues")
        do(terminal, [("3", "", "not read"), ("m", "", "per second")], 2)
        do(terminal, [("\t", "", ""), ("\t", "", ""), ("\t", "2", "2")], 3)
        do(terminal, [(ENTER, "", "browsed once"), (ENTER, "", "not run"), ("r", "", "")], 3)
        until_ready(rabbit, origin, 1)
        terminal.process.kill()
        terminal.process.wait()
    with Terminal(*started, environment=environment) as terminal:
        terminal.until("resume it")
        do(terminal, [(ENTER, "", " moved, 0 failed")], 1)
        # What it was killed over may be there twice, and then it says so.
        [record] = records()[0]
        twice = [entry.message.event.body for entry in read_entries(record.path) if entry.twice]
        assert (f"{len(twice)} maybe there twice" in record.remark) == bool(twice)
        copies = Counter(asyncio.run(held(rabbit, origin)))
        assert Counter(bodies) <= copies <= Counter(bodies) + Counter(twice)
        assert rabbit.ready(dead) == 0
        until_ready(rabbit, origin, copies.total())
        do(terminal, [("4", "", "undo"), ("u", "", "take back 9"), ("r", "", "9 taken back, 0 failed")], 3)
        assert sorted(asyncio.run(held(rabbit, dead))) == bodies
        assert rabbit.ready(origin) == 0
        terminal.press("\x11")
        assert terminal.wait() == 0


def test_a_move_whose_terminal_is_gone_comes_to_its_end(rabbit: Rabbit, environment: Mapping[str, str]) -> None:
    dead, origin = letters(rabbit, *(b"%d" % number for number in range(9)))
    ours, theirs = pty.openpty()
    url = f"r={rabbit.url}?management={rabbit.broker.management_url}"
    move = [
        str(INSTALLED),
        "move",
        f"r/{dead.name}",
        "--yes",
        "--rate",
        "3",
        "-c",
        url,
        "--guard",
        "move",
        "-o",
        "json",
    ]
    # It is not its controlling terminal: no signal ends it.
    with subprocess.Popen(
        move, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=theirs, env={**os.environ, **environment}
    ) as process:
        os.close(theirs)
        said = b""
        while not re.search(rb"[1-9] of 9", said):
            said += os.read(ours, 1 << 16)
        os.close(ours)
        out, _ = process.communicate(timeout=DEADLINE)
    assert process.returncode == 0
    assert json.loads(out.splitlines()[-1])["moved"] == 9
    assert rabbit.ready(origin) == 9


def test_the_body_of_one_is_edited_in_the_users_editor_on_its_way(
    rabbit: Rabbit, environment: Mapping[str, str], tmp_path: Path
) -> None:
    dead, origin = letters(rabbit, b'{"total": "1,50"}')
    script = tmp_path / "editor"
    script.write_text('#!/bin/sh\nsed -i s/1,50/1.50/ "$1"\n')
    script.chmod(0o755)
    started = ("-c", f"r={rabbit.url}?management={rabbit.broker.management_url}", "--guard", "move", f"r/{dead.name}")
    with Terminal(*started, environment={**environment, "EDITOR": str(script)}) as terminal:
        terminal.until("browses what is there")
        do(terminal, [("b", "", "1 read"), ("m", "", "1 selected"), (ENTER, "", "not run")], 3)
        do(terminal, [("e", "", "body in $EDITOR"), ("\x05", "", "edited by hand"), (ENTER, "", "1.50")], 3)
        do(terminal, [("r", "", "1 moved, 0 failed")], 1)
        assert rabbit.drain(origin, 1) == [b'{"total": "1.50"}']
        terminal.press("\x11")
        assert terminal.wait() == 0
