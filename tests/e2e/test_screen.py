"""The screen in a real terminal: how it is opened and left, and that strangers' bytes are never obeyed."""

import os
import re
import signal
import unicodedata
from pathlib import Path

import pytest

from tests import hostile
from tests.e2e.command import run
from tests.e2e.fuzz import private
from tests.e2e.terminal import SEQUENCE, Terminal
from workbench.model.address import Address
from workbench.model.event import Delivery, Event
from workbench.model.look import Look
from workbench.store.store import open_store

OBEYED = ("Cc", "Cf", "Cs", "Zl", "Zp")
DRAWING = re.compile(rb"\x1b\[[0-9;]*[mH]")
"""What colours text and what says where it goes: written at every change."""


async def recording(path: Path, deliveries: list[Delivery]) -> Path:
    async with open_store(path.parent) as store:
        for address in dict.fromkeys(delivery.address for delivery in deliveries):
            look = store.look(Look(address, "tail", 0))
            await store.append(look, [each for each in deliveries if each.address == address])
        await store.record(path)
    return path


def walk(file: Path, events: int) -> bytes:
    """What a terminal is sent while each event of a recording is looked at, a fourth in each part of the inspector."""
    with Terminal(str(file), columns=140, rows=50) as terminal:
        terminal.until("read-only")
        terminal.until("Body")
        terminal.press("\t")
        terminal.press("g")
        terminal.drain()
        for part in range(4):
            for _ in range(events // 4 + 1):
                terminal.press("j")
                terminal.drain(0.02)
            if part < 3:
                # Into the inspector, to its next part, and back to the table.
                for key in ("\r", "\x1b[C", "\x1b"):
                    terminal.press(key)
                    terminal.drain(0.2)
        terminal.press("\t\t\x1b[B\x1b[B")
        terminal.drain(0.3)
        terminal.press("q")
        assert terminal.wait() == 0
        return bytes(terminal.received)


async def test_no_hostile_event_makes_the_terminal_do_anything(tmp_path: Path) -> None:
    plain = [Delivery(Event(b"key", b'{"a":1}'), Address("kafka", f"t{number}"), 0) for number in range(5)]
    corpus = [delivery for _, delivery in hostile.deliveries(huge=False)]
    assert len(corpus) >= 100
    usual = walk(await recording(tmp_path / "plain.db", plain), 5)
    received = walk(await recording(tmp_path / "hostile.db", corpus), len(corpus))
    known = {sequence for sequence in SEQUENCE.findall(usual) if not DRAWING.fullmatch(sequence)}
    foreign = {sequence for sequence in SEQUENCE.findall(received) if not DRAWING.fullmatch(sequence)} - known
    assert foreign == set()
    text = SEQUENCE.sub(b"", received).replace(b"\r\n", b"").decode()
    assert {character for character in text if unicodedata.category(character) in OBEYED} == set()


@pytest.mark.parametrize("arguments", [(), ("demo",), ("shop/payments",)])
def test_the_screen_needs_a_terminal(arguments: tuple[str, ...]) -> None:
    done = run("workbench", *arguments)
    assert done.code == 1
    assert done.err == "workbench: The screen needs a terminal; `workbench --help` lists the commands for scripts.\n"


def test_without_connections_the_demo_opens_and_q_leaves_it(tmp_path: Path) -> None:
    for key in ("q", "\x03", "\x11"):
        with Terminal(environment={"HOME": str(tmp_path)}) as terminal:
            terminal.until("DEMO")
            terminal.until("payments")
            terminal.press(key)
            assert terminal.wait() == 0


def test_the_first_picture_has_what_is_listed_at_once(tmp_path: Path) -> None:
    with Terminal("demo", environment=private(tmp_path)) as terminal:
        terminal.until("payments")
        assert b"onnecting" not in terminal.received


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_stops_the_screen_as_it_stops_a_command(tmp_path: Path, number: signal.Signals) -> None:
    with Terminal("demo", folder=tmp_path, environment=private(tmp_path)) as terminal:
        terminal.until("payments")
        terminal.process.send_signal(number)
        assert terminal.wait() == 130
        # The main screen of the terminal, its cursor, and echo as before.
        assert terminal.received.rindex(b"\x1b[?1049l") > terminal.received.rindex(b"payments")
        assert b"Traceback" not in terminal.received
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGTSTP])
def test_a_program_that_stood_still_takes_every_key_and_leaves_the_terminal_as_it_was(
    tmp_path: Path, number: signal.Signals
) -> None:
    with Terminal("demo", environment=private(tmp_path)) as terminal:
        before = terminal.settings
        terminal.until("payments")
        assert terminal.settings != before
        for _ in range(3):
            terminal.drain()
            terminal.process.send_signal(number)
            os.waitid(os.P_PID, terminal.process.pid, os.WSTOPPED)
            terminal.drain()
            terminal.forget()
            terminal.process.send_signal(signal.SIGCONT)
            terminal.until(" help")
        # Two readers would take them from one another, and one of them would wait for ever for the next.
        for key, drawn in [("5", "answers in"), ("4", "Each move"), ("3", "count")] * 3:
            terminal.press(key)
            terminal.until(drawn)
        terminal.press("\x11")
        assert terminal.wait() == 0
        assert terminal.settings == before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, None])
