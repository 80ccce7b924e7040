"""Random keys, pastes, clicks and resizes at the screen, in a pseudo-terminal: it neither ends nor hangs.

`make soak` sends 200,000 of them. `python -m tests.e2e.fuzz --seed 7 --inputs 1000 demo` repeats a run.
"""

import argparse
import heapq
import os
import random
import sys
import tempfile
import time
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final

from tests.e2e import turns
from tests.e2e.terminal import SEQUENCE, Terminal
from tests.e2e.turns import Turn, read_turns
from views.actions import ACTIONS, key_name

_NAMED: Final = {"enter": "\r", "escape": "\x1b", "tab": "\t", "space": " ", "delete": "\x1b[3~"}
_LEAVING: Final = "quit"


def _sent_for(key: str) -> str:
    """What a terminal sends for a key of Textual's name."""
    if key.startswith("ctrl+"):
        return chr(ord(key[-1]) & 0x1F)
    return _NAMED.get(key) or key_name(key)


KEYS: Final = (
    *sorted({_sent_for(key) for each in ACTIONS if each.id != _LEAVING for key in each.keys.split(",")}),
    *"jkgG\t\r\x1b 0789hLQU-_.,;#",
    *("\x1b[Z", "\x1b[A", "\x1b[B", "\x1b[C", "\x1b[D", "\x1b[1;2A", "\x1b[1;2B", "\x1b[5~", "\x1b[6~", "\x1b[H"),
    *("\x1b[F", "\x1b[3~", "\x7f", "\x01", "\x0b", "\x17"),
)
"""What actions have, what fields have, what nothing has; without those that leave the program or stop it (ctrl+z)."""
WORDS: Final = (
    *(f":{each.id}\r" for each in ACTIONS if each.id != _LEAVING),
    # Events: opening, filtering, searching, groups, marks, columns, what it writes.
    *("\r\rjj=", "jj!+", "jj\r", "r2", "G\r", "llb", "3\r", "/dlt", "/\x1b/\x1b", "/g\r\r", "gjj\r", "\x06e\rnN"),
    *("*I", "VjjjV", "*m", "*x\r\r", "SS\x1b[CS", "\x1b[C>>><", "C \r", "C\x1b[Bx\r", "W\r", "Tord-7\r", "zz", "oZ"),
    *(
        "body.total > 1",
        "/type = \r",
        "/body.items[0].sku ~ \x22A.\x22\r",
        "/\x01\x0b\r",
        "kafka/payments\r",
        "rabbit/orders.dead",
    ),
    # Trace: the list of flows, reading more of them, following one and coming back.
    *("2+\r", "L\r\x1b", "Lf", "L+\x1b", "2b\r", "LGkk\r", "Li\x1b", "L+\r\x1b"),
    # Publish: the form, its fields, its drafts, sending.
    *(
        "p\x1b1",
        "p\x13",
        "c\x13\x13",
        "e{\x22a\x22: 1}\x13",
        "6n",
        "6\x0ename\tvalue\r",
        "6\x0etype\t\r\x13",
        "6\x1b\x1b",
    ),
    *(
        "6w\r",
        "6wjj\r",
        "6wx\x1b",
        "6o\r",
        "6l/etc/hostname\r",
        "6t{{ seq }}\x13",
        "6\x14{{ uuid(\x13",
        "6\x13\x18\x18",
        "6v6N",
    ),
    # Moving and deleting, the plan, edits, the name of a production connection; the journal.
    *("m\r", "m\rr", "m\r\rr", "mj\r\r", "mjj\rr", "m\t\t\t\t \t1\r\rr", "m\trabbit/orders\r\rr", "m\t\t0\r\x1b"),
    *("me", "m\re", "m\re{\x22a\x22: 1}\r", "m\re\x05", "e\x05\r", "m\re\t\tlost\r\x1b", "m\r\rs\r", "m\rs/etc/x/y\r"),
    *("\x1b[3~\r", "\x1b[3~\rr", "rabbit\r", "kafka\r", "3m\r\rr", "3jm\r\rr", "3Gm\r\rr", "3b\rm\rr", "3x\r\rr"),
    *("4u", "4ur", "4r\r", "4x\r", "4\r\x1b", "4jur", "4\t\x1b", "\x18", "2m\rr", "*m\rr"),
    # Connections: adding, editing, removing; and what lies over the others.
    *(
        "5a",
        "5e",
        "5x\r",
        "5\r\x1b",
        "amx://\t\r",
        "5ademo://shop/rabbit\t\r",
        "5aamqp://127.0.0.1:1\t\r",
        "tt1",
        "5e\t\x15new\r",
    ),
    *(
        ":deploy",
        ":deploy\r",
        ":rab\r",
        ":\x1b",
        ":" + "o" * 40,
        "??\x1b",
        "M\x1b",
        "MG\x1b",
        "R\r",
        "R\x15other.db\r",
        "DD",
    ),
    *("ü😀", "e\u0301\u200d", "k" * 200, "j" * 50, "\t" * 9, "\x1b" * 5, "\r" * 4),
    *("\x1b[200~pasted 7f3a-1\n2\x1b[201~", "\x1b[200~" + "long " * 500 + "\x1b[201~"),
)
"""What is sent as one input."""
BURSTS: Final = (1, 1, 2, 5, 15, 30)
"""Inputs that are sent at once."""
PRODUCTION: Final = 'default = ["rabbit", "kafka"]\n' + "".join(
    f'[connections.{face}]\nurl = "demo://shop/{face}"\nguard = "destroy"\nproduction = true\n'
    for face in ("rabbit", "kafka")
)
"""A configuration of the demo's brokers that asks for their names, and allows to delete."""
CALM: Final = "\x1b[27u" * 8 + "1"
"""Leads to the main screen from anywhere; escape is written so that nothing behind it can be taken for a part of it."""
COLUMNS: Final = (1, 20, 80, 99, 100, 120, 180, 220)
ROWS: Final = (1, 2, 6, 24, 36, 60)
ROUND: Final = 200
"""Inputs after which the program is asked for an answer."""
HANG: Final = 1.0
"""Seconds of the program's own from which it hangs where it answers no key."""
_LAST: Final = 60
"""Inputs that are told where one of them was too much."""
_WORST: Final = 5
"""Turns of the event loop that are told."""


