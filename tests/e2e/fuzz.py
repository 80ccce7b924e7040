"""Random keys, pastes, clicks and resizes at the screen, in a pseudo-terminal: it neither ends nor hangs.

`make soak` sends 200,000 of them. `python -m tests.e2e.fuzz --seed 7 --inputs 1000 demo` repeats a run.
"""

import argparse
import os
import random
import tempfile
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from tests.e2e.terminal import SEQUENCE, Terminal

KEYS: Final = (
    *"bltpcm /fnNyYevxCoz rad123456jkgGDFR:?T<>+=!sw",
    *("\r", "\x1b", "\t", "\x1b[Z", "\x1b[A", "\x1b[B", "\x1b[C", "\x1b[D", "\x7f"),
    *("\x1b[5~", "\x1b[6~", "\x1b[H", "\x1b[F", "\x1b[3~"),
    *("\x04", "\x06", "\x0e", "\x10", "\x13", "\x14", "\x15"),
)
"""What actions have, what fields have, what nothing has; without `q`, ctrl+c and ctrl+z, which leave or stop it."""
WORDS: Final = (
    *(
        "/dlt",
        "\r\rjj=",
        "jj!+",
        "\x06e\rnN",
        ":deploy",
        ":deploy\r",
        ":trace\r",
        "r2",
        "6\x1b\x1b",
        "p\x1b1",
        "tt1",
        "5a",
        "5e",
        "5x\r",
        "amx://\t\r",
        "??\x1b",
        "/\x1b/\x1b",
    ),
    *("body.total > 1", "type = ", "ü😀", "k" * 200, "j" * 50, "\t" * 9, "\x1b" * 5, "\r" * 4),
    *(
        "rabbit/orders.dead",
        "kafka/payments\r",
        "\x1b[200~pasted 7f3a-1\n2\x1b[201~",
        "\x1b[200~" + "long " * 500 + "\x1b[201~",
    ),
)
"""What is sent in one burst."""
CALM: Final = "\x1b[27u" * 8 + "1"
"""Leads to the main screen from anywhere; escape is written so that nothing behind it can be taken for a part of it."""
COLUMNS: Final = (1, 20, 80, 99, 100, 120, 180, 220)
ROWS: Final = (1, 2, 6, 24, 36, 60)
ROUND: Final = 200
"""Inputs after which the program is asked for an answer."""
_LAST: Final = 20
"""Inputs that are told where one of them was too much."""


