"""A reader of the output that stands still: a pager left open, a terminal under Ctrl+S, a pipe into something slow."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.brokers.rabbitmq import RabbitMQAddress
from tests.e2e.command import INSTALLED
from tests.rabbitmq.conftest import DEADLINE, Rabbit, new_vhost
from workbench.model.address import Address

BODIES = [b"%03d" % number + b"x" * 9_000 for number in range(500)]
"""More than a pipe and the program hold."""


@pytest.fixture
def rabbit(rabbitmq_4: RabbitMQAddress) -> Iterator[Rabbit]:
    made = new_vhost(rabbitmq_4)
    yield made
    made.remove()


@pytest.fixture
def queue(rabbit: Rabbit) -> Address:
    queue = rabbit.queue()
    rabbit.publish(queue, *BODIES)
    return queue


def url(rabbit: Rabbit) -> str:
    return f"rabbit={rabbit.url}?heartbeat=1&management={quote(rabbit.broker.management_url, safe='')}"


@contextmanager
def browsing(rabbit: Rabbit, queue: Address) -> Iterator[subprocess.Popen[bytes]]:
    """A command that has printed its first bytes, of which nobody reads the rest."""
    process = subprocess.Popen(
        [INSTALLED, "browse", "-c", url(rabbit), str(queue), "-o", "body"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout and process.stderr
    try:
        assert process.stdout.read(3) == b"000"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()


def received(rabbit: Rabbit) -> int | None:
    """Bytes that the broker has got from the command; None when they are not connected."""
    reply = rabbit.api.get(f"/api/vhosts/{quote(rabbit.vhost, safe='')}/connections").raise_for_status()
    ours = [each for each in reply.json() if each.get("client_properties", {}).get("connection_name")]
    return int(ours[0].get("recv_oct", 0)) if ours else None


def test_it_costs_no_heartbeat(rabbit: Rabbit, queue: Address) -> None:
    with browsing(rabbit, queue) as process:
        assert process.stdout and process.stderr
        deadline = time.monotonic() + DEADLINE
        while (before := received(rabbit)) is None:
            assert time.monotonic() < deadline
        # Six of them, of eight bytes each: three times as many as a broker waits for.
        while (now := received(rabbit)) is not None and now < before + 48:
            assert time.monotonic() < deadline
        assert now is not None, "the connection was lost"
        out, err = process.stdout.read(), process.stderr.read().decode()
        assert process.wait(DEADLINE) == 0, err
    assert b"000" + out == b"".join(body + b"\n" for body in BODIES)
    assert "500 read" in err and "not seen" not in err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_can_be_stopped(rabbit: Rabbit, queue: Address, number: signal.Signals) -> None:
    with browsing(rabbit, queue) as process:
        assert process.stderr
        process.send_signal(number)
        assert process.wait(DEADLINE) == 130
        assert "Traceback" not in process.stderr.read().decode()
    assert rabbit.ready(queue) == len(BODIES)


def test_a_full_disk_ends_it_with_one_sentence(rabbit: Rabbit, queue: Address) -> None:
    with Path("/dev/full").open("wb") as full:
        command = [str(INSTALLED), "browse", "-c", url(rabbit), str(queue), "-o", "body"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, timeout=DEADLINE, check=False)
    assert done.returncode == 1
    assert done.stderr.decode().splitlines()[-1] == "workbench: Reading or writing failed: No space left on device."
    assert rabbit.ready(queue) == len(BODIES)


def test_stdout_and_stderr_keep_their_order_in_one_pipe(rabbit: Rabbit, queue: Address) -> None:
    command = [str(INSTALLED), "browse", "-c", url(rabbit), str(queue), "--json", "--coverage"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=DEADLINE, check=True)
    price, *events, said, coverage = done.stdout.decode().splitlines()
    assert "redelivered" in price
    assert [json.loads(line)["body"]["text"][:3] for line in events] == [f"{number:03}" for number in range(500)]
    assert "500 read" in said
    assert json.loads(coverage)["coverage"]["read"] == 500


def test_a_pipe_that_does_not_block_is_waited_for(rabbit: Rabbit, queue: Address) -> None:
    ours, theirs = os.pipe()
    os.set_blocking(theirs, False)
    with (
        os.fdopen(ours, "rb") as out,
        subprocess.Popen(
            [INSTALLED, "browse", "-c", url(rabbit), str(queue), "-o", "body"], stdout=theirs, stderr=subprocess.DEVNULL
        ) as process,
    ):
        os.close(theirs)
        assert out.read() == b"".join(body + b"\n" for body in BODIES)
        assert process.wait(DEADLINE) == 0
