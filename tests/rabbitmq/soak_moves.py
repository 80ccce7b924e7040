"""Moves that are killed at random and resumed: `python -m tests.rabbitmq.soak_moves [--kills 200] [--broker-kills 10]`.

Each is a move between queues of a random kind, on either release; its program is killed at a random step or at a random
moment. For the kills of brokers there is one of its own, which is killed in the middle of 10,000 messages and started
again. After the resume nothing may be lost, and what is there twice must be named by the journal: else this ends with
an error. Prints what was done in the end.
"""

import argparse
import asyncio
import os
import random
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from typing import Final

from tests.brokers.rabbitmq import RabbitMQ
from tests.brokers.shared import rabbitmq
from tests.rabbitmq.conftest import DEADLINE, Rabbit, new_vhost
from tests.rabbitmq.killed_move import STEPS
from tests.rabbitmq.moving import check, fill, go_on, moving, persistent
from tests.rabbitmq.test_interruptions import restart, to_disk
from workbench.operations.journal.journal_file import journal_folder
from workbench.operations.journal.records import find_journal, read_record
from workbench.operations.move import run

MESSAGES: Final = 600
WINDOW: Final = 50
SIDE_BY_SIDE: Final = 3
MOMENT: Final = 0.6
"""Seconds within which a program is killed, once its plan is made."""


async def killed(rabbit: Rabbit, dice: random.Random, done: Counter[str]) -> None:
    """Kill a move and resume it."""
    kind = dice.choice(("classic", "quorum"))
    # All differ, or many are alike in every byte.
    differing = dice.choice((MESSAGES, 3, 1))
    events = persistent(differing) * (MESSAGES // differing)
    source, target = rabbit.queue(kind), rabbit.queue(kind)
    await fill(rabbit, source, events)
    step = dice.choice([*STEPS, *["never"] * len(STEPS)])
    times = 1 if "given back" in step or "the end" in step else dice.randint(1, MESSAGES // WINDOW)
    async with moving(rabbit, source, target, step, times, WINDOW) as (id, process):
        if step == "never":
            await asyncio.sleep(dice.random() * MOMENT)
            if process.returncode is None:
                process.kill()
        await process.wait()
    if (journal_folder() / f"{id}.journal").exists():
        await resumed(rabbit, id)
        done["there twice, and named"] += await check(rabbit, id, source, target, events)
    else:
        # The broker may have noticed already that the plan's look is over.
        assert rabbit.ready(target) == 0
        done["killed before there was a journal"] += 1
        return
    done[f"killed {step if step != 'never' else 'at any moment'}"] += process.returncode == -9
    done["ended before it was killed"] += process.returncode != -9
    for queue in (source, target):
        rabbit.channel.queue_delete(queue.name)


async def resumed(rabbit: Rabbit, id: str) -> None:
    """Resume until it is done."""
    async with asyncio.timeout(DEADLINE):
        while read_record(find_journal(id)).state != "done":
            await go_on(rabbit, id)


async def with_broker_killed(broker: RabbitMQ, kind: str, dice: random.Random, done: Counter[str]) -> None:
    """Kill the broker in the middle of a move, and once more right behind its last acknowledgements."""
    rabbit = new_vhost(broker)
    source, target, events = rabbit.queue(kind), rabbit.queue(kind), persistent(10_000)
    await to_disk(broker)
    await fill(rabbit, source, events)
    async with moving(rabbit, source, target) as (id, process):
        await asyncio.sleep(dice.random() * 2)
        await restart(broker)
        done["brokers killed"] += 1
        await process.wait()
    again = Rabbit(broker, rabbit.vhost)
    if (journal_folder() / f"{id}.journal").exists():
        await resumed(rabbit, id)
        done["there twice, and named"] += await check(again, id, source, target, events)
    else:
        # The move had not begun, and said so.
        assert again.ready(source) == len(events)
        done["brokers killed before there was a journal"] += 1
    again.remove()


async def soak(kills: int, broker_kills: int, seed: int) -> None:
    """Do all, and print what was done."""
    dice, done, begin = random.Random(seed), Counter[str](), time.monotonic()
    with ExitStack() as stack:
        if kills:
            places = [new_vhost(stack.enter_context(rabbitmq(release))) for release in ("3.10", "4.0")]
            # These brokers live on.
            run.CERTAIN = 0.05  # type: ignore[misc]

            async def work(number: int) -> None:
                own = Rabbit(places[number % 2].broker, places[number % 2].vhost)
                while sum(count for what, count in done.items() if what.startswith("killed")) < kills:
                    await killed(own, dice, done)
                own.amqp.close()
                own.api.close()

            async with asyncio.TaskGroup() as group:
                for number in range(SIDE_BY_SIDE):
                    group.create_task(work(number))
            for place in places:
                place.remove()
            run.CERTAIN = 2.0  # type: ignore[misc]
        for number in range(broker_kills):
            release = ("3.10", "4.0")[number % 2]
            with RabbitMQ("soak", "3.10" if release == "3.10" else "4.0") as broker:
                await with_broker_killed(broker, ("classic", "quorum")[number // 2 % 2], dice, done)
    for what, count in sorted(done.items()):
        print(f"{count:7,} {what}")
    print(f"seed {seed}, {time.monotonic() - begin:.0f} s: nothing lost, nothing there twice that is not named")


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200, help="of the program")
    parser.add_argument("--broker-kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="workbench-") as folder:
        os.environ["XDG_STATE_HOME"] = folder
        asyncio.run(soak(arguments.kills, arguments.broker_kills, arguments.seed))


if __name__ == "__main__":
    main()