class Fuzz:
    """One program after the other, each with the state folder of the first."""

    def __init__(self, folder: Path, seed: int, *arguments: str, pace: float = 0.0, patience: float = 60.0) -> None:
        """Start.

        Args:
            folder: For all that the program writes.
            seed: Of what is sent: a run can be repeated, as far as time lets it.
            arguments: Of `workbench`.
            pace: Seconds between two inputs; 0: now and then a moment.
            patience: Seconds that an answer may take.
        """
        self.sent = self.ended = 0
        """Inputs so far, and how often one of them was to leave the program."""
        self.slowest = 0.0
        """Seconds that the slowest answer took."""
        self._folder = folder
        self._random: Final = random.Random(seed)
        self._arguments = arguments
        self._pace = pace
        self._patience = patience
        self._last: deque[str | tuple[int, int]] = deque(maxlen=_LAST)
        self._terminal = self._started()

    def send(self, inputs: int) -> None:
        """Send inputs, and ask for an answer each `ROUND` of them.

        Raises:
            AssertionError: The program ended as it should not, did not answer, or logged what nobody expected.
        """
        for number in range(inputs):
            self._input()
            if self._terminal.process.poll() is not None:
                self._left()
            if (number + 1) % ROUND == 0:
                self._ask()

    def close(self) -> None:
        """Leave, as a user does."""
        with self._terminal:
            self._terminal.press(f"{CALM}q")
            self._left(anew=False)

    def _input(self) -> None:
        kind = self._random.random()
        if kind < 0.97:
            text = self._text(kind)
            self._last.append(text)
            self._terminal.press(text)
        else:
            size = self._random.choice(COLUMNS), self._random.choice(ROWS)
            self._last.append(size)
            self._terminal.resize(*size)
        self.sent += 1
        if self._pace:
            time.sleep(self._pace)
        self._terminal.drain(0 if self._random.random() < 0.5 else self._random.choice((0.005, 0.03)), 0.1)
        self._terminal.forget()

    def _text(self, kind: float) -> str:
        if kind < 0.88:
            return str(self._random.choice(KEYS if kind < 0.78 else WORDS))
        place = f"{self._random.randint(1, 120)};{self._random.randint(1, 36)}"
        if kind < 0.94:
            return f"\x1b[<0;{place}M\x1b[<0;{place}m"
        button = self._random.choice((0, 2, 32, 35, 64, 65))
        return f"\x1b[<{button};{place}{self._random.choice('Mm')}"

    def _ask(self) -> None:
        """Let it do all that it was sent; then ask for an answer to a single key, and take the time."""
        self._terminal.resize(120, 36)
        if self._answered(f"{CALM}?") is None:
            self._left()
        elif (seconds := self._answered("\x1b[27u?")) is not None:
            self.slowest = max(self.slowest, seconds)
            self._terminal.press(CALM)
        self._unlogged()

    def _answered(self, keys: str) -> float | None:
        """Seconds until keys that ask for the keys of the main screen have shown them; None: they are not awaited."""
        self._terminal.drain(0.3, 1.0)
        self._terminal.forget()
        asked = time.monotonic()
        self._terminal.press(keys)
        while b"Keys of Events" not in self._terminal.received:
            if self._terminal.process.poll() is not None:
                return None
            assert time.monotonic() < asked + self._patience, f"no answer {self._told}"
            self._terminal.drain(0.02, 0.2)
        return time.monotonic() - asked

    def _left(self, anew: bool = True) -> None:
        """The program has ended: of its own accord, or because the palette was told to."""
        code = self._terminal.ended()
        assert code == 0, f"exit code {code} {self._told}"
        assert b"Traceback" not in self._terminal.received, self._told
        self._unlogged()
        if anew:
            self.ended += 1
            self._terminal.__exit__()
            self._terminal = self._started()

    def _unlogged(self) -> None:
        for log in self._folder.rglob("errors.log"):
            raise AssertionError(f"unexpected {self._told}\n{log.read_text()}")

    @property
    def _told(self) -> str:
        drawn = SEQUENCE.sub(b" ", self._terminal.received[-10_000:]).decode(errors="replace")
        return f"after {self.sent} inputs; the last are {list(self._last)}; on the screen: {' '.join(drawn.split())}"

    def _started(self) -> Terminal:
        terminal = Terminal(*self._arguments, folder=self._folder, environment=private(self._folder))
        terminal.until("workbench")
        return terminal


def private(folder: Path) -> Mapping[str, str]:
    """Variables with which a program writes into a folder alone, and opens an editor that is closed at once."""
    folders = {f"XDG_{kind}_HOME": str(folder / kind.lower()) for kind in ("STATE", "CONFIG", "DATA", "CACHE")}
    return {**folders, "HOME": str(folder), "EDITOR": "true", "PAGER": "true"}


def main(arguments: Sequence[str] | None = None) -> None:
    """Fuzz from a command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(3)))
    parser.add_argument("--pace", type=float, default=0.0, help="seconds between two inputs")
    parser.add_argument("--answer", type=float, default=60.0, help="seconds that an answer may take")
    parser.add_argument("arguments", nargs="*", default=["demo"], help="of workbench")
    given = parser.parse_args(arguments)
    print(f"seed {given.seed}")
    with tempfile.TemporaryDirectory(prefix="workbench-fuzz-") as folder:
        fuzz = Fuzz(Path(folder), given.seed, *given.arguments, pace=given.pace, patience=given.answer)
        began = time.monotonic()
        while fuzz.sent < given.inputs:
            fuzz.send(min(10 * ROUND, given.inputs - fuzz.sent))
            rate = fuzz.sent / (time.monotonic() - began)
            print(f"{fuzz.sent:,} inputs, {rate:,.0f}/s; slowest answer {fuzz.slowest:.2f} s; left {fuzz.ended} times")
        fuzz.close()


if __name__ == "__main__":
    main()
