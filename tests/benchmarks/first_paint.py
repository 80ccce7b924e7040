"""From the command to its first useful picture: `python -m tests.benchmarks.first_paint`.

`workbench demo` and `workbench -c kafka://…`, each until an endpoint stands on the terminal; against the mere import of
Textual, below which no program made with it can be, and against kaskade, which does what the second does. In turns, in
one run, through a pseudo-terminal of 160 by 50 cells.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from tests.benchmarks.peers import installed
from tests.brokers.kafka import Kafka, KafkaAddress
from tests.brokers.shared import running
from tests.e2e.terminal import Terminal

ROUNDS: Final = 15
LONGEST: Final = 30.0
"""Seconds without a byte after which a text does not come."""
KASKADE: Final = "5.1.0"


def main() -> None:
    """Print medians, and their ratios against the import."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    rounds: int = parser.parse_args().rounds
    # What is installed has been compiled.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    kaskade = installed("kaskade", KASKADE) / "kaskade"
    with ExitStack() as stack:
        kafka = running("kafka", KafkaAddress) or stack.enter_context(Kafka("benchmark"))
        # In sight, however many topics there are.
        topic = f"0-paint-{uuid.uuid4().hex[:6]}"
        subprocess.run(
            ["kcat", "-b", kafka.bootstrap, "-P", "-t", topic], input=b"one\n", check=True, stderr=subprocess.DEVNULL
        )
        measured: dict[str, Callable[[], float]] = {
            "import textual.app": imported,
            "workbench demo": lambda: painted("payments", "demo"),
            "workbench -c kafka://": lambda: painted(topic[:20], "-c", f"k={kafka.url}"),
            "kaskade admin": lambda: painted(topic[:20], "admin", "-b", kafka.bootstrap, program=kaskade),
        }
        took: dict[str, list[float]] = {name: [] for name in measured}
        for _ in range(rounds):
            for name, measure in measured.items():
                took[name].append(measure())
    base = statistics.median(took["import textual.app"])
    print(f"{rounds} rounds, medians (fastest to slowest); times the import")
    for name, seconds in took.items():
        median = statistics.median(seconds)
        print(f"  {name:24} {median:6.3f} s ({min(seconds):.3f} to {max(seconds):.3f})  {median / base:5.2f}")


def imported() -> float:
    """Seconds that the import of Textual takes, with the start of Python."""
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import textual.app"], check=True)
    return time.perf_counter() - begin


def painted(text: str, *arguments: str, program: Path | None = None) -> float:
    """Seconds until a text was drawn."""
    begin = time.perf_counter()
    with Terminal(*arguments, columns=160, rows=50, program=program) as terminal:
        while text.encode() not in terminal.received:
            # `until` would wait for what is drawn behind it, too.
            if not terminal.take(LONGEST):
                raise TimeoutError(f"{text!r} was not drawn; the last bytes are {bytes(terminal.received[-500:])!r}.")
        return time.perf_counter() - begin


if __name__ == "__main__":
    main()
