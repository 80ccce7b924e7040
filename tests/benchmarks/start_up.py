"""What a command costs beside what it does: `python -m tests.benchmarks.start_up`.

`workbench --version` and `--help` against a bare start of Python, and `workbench publish` of one event against kcat's
whole process, which does the same. In turns, in one run; the goals are 6 times and 12 times. Printed are the least
seconds of the clock and of the processor, and the ratio of each: on a busy machine the processor's says more.
"""

import argparse
import os
import resource
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from tests.brokers.kafka import Kafka, KafkaAddress
from tests.brokers.shared import running

ROUNDS: Final = 30


def main() -> None:
    """Print both comparisons."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    rounds: int = parser.parse_args().rounds
    workbench = str(Path(sys.executable).with_name("workbench"))
    with ExitStack() as stack:
        kafka = running("kafka", KafkaAddress) or stack.enter_context(Kafka("benchmark"))
        folder = Path(stack.enter_context(TemporaryDirectory()))
        line = folder / "line"
        line.write_text("one\n")
        topic = f"start-up-{uuid.uuid4().hex[:8]}"
        kcat = ["kcat", "-q", "-P", "-b", kafka.bootstrap, "-t", topic, str(line)]
        # As installed: there the bytecode is kept.
        kept = {**os.environ, "PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(folder / "bytecode")}
        compare(
            "a bare start of Python",
            {
                "python -c pass": [sys.executable, "-c", "pass"],
                "workbench --version": [workbench, "--version"],
                "workbench --help": [workbench, "--help"],
            },
            rounds,
            kept,
        )
        compare(
            "kcat",
            {"kcat -P": kcat, "workbench publish": [workbench, "publish", "-c", f"k={kafka.url}", topic, "one"]},
            rounds,
            kept,
        )


def compare(base: str, commands: Mapping[str, Sequence[str]], rounds: int, environment: Mapping[str, str]) -> None:
    """Run commands in turns and print what they cost, against the first of them."""
    took: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for number in range(rounds + 1):
        for name, command in commands.items():
            cost = run(command, environment)
            # The first round writes the bytecode, and makes the topic.
            if number:
                took[name].append(cost)
    least = {name: tuple(map(min, zip(*costs, strict=True))) for name, costs in took.items()}
    seconds, processor = next(iter(least.values()))
    print(f"{rounds} rounds, the least of each; times {base}")
    for name, (its_seconds, its_processor) in least.items():
        print(
            f"  {name:22} {its_seconds * 1000:6.1f} ms {its_seconds / seconds:5.1f}"
            f"   processor {its_processor * 1000:6.1f} ms {its_processor / processor:5.1f}"
        )


def run(command: Sequence[str], environment: Mapping[str, str]) -> tuple[float, float]:
    """Seconds that a command takes, of the clock and of the processor."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
    seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