class Fuzz:
    """One program after the other, each with the state folder of the first."""

    def __init__(
        self, folder: Path, seed: int, *arguments: str, pace: float = 0.0, patience: float = 240.0, config: str = ""
    ) -> None:
        """Start.

        Args:
            folder: For all that the program writes.
            seed: Of what is sent: a run can be repeated, as far as time lets it.
            arguments: Of `workbench`.
            pace: Seconds between two inputs; 0: bursts, with a moment between them.
            patience: Seconds of the clock after which no answer will come any more.
            config: What its configuration file says.
        """
        self.sent = self.ended = 0
        """Inputs so far, and how often one of them was to leave the program."""
        self.worst: Sequence[Turn] = ()
        """The turns of the event loop that took longest, the longest first."""
        self._folder = folder
        self._log = folder / "turns"
        self._random: Final = random.Random(seed)
        self._arguments = arguments
        self._pace = pace
        self._patience = patience
        self._last: deque[str | tuple[int, int]] = deque(maxlen=_LAST)
        if config:
            file = folder / "config" / "event-workbench" / "workbench.toml"
            file.parent.mkdir(parents=True)
            file.write_text(config)
        self._terminal = self._started()

    def send(self, inputs: int) -> None:
        """Send inputs, and ask for an answer each `ROUND` of them.

        Raises:
            AssertionError: The program ended as it should not, did not answer, hung, or logged what nobody expected.
        """
        end = self.sent + inputs
        while self.sent < end:
            until = min(end, self.sent - self.sent % ROUND + ROUND)
            while self.sent < until:
                self._burst(1 if self._pace else min(self._random.choice(BURSTS), until - self.sent))
            self._ask()

    def close(self) -> None:
        """Leave, as a user does."""
        with self._terminal:
            # It may ask, for something may be live or recorded.
            self._terminal.press(f"{CALM}qy")
            self._left(anew=False)

    def _burst(self, inputs: int) -> None:
        try:
            for _ in range(inputs):
                self._input()
        except OSError:
            # The other end of the terminal is closed: the program leaves.
            self._left()
        if self._pace:
            time.sleep(self._pace)
        self._terminal.drain(self._random.choice((0, 0.005, 0.03)), 0.3)
        self._terminal.forget()
        if self._terminal.process.poll() is not None:
            self._left()

    def _input(self) -> None:
        kind = self._random.random()
        self.sent += 1
        if kind < 0.97:
            text = self._text(kind)
            self._last.append(text)
            self._terminal.press(text)
        else:
            size = self._random.choice(COLUMNS), self._random.choice(ROWS)
            self._last.append(size)
            self._terminal.resize(*size)

    def _text(self, kind: float) -> str:
        if kind < 0.88:
            return str(self._random.choice(KEYS if kind < 0.78 else WORDS))
        place = f"{self._random.randint(1, 120)};{self._random.randint(1, 36)}"
        if kind < 0.94:
            return f"\x1b[<0;{place}M\x1b[<0;{place}m"
        button = self._random.choice((0, 2, 32, 35, 64, 65))
        return f"\x1b[<{button};{place}{self._random.choice('Mm')}"

    def _ask(self) -> None:
        """Let it do all that it was sent, and see that it answers a key on its main screen and has not hung."""
        self._terminal.resize(120, 36)
        asked = time.monotonic()
        self._terminal.press(f"{CALM}?")
        while b"Keys of Events" not in self._terminal.received:
            if self._terminal.process.poll() is not None:
                self._left()
                return
            assert time.monotonic() < asked + self._patience, f"no answer {self._told}"
            self._terminal.drain(0.02, 0.2)
        self._terminal.press(CALM)
        self._see_that_all_is_well()

    def _left(self, anew: bool = True) -> None:
        """The program has ended: of its own accord, or because the palette was told to."""
        code = self._terminal.wait()
        assert code == 0, f"exit code {code} {self._told}"
        assert b"Traceback" not in self._terminal.received, self._told
        self._see_that_all_is_well()
        if anew:
            self.ended += 1
            self._terminal.__exit__()
            self._terminal = self._started()

    def _see_that_all_is_well(self) -> None:
        for log in self._folder.rglob("errors.log"):
            raise AssertionError(f"unexpected {self._told}\n{log.read_text()}")
        self.worst = heapq.nlargest(_WORST, read_turns(self._log), key=lambda turn: turn.seconds)
        assert not self.worst or self.worst[0].seconds < HANG, f"a hang {self._told}\n{self.worst[0]}"

    @property
    def _told(self) -> str:
        drawn = SEQUENCE.sub(b" ", self._terminal.received[-10_000:]).decode(errors="replace")
        return f"after {self.sent} inputs; the last are {list(self._last)}; on the screen: {' '.join(drawn.split())}"

    def _started(self) -> Terminal:
        terminal = Terminal(
            turns.__file__,
            str(self._log),
            *self._arguments,
            program=Path(sys.executable),
            folder=self._folder,
            environment=private(self._folder),
        )
        terminal.until("workbench")
        return terminal