def test_a_terminal_that_is_gone_ends_the_screen(tmp_path: Path, number: signal.Signals | None) -> None:
    with Terminal("demo", folder=tmp_path, environment=private(tmp_path)) as terminal:
        terminal.until("payments")
        terminal.press("jjjj2?1")
        if number is not None:
            terminal.process.send_signal(number)
        terminal.hang_up()
        assert terminal.process.wait(120) in (1, 130)


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (("missing.db",), 1, "missing.db"),
        (("a.db", "b/c"), 2, "Open one recording at a time, without addresses."),
        (("a.db", "--record", "b.db"), 2, "there is nothing to record"),
        (("nowhere/payments",), 2, "There is no connection 'nowhere'"),
    ],
)
def test_what_cannot_be_opened_is_said_in_one_sentence(arguments: tuple[str, ...], code: int, sentence: str) -> None:
    with Terminal(*arguments) as terminal:
        assert terminal.wait() == code
        text = bytes(terminal.received).decode()
        assert sentence in text
        assert "Traceback" not in text


def test_why_an_event_failed_takes_one_key_and_all_that_failed_so_another() -> None:
    with Terminal("demo", "kafka/payments-dlt") as terminal:
        terminal.until("JSON")
        terminal.press("\r")
        terminal.until("Why it failed")
        terminal.press("=")
        terminal.until("reason = ")
        # The stack trace is two lines below.
        terminal.press("jj\r")
        terminal.until("stack trace ")
        terminal.until(".java:")
        terminal.press("q")
        assert terminal.wait() == 0


def test_a_body_is_opened_in_the_users_pager(tmp_path: Path) -> None:
    script = tmp_path / "pager"
    script.write_text(f'#!/bin/sh\ncp "$1" "{tmp_path}/seen"\necho "this is $0"\n')
    script.chmod(0o755)
    environment = {"HOME": str(tmp_path), "PAGER": str(script)}
    with Terminal("demo", "kafka/orders-events", environment=environment) as terminal:
        terminal.until("JSON")
        terminal.press("v")
        terminal.until(f"this is {script}")
        terminal.until("orders-events")
        assert b"orderId" in (tmp_path / "seen").read_bytes()
        terminal.press("q")
        assert terminal.wait() == 0


def test_what_the_screen_sees_is_recorded_and_opened_again(tmp_path: Path) -> None:
    file = tmp_path / "seen.db"
    with Terminal("demo", "kafka/orders-events", "--record", str(file)) as terminal:
        terminal.until("recording")
        terminal.until("JSON")
        terminal.press("q")
        terminal.until("the recording ends")
        terminal.press("\r")
        assert terminal.wait() == 0
    with Terminal(str(file)) as terminal:
        terminal.until("read-only")
        terminal.until("JSON")
        terminal.press("q")
        assert terminal.wait() == 0
    assert len(run("workbench", "browse", str(file)).records) > 100
