"""The rows of docs/permissions.md for RabbitMQ: what a row names is enough, and who lacks one of it is told."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple
from urllib.parse import quote
from uuid import uuid4

import pytest

from tests.e2e.forks import Forks
from tests.rabbitmq.conftest import Rabbit
from workbench.model.address import Address

DEFAULT, TAP = "amq.default", "workbench.tap."


class Row(NamedTuple):
    """A row.

    Attributes:
        command: Without its connection.
        needs: Rights on names, `write amq.default`, and tags, `tag management`.
        given: What is never left out.
    """

    command: str
    needs: tuple[str, ...]
    given: tuple[str, ...] = ()


def where_looks_count(rabbit: Rabbit, *needs: str) -> tuple[str, ...]:
    """What is needed for a queue that may count deliveries, of which RabbitMQ 3 has no limit by itself."""
    return needs if rabbit.release == "4.0" else ()


def listing(rabbit: Rabbit) -> Row:
    return Row("ls", ("tag management",))


def browse_classic(rabbit: Rabbit) -> Row:
    queue = filled(rabbit)
    return Row(f"browse {queue}", (f"read {name(queue)}", *where_looks_count(rabbit, "tag management")))


def browse_unknown(rabbit: Rabbit) -> Row:
    queue = filled(rabbit)
    return Row(f"browse {queue}", (f"read {name(queue)}", *where_looks_count(rabbit, f"write {DEFAULT}")))


def browse_quorum(rabbit: Rabbit) -> Row:
    queue = filled(rabbit, "quorum", x_delivery_limit=20)
    return Row(f"browse {queue}", (f"read {name(queue)}", f"write {DEFAULT}"), given=("tag management",))


def read_stream(rabbit: Rabbit) -> Row:
    queue = filled(rabbit, "stream")
    return Row(f"browse {queue} --from beginning", (f"read {name(queue)}", "tag management"))


def search_stream(rabbit: Rabbit) -> Row:
    queue = filled(rabbit, "stream")
    return Row(f"find two {queue} --since beginning", (f"read {name(queue)}", "tag management"))


def tail_stream(rabbit: Rabbit) -> Row:
    queue = filled(rabbit, "stream")
    return Row(f"tail {queue} --from beginning -n 2", (f"read {name(queue)}", "tag management"))


def tail_queue(rabbit: Rabbit) -> Row:
    queue, exchange = rabbit.queue(), rabbit.exchange()
    rabbit.bind(queue, exchange, "#")
    return Row(f"tail {queue} --idle 0.1", (*TAPPING, f"read {exchange.name}"))


def tail_exchange(rabbit: Rabbit) -> Row:
    exchange = rabbit.exchange()
    return Row(f"tail {exchange} --idle 0.1", (*TAPPING, f"read {exchange.name}"))


TAPPING: Final = (f"configure {TAP}", f"write {TAP}", f"read {TAP}", f"write {DEFAULT}", "tag management")


def publish_to_exchange(rabbit: Rabbit) -> Row:
    exchange = rabbit.exchange("fanout")
    rabbit.bind(rabbit.queue(), exchange)
    return Row(f"publish {exchange} x", (f"write {exchange.name}",))


def publish_to_stream(rabbit: Rabbit) -> Row:
    return Row(f"publish {rabbit.queue('stream')} x", (f"write {DEFAULT}",))


def move_to_queue(rabbit: Rabbit) -> Row:
    source = filled(rabbit)
    return Row(f"move {source} {rabbit.queue()} -y", (f"read {name(source)}", f"write {DEFAULT}", "tag management"))


def move_to_exchange(rabbit: Rabbit) -> Row:
    source, exchange = filled(rabbit), rabbit.exchange("fanout")
    rabbit.bind(rabbit.queue(), exchange)
    return Row(
        f"move {source} {exchange} -y",
        (f"read {name(source)}", f"write {exchange.name}", *where_looks_count(rabbit, "tag management")),
    )


def shovel(rabbit: Rabbit) -> Row:
    source = filled(rabbit)
    tags = ("tag policymaker", "tag monitoring")
    return Row(f"move {source} {rabbit.queue()} -y --engine shovel", (f"read {name(source)}", *tags))


def delete(rabbit: Rabbit) -> Row:
    queue = filled(rabbit)
    needs = (f"read {name(queue)}", *where_looks_count(rabbit, "tag management"))
    return Row(f"delete {queue} -y -w body=two", needs)


ROWS: Final = (
    listing,
    browse_classic,
    browse_unknown,
    browse_quorum,
    read_stream,
    search_stream,
    tail_stream,
    tail_queue,
    tail_exchange,
    publish_to_exchange,
    publish_to_stream,
    move_to_queue,
    move_to_exchange,
    shovel,
    delete,
)
TOLD: Final = {
    "read": "refused for user|configure, write and read on workbench.tap",
    "write": "refused for user|ask for the right to write to the default exchange"
    "|configure, write and read on workbench.tap",
    "configure": "configure, write and read on workbench.tap",
    "tag": "The management API at .* does not (accept|let) user|takes the management API|ask for the right to write"
    "|may have a length limit, which is not known",
}
"""What is said to who lacks a right of a kind; who lacks a tag may be told what else would do."""


def filled(rabbit: Rabbit, kind: str = "classic", **arguments: object) -> str:
    queue = rabbit.queue(kind, **arguments)
    rabbit.publish(queue, b"one", b"two")
    return str(queue)


def name(address: str) -> str:
    return address.partition("/")[2]


class Users:
    """Users with some rights, for as long as a test lasts."""

    def __init__(self, rabbit: Rabbit) -> None:
        self._rabbit = rabbit
        self._names: list[str] = []

    def url(self, needs: tuple[str, ...]) -> str:
        """A new user who has just these."""
        rabbit, user = self._rabbit, f"user-{uuid4().hex[:8]}"
        self._names.append(user)
        split = [need.split(" ", 1) for need in needs]
        tags = ",".join(what for kind, what in split if kind == "tag")
        rights = {
            right: "|".join([f"^{re.escape(what)}" for kind, what in split if kind == right]) or "^$"
            for right in ("configure", "write", "read")
        }
        rabbit.api.put(f"/api/users/{user}", json={"password": "x-secret", "tags": tags}).raise_for_status()
        place = f"/api/permissions/{quote(rabbit.vhost, safe='')}/{user}"
        rabbit.api.put(place, json=rights).raise_for_status()
        return (
            f"rabbit={rabbit.url.replace('guest:guest', f'{user}:x-secret')}?management={rabbit.broker.management_url}"
        )

    def remove(self) -> None:
        for user in self._names:
            self._rabbit.api.delete(f"/api/users/{user}").raise_for_status()


@pytest.fixture
def users(rabbit: Rabbit) -> Iterator[Users]:
    users = Users(rabbit)
    yield users
    users.remove()


@pytest.fixture(scope="module")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forks]:
    with Forks("builtins:dict", tmp_path_factory.mktemp("permissions")) as forks:
        yield forks


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.__name__)
def test_a_row_of_the_permissions_is_enough_and_none_of_it_too_much(
    row: Callable[[Rabbit], Row], rabbit: Rabbit, users: Users, forks: Forks
) -> None:
    tries: dict[tuple[str, ...], str] = {}
    # RabbitMQ 3 has the same words.
    count = len(row(rabbit).needs) if rabbit.release == "4.0" else 1
    for number in range(-1, count):
        # Names are new ones, but come in the same order.
        command, needs, given = row(rabbit)
        lacking = needs[number] if number >= 0 else ""
        url = users.url((*given, *(need for need in needs if need != lacking)))
        tries[(*command.split(), "-c", url, "--guard", "destroy")] = lacking.partition(" ")[0]
    for sent in forks.run([(arguments, "stderr") for arguments in tries]):
        lacking, said = tries[sent.arguments], sent.received.decode()
        assert (sent.code == 0) == (not lacking), sent
        assert re.search(TOLD[lacking], said) if lacking else "refused" not in said, sent


def test_who_may_read_the_copies_and_publish_may_undo(rabbit: Rabbit, users: Users, forks: Forks) -> None:
    admin = f"rabbit={rabbit.url}?management={rabbit.broker.management_url}"
    moves = [(filled(rabbit), str(rabbit.queue())) for _ in range(3)]
    forks.run([(("move", *move, "-y", "-c", admin, "--guard", "move"), "stderr") for move in moves])
    [listed] = forks.run([(("journal", "-o", "json"), "stdout")])
    ids = {record["source"]: record["id"] for record in map(json.loads, listed.received.splitlines())}
    tries: dict[tuple[str, ...], str] = {}
    for (source, target), lacking in zip(moves, ("", "read", "write"), strict=True):
        needs = (f"read {name(target)}", f"write {DEFAULT}")
        url = users.url(tuple(need for need in needs if need.partition(" ")[0] != lacking))
        tries["journal", "undo", ids[source], "-y", "-c", url, "--guard", "move"] = lacking
    for sent in forks.run([(arguments, "stderr") for arguments in tries]):
        lacking, said = tries[sent.arguments], sent.received.decode()
        assert (sent.code == 0) == (not lacking), sent
        assert re.search(TOLD[lacking], said) if lacking else "refused" not in said, sent
    assert rabbit.drain(Address.parse(moves[0][0]), 2) == [b"one", b"two"]
