"""A program that is told to end does, whatever keeps it: a thread that waits, an event loop that is busy."""

import ctypes
import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.e2e.command import INSTALLED
from tests.e2e.terminal import Terminal
from tests.e2e.test_endings import folder as folder
from tests.e2e.test_endings import with_state

READY = "__import__('os').write(1, b'ready\\n')"
HANGS = {
    "an event loop that waits for something else": "__import__('time').sleep(1000)",
    "an event loop that computes": "any(iter(lambda: 0, 1))",
    "a thread of its own": "__import__('threading').Thread(target=__import__('time').sleep, args=[1000]).start()",
    "a thread of the event loop": (
        "__import__('asyncio').get_running_loop().run_in_executor(None, __import__('time').sleep, 1000)"
    ),
}


def stuck(folder: Path, hang: str) -> dict[str, str]:
    """The environment of a program that hangs as it lists a connection, once it has said that it is ready."""
    waits = "__import__('time').sleep(0) or {}[0]" if "Thread" not in hang and "executor" not in hang else "0"
    env = {**os.environ, "PYTHONPATH": str(folder), "ODD_PLACE": "endpoints"}
    return with_state(folder, {**env, "ODD_RAISES": f"({READY}, {hang}, {waits})"})


COMPUTES, WAITS = HANGS["an event loop that computes"], HANGS["a thread of the event loop"]


def assert_ends(folder: Path, hang: str, number: signal.Signals) -> None:
    process = subprocess.Popen(
        [INSTALLED, "ls", "-c", "odd=odd://localhost"], stdout=subprocess.PIPE, env=stuck(folder, hang)
    )
    with process:
        try:
            assert process.stdout is not None and process.stdout.readline() == b"ready\n"
            process.send_signal(number)
            # By the signal itself where all was done but for what cannot be waited for.
            assert process.wait(20) in (130, -number)
        finally:
            process.kill()


@pytest.mark.parametrize("hang", HANGS.values(), ids=HANGS.keys())
def test_a_signal_ends_a_command_whatever_keeps_it(folder: Path, hang: str) -> None:
    assert_ends(folder, hang, signal.SIGTERM)


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT])
def test_so_does_the_end_of_the_terminal_and_so_does_one_ctrl_c(folder: Path, number: signal.Signals) -> None:
    assert_ends(folder, WAITS, number)


def test_a_screen_that_hangs_gives_the_terminal_back_when_it_is_ended(folder: Path) -> None:
    with Terminal("-c", "odd=odd://localhost", environment=stuck(folder, COMPUTES)) as terminal:
        before = terminal.settings
        terminal.until("ready")
        assert terminal.settings != before
        # The last 0.2 s are its own: a machine that is busy with other tests may not give them to it.
        os.setpriority(os.PRIO_PROCESS, terminal.process.pid, -15)
        terminal.process.send_signal(signal.SIGTERM)
        assert terminal.wait() == 130
        assert terminal.settings == before
        assert terminal.received.rindex(b"\x1b[?1049l") > terminal.received.rindex(b"\x1b[?1049h")


def test_a_screen_that_is_left_waits_for_no_thread(folder: Path) -> None:
    with Terminal("-c", "odd=odd://localhost", environment=stuck(folder, WAITS)) as terminal:
        terminal.until("ready")
        terminal.press("\x03")
        assert terminal.wait() == 0


@pytest.mark.parametrize(
    ("arguments", "question"),
    [
        (["ls", "-c", "x=amqp://ops@127.0.0.1:1"], "Password of ops"),
        (["connections", "trust"], "Trust"),
    ],
    ids=["a password", "yes or no"],
)
def test_a_question_on_the_terminal_is_ended_too_and_gives_the_terminal_back(
    tmp_path: Path, arguments: list[str], question: str
) -> None:
    (tmp_path / "workbench.toml").write_text("masks = []\n")
    with Terminal(*arguments, folder=tmp_path, environment=with_state(tmp_path)) as terminal:
        before = terminal.settings
        terminal.until(question)
        terminal.process.send_signal(signal.SIGTERM)
        assert terminal.wait() == 130
        assert terminal.settings == before


@pytest.mark.parametrize(
    "arguments",
    [
        ["ls", "--config", "pipe"],
        ["publish", "-c", "x=amqp://127.0.0.1:1", "x/orders", "--template", "pipe"],
    ],
    ids=["a configuration", "a template"],
)
def test_a_command_that_waits_for_a_pipe_is_ended(tmp_path: Path, arguments: list[str]) -> None:
    os.mkfifo(tmp_path / "pipe")
    with Terminal(*arguments, folder=tmp_path, environment=with_state(tmp_path)) as terminal:
        # Opened for reading as soon as this one can be: it waits for what is never written.
        writer = os.open(tmp_path / "pipe", os.O_WRONLY)
        terminal.process.send_signal(signal.SIGTERM)
        assert terminal.wait() in (130, -signal.SIGTERM)
        os.close(writer)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_question_is_ended_by_a_signal_that_another_thread_receives(tmp_path: Path, number: signal.Signals) -> None:
    with Terminal(
        "ls", "-c", "x=amqp://ops@127.0.0.1:1", folder=tmp_path, environment=with_state(tmp_path)
    ) as terminal:
        before = terminal.settings
        terminal.until("Password of ops")
        pid = terminal.process.pid
        threads = [int(each.name) for each in Path(f"/proc/{pid}/task").iterdir()]
        other = next(each for each in threads if each != pid)
        assert ctypes.CDLL(None).tgkill(pid, other, number) == 0
        assert terminal.wait() == 130
        assert terminal.settings == before
