"""Whole queues moved by RabbitMQ's own shovel, through the command; nothing of it is left behind."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.brokers.rabbitmq import RabbitMQAddress
from tests.e2e.command import INSTALLED, Ran, run
from tests.rabbitmq.conftest import DEADLINE, Rabbit

BODIES = [f"{number:05}".encode() for number in range(2_000)]


def command(rabbit: Rabbit, *arguments: str) -> tuple[str, ...]:
    url = f"rabbit={rabbit.url}?management={rabbit.broker.management_url}"
    return ("move", "-c", url, "--guard", "move", *arguments, "--engine", "shovel", "--yes")


def move(rabbit: Rabbit, state: Path, *arguments: str) -> Ran:
    return run("workbench", *command(rabbit, *arguments), env={**os.environ, "XDG_STATE_HOME": str(state)})


def shovels(rabbit: Rabbit) -> list[object]:
    found: list[object] = rabbit.api.get(f"/api/parameters/shovel/{quote(rabbit.vhost, safe='')}").json()
    return found


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.parametrize("kind", ["classic", "quorum"])
def test_a_whole_queue_is_moved_in_its_order_and_the_shovel_is_gone(rabbit: Rabbit, kind: str, tmp_path: Path) -> None:
    source, target = rabbit.queue(kind), rabbit.queue(kind)
    rabbit.publish(source, *BODIES)
    done = move(rabbit, tmp_path, str(source), str(target), "-o", "table")
    assert done.code == 0, done.err
    assert "2,000 moved, 0 failed in" in done.out
    assert "none is journalled or stamped" in done.out
    assert rabbit.ready(source) == 0
    assert rabbit.drain(target, len(BODIES)) == BODIES
    assert shovels(rabbit) == []
    listed = run("workbench", "journal", "--json", env={**os.environ, "XDG_STATE_HOME": str(tmp_path)})
    [record] = listed.records
    assert (record["state"], record["source"], record["done"]) == ("done", str(source), None)
    assert record["remark"].startswith("By the broker: 2,000 moved")


def test_so_many_are_moved_as_were_asked_for_and_the_rest_stays(rabbit: Rabbit, tmp_path: Path) -> None:
    source, target = rabbit.queue(), rabbit.queue()
    rabbit.publish(source, *BODIES[:50])
    done = move(rabbit, tmp_path, str(source), str(target), "-n", "20")
    assert done.code == 0, done.err
    assert rabbit.drain(target, 20) == BODIES[:20]
    assert rabbit.drain(source, 30) == BODIES[20:50]


def test_one_that_is_stopped_leaves_no_shovel_and_loses_nothing(rabbit: Rabbit, tmp_path: Path) -> None:
    source, target = rabbit.queue(), rabbit.queue(x_max_length=10, x_overflow="reject-publish")
    rabbit.publish(source, *BODIES[:50])
    moving = subprocess.Popen(
        [str(INSTALLED), *command(rabbit, str(source), str(target))],
        env={**os.environ, "XDG_STATE_HOME": str(tmp_path)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    # The target takes ten; the shovel tries the others again and again.
    until(lambda: rabbit.ready(target) == 10)
    moving.send_signal(signal.SIGINT)
    out, err = moving.communicate(timeout=DEADLINE)
    assert moving.returncode == 130, err
    assert json.loads(out.splitlines()[-1])["state"] == "stopped"
    assert shovels(rabbit) == []
    until(lambda: rabbit.ready(source) == 40)
    assert sorted([*rabbit.drain(target, 10), *rabbit.drain(source, 40)]) == BODIES[:50]


@pytest.mark.parametrize("further", [("-w", "body = x"), ("--rate", "5"), ("--canary",)], ids=lambda given: given[0])
def test_what_no_shovel_can_do_is_refused_before_anything_moves(
    rabbit: Rabbit, tmp_path: Path, further: tuple[str, ...]
) -> None:
    source, target = rabbit.queue(), rabbit.queue()
    rabbit.publish(source, b"x")
    done = move(rabbit, tmp_path, str(source), str(target), *further)
    assert done.code == 1
    assert "knows no query" in done.err
    assert rabbit.ready(source) == 1


def test_a_user_who_may_start_none_is_told_so(rabbit: Rabbit, tmp_path: Path) -> None:
    source, target = rabbit.queue(), rabbit.queue()
    rabbit.publish(source, b"x")
    vhost = quote(rabbit.vhost, safe="")
    everything = {"configure": ".*", "write": ".*", "read": ".*"}
    rabbit.api.put("/api/users/mover", json={"password": "mover", "tags": "management"}).raise_for_status()
    rabbit.api.put(f"/api/permissions/{vhost}/mover", json=everything).raise_for_status()
    url = rabbit.url.replace("guest:guest", "mover:mover")
    arguments = [f"rabbit={url}?management={rabbit.broker.management_url}" if "=" in each else each
                 for each in command(rabbit, str(source), str(target))]  # fmt: skip
    done = run("workbench", *arguments, env={**os.environ, "XDG_STATE_HOME": str(tmp_path)})
    assert done.code == 1
    assert "does not let user 'mover' start and watch shovels" in done.err
    assert rabbit.ready(source) == 1


def test_none_is_started_where_management_is_another_brokers(
    rabbitmq_3: RabbitMQAddress, rabbitmq_4: RabbitMQAddress, tmp_path: Path
) -> None:
    here, there = Rabbit(rabbitmq_3, "/"), Rabbit(rabbitmq_4, "/")
    source, target = here.queue(), here.queue()
    try:
        here.publish(source, b"x")
        for queue in (source, target):
            there.channel.queue_declare(queue.name)
        there.publish(source, b"y")
        url = f"rabbit={rabbitmq_3.url}?management={rabbitmq_4.management_url}"
        arguments = [url if "=" in each else each for each in command(here, str(source), str(target))]
        done = run("workbench", *arguments, env={**os.environ, "XDG_STATE_HOME": str(tmp_path)})
        assert done.code == 1
        assert "rabbit: management= is of " in done.err and ", and AMQP of " in done.err
        assert [each.ready(source) for each in (here, there)] == [1, 1]
        assert [shovels(each) for each in (here, there)] == [[], []]
    finally:
        for each in (here, there):
            for queue in (source, target):
                each.channel.queue_delete(queue.name)
            each.amqp.close()
            each.api.close()