def private(folder: Path) -> Mapping[str, str]:
    """Variables with which a program writes into a folder alone, and opens an editor that is closed at once."""
    folders = {f"XDG_{kind}_HOME": str(folder / kind.lower()) for kind in ("STATE", "CONFIG", "DATA", "CACHE")}
    return {**folders, "HOME": str(folder), "EDITOR": "true", "PAGER": "true"}


def soak(seed: int, inputs: int, arguments: Sequence[str], pace: float, config: str = "") -> None:
    """Send inputs to one program after the other, and print how far it is."""
    with tempfile.TemporaryDirectory(prefix="workbench-fuzz-") as folder:
        fuzz = Fuzz(Path(folder), seed, *arguments, pace=pace, patience=900.0, config=config)
        began = time.monotonic()
        while fuzz.sent < inputs:
            fuzz.send(min(10 * ROUND, inputs - fuzz.sent))
            rate = fuzz.sent / (time.monotonic() - began)
            longest = f"longest turn {fuzz.worst[0].seconds:.2f} s" if fuzz.worst else "no long turn"
            print(f"seed {seed}: {fuzz.sent:,} inputs, {rate:,.0f}/s; {longest}; left {fuzz.ended} times", flush=True)
        fuzz.close()
        print(f"seed {seed}: the longest turns of the event loop", *fuzz.worst, sep="\n", flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Fuzz from a command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(3)))
    parser.add_argument("--pace", type=float, default=0.0, help="seconds between two inputs")
    parser.add_argument("--jobs", type=int, default=1, help="programs at a time, each with a part of the inputs")
    parser.add_argument("--production", action="store_true", help="the demo's brokers, as if they were production")
    parser.add_argument("arguments", nargs="*", help="of workbench; none: the demo")
    given = parser.parse_args(arguments)
    run = partial(
        soak,
        inputs=-(-given.inputs // given.jobs),
        arguments=given.arguments or ([] if given.production else ["demo"]),
        pace=given.pace,
        config=PRODUCTION if given.production else "",
    )
    with ProcessPoolExecutor(given.jobs) as jobs:
        list(jobs.map(run, range(given.seed, given.seed + given.jobs)))


if __name__ == "__main__":
    main()
