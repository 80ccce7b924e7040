"""Commands in forks of one process that has imported them all: a command takes as long as its work does.

`Forks` is the test's side. `python -m tests.e2e.forks SEED` is the process; `SEED`, as `package.module:function`, is
called in it first, so that each fork finds the embedded brokers as that has left them.
"""

import json
import os
import pty
import select
import signal
import subprocess
import sys
import termios
from collections.abc import Sequence
from importlib import import_module
from itertools import count
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, Self

Stream = Literal["stdout", "stderr"]

_AT_ONCE: Final = 8
_DEADLINE: Final = 60.0
_SIZE: Final = (30, 120)


class Sent(NamedTuple):
    """What a terminal was sent by a command.

    Attributes:
        arguments: The command's.
        stream: What the terminal was; the other goes nowhere.
        received: What it was sent.
        code: The exit code.
    """

    arguments: tuple[str, ...]
    stream: Stream
    received: bytes
    code: int


class _Running:
    def __init__(self, arguments: tuple[str, ...], stream: Stream) -> None:
        self.arguments = arguments
        self.stream: Stream = stream
        self.received = bytearray()
        self.ours, self.theirs = pty.openpty()
        termios.tcsetwinsize(self.theirs, _SIZE)


class Forks:
    """Runs `workbench` with one of its outputs on a terminal, again and again."""

    def __init__(self, seed: str, folder: Path) -> None:
        """Start the process in a folder, which is its home too."""
        homes = {f"XDG_{what}_HOME": str(folder / what.lower()) for what in ("CONFIG", "STATE", "DATA", "CACHE")}
        environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.e2e.forks", seed],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=folder,
            env={**environment, **homes, "HOME": str(folder), "PYTHONPATH": str(Path(__file__).parents[2])},
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._jobs, self._answers = self._process.stdin, self._process.stdout
        self._numbers = count()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._jobs.close()
        self._process.wait(_DEADLINE)
        self._answers.close()

    def run(self, commands: Sequence[tuple[tuple[str, ...], Stream]]) -> list[Sent]:
        """Run commands to their ends, some at a time; in the order in which they end."""
        left, running, sent = list(reversed(commands)), dict[int, _Running](), list[Sent]()
        while left or running:
            while left and len(running) < _AT_ONCE:
                number = next(self._numbers)
                running[number] = begun = _Running(*left.pop())
                job = {"number": number, "terminal": os.ttyname(begun.theirs), "stream": begun.stream}
                self._jobs.write(json.dumps({**job, "arguments": begun.arguments}).encode() + b"\n")
                self._jobs.flush()
            by_terminal = {each.ours: each for each in running.values()}
            ready, _, _ = select.select([*by_terminal, self._answers.fileno()], [], [], _DEADLINE)
            assert ready, [(each.arguments, bytes(each.received[-500:])) for each in running.values()]
            drawn = [each for each in ready if each in by_terminal]
            for terminal in drawn:
                by_terminal[terminal].received += os.read(terminal, 1 << 16)
            # What a command has drawn is taken before its end is.
            for answer in () if drawn else os.read(self._answers.fileno(), 1 << 16).splitlines():
                number, code = map(int, answer.split())
                ended = running.pop(number)
                os.close(ended.theirs)
                os.close(ended.ours)
                sent.append(Sent(ended.arguments, ended.stream, bytes(ended.received), code))
        return sent


def _serve(seed: str) -> None:
    from workbench.cli.main import COMMANDS
    from workbench.connecting.entry_points import entry_points

    for entry in COMMANDS.values():
        import_module(f"workbench.cli.{entry.module}")
    for entry_point in entry_points("event_workbench.connectors"):
        entry_point.load()
    # What commands import when they need it.
    for name in ("wcwidth", "re2", "cbor2", "workbench.facts.masking"):
        import_module(name)
    module, _, function = seed.partition(":")
    getattr(import_module(module), function)()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin.buffer:
        if os.fork() == 0:
            _watch(json.loads(line))
            os._exit(0)


def _watch(job: dict[str, Any]) -> None:
    """Run a command in a fork, and tell how it ends."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    answers = os.dup(1)
    if (child := os.fork()) == 0:
        os.close(answers)
        os._exit(_run(job))
    _, status = os.waitpid(child, 0)
    os.write(answers, f"{job['number']} {os.waitstatus_to_exitcode(status)}\n".encode())


def _run(job: dict[str, Any]) -> int:
    from workbench.cli import program

    terminal = os.open(job["terminal"], os.O_RDWR | os.O_NOCTTY)
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor, name in ((0, "stdin"), (1, "stdout"), (2, "stderr")):
        os.dup2(terminal if job["stream"] == name else nothing, descriptor)
    sys.argv[1:] = job["arguments"]
    return program.run()


if __name__ == "__main__":
    _serve(sys.argv[1])
