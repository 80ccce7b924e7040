"""The demo's shop: how long it takes to open, and what it costs to leave open.

    python -m tests.benchmarks.demo [SECONDS]

Prints figures of one run; times are of the processor, so that they say little of what else the machine does.
"""

import asyncio
import resource
import sys
import time
from pathlib import Path

from connectors.memory.demo.shop import LIVELY, Settings, Shop

CLOCK = 1_764_000_000_000
HOURS = 3


def resident() -> float:
    """Megabytes of memory that this process holds now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def published(shop: Shop) -> int:
    """Events that ever came into its queues, topics and its stream."""
    logs = sum(each.published for broker in (shop.rabbit, shop.kafka) for each in broker.topics.values())
    return logs + sum(queue.published for queue in shop.rabbit.queues.values())


def opening() -> None:
    """The history, each time anew."""
    times = []
    for seed in range(11):
        began = time.process_time()
        shop = Shop(Settings(seed))
        times.append((time.process_time() - began) * 1000)
    first, median = times[0], sorted(times)[5]
    print(f"opened with {published(shop):,} events        {first:5.0f} ms at first, {median:5.0f} ms the median of 11")


async def living(seconds: float) -> None:
    """Real time at the usual pace."""
    shop = Shop(Settings())
    before, began = published(shop), time.process_time()
    shop.open()
    await asyncio.sleep(seconds)
    shop.close()
    used, events = time.process_time() - began, published(shop) - before
    print(f"alive for {seconds:.0f} s, {events / seconds:.1f} events/s   {used / seconds:6.2%} of a processor")


def hours() -> None:
    """Simulated time, in which retention has long begun."""
    shop = Shop(Settings(clock=CLOCK))
    for hour in range(HOURS + 1):
        print(f"after {hour} h, {published(shop):9,} events      {resident():6.0f} MB")
        shop.pass_time(3_600_000)


if __name__ == "__main__":
    opening()
    asyncio.run(living(float(sys.argv[1]) if len(sys.argv) > 1 else 20))
    print(f"usual pace: {LIVELY:.0f} events/s")
    hours()
