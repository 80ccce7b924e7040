"""Random input: it neither ends the screen nor makes it hang, and nothing unexpected is logged. `make soak` goes on.

What takes long is told from what had to wait for a processor (`tests/e2e/turns.py`), so that a busy machine is no hang.
"""

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.e2e.fuzz import PRODUCTION, ROUND, Fuzz


@pytest.mark.parametrize(
    ("seed", "inputs", "pace", "arguments", "config"),
    [
        (1, 4 * ROUND, 0.0, ["demo"], ""),
        (2, 4 * ROUND, 0.0, [], PRODUCTION),
        (3, ROUND, 0.06, ["demo", "kafka/payments"], ""),
    ],
    ids=["in-bursts", "in-bursts-in-production", "as-a-person-types"],
)
def test_random_input_neither_ends_the_screen_nor_makes_it_hang(
    tmp_path: Path, seed: int, inputs: int, pace: float, arguments: Sequence[str], config: str
) -> None:
    fuzz = Fuzz(tmp_path, seed, *arguments, pace=pace, config=config)
    fuzz.send(inputs)
    fuzz.close()
