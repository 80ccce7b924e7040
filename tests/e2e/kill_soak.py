"""Fifty kills of a move between topics, each at a moment of chance: `python -m tests.e2e.kill_soak [SEED]`."""

import os
import random
import sys
import tempfile
from contextlib import ExitStack
from typing import Final

from tests.brokers.kafka import Kafka, KafkaAddress
from tests.brokers.shared import running
from tests.e2e.test_move_kills import killed_at_random

KILLS: Final = 50
COUNT: Final = 100_000


def main() -> None:
    """Kill and resume; raises where a message is not on the target once."""
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    with ExitStack() as stack:
        os.environ["XDG_STATE_HOME"] = stack.enter_context(tempfile.TemporaryDirectory())
        kafka = running("kafka", KafkaAddress) or stack.enter_context(Kafka("soak"))
        killed_at_random(kafka, random.Random(seed), KILLS, COUNT)
    print(f"{COUNT:,} messages, {KILLS} kills, seed {seed}: each on the target once")


if __name__ == "__main__":
    main()
