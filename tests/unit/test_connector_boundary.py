"""Whatever a plugin raises or hands over is a sentence behind the guard, and its traceback is in the log."""

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Self

import msgspec
import pytest

from workbench.connecting.check import Step
from workbench.connecting.config import Connection
from workbench.connecting.connector import Stream
from workbench.connecting.error_log import error_log
from workbench.connecting.guard import Guarded
from workbench.connecting.level import Level
from workbench.model.address import Address
from workbench.model.endpoint import Ability, Endpoint, LookCost
from workbench.model.errors import (
    AccessRefused,
    ConnectionLost,
    ConnectorError,
    PublishRejected,
    QueryError,
    WorkbenchError,
)
from workbench.model.event import Delivery, Event
from workbench.model.groups import Group, Member
from workbench.model.listing import Listing
from workbench.model.look import Coverage, Gap, Interruption, Progress, Span
from workbench.model.receipt import Outcome, Receipt
from workbench.model.start import Window
from workbench.model.target_rules import Rules
from workbench.operations.merge import merge
from workbench.operations.watch import Watch
from workbench.session import Session
from workbench.store.ingest import Ended, Ingestion, ingestions
from workbench.store.store import open_store

PASSWORD = "hunter2"
CONNECTION = msgspec.structs.replace(Connection.parse(f"odd=odd://user:{PASSWORD}@localhost"), level=Level.MOVE)
PLACE = Address("odd", "place")
DELIVERY = Delivery(Event(b"key", b"body"), PLACE, 1_700_000_000_000)


def group_of(*errors: Exception) -> Exception:
    return ExceptionGroup("several", errors)


ODD: list[Callable[[], BaseException]] = [
    lambda: struct.error("unpack requires a buffer of 4 bytes"),
    lambda: KeyError(0),
    lambda: UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
    lambda: AssertionError(),
    lambda: OSError(5, "Input/output error"),
    lambda: TimeoutError(),
    lambda: RecursionError("maximum recursion depth exceeded"),
    lambda: group_of(ValueError("one"), ConnectionLost("two")),
    lambda: SystemExit(0),
    lambda: RuntimeError(f"amqp://user:{PASSWORD}@localhost said no to {PASSWORD}"),
]


class OddConnector:
    """A connector as a careless plugin has it: a place named in `odd` raises that, or answers with what it returns."""

    def __init__(self, **odd: Callable[[], Any]) -> None:
        self.odd = odd
        self.left: list[str] = []

    def here(self, place: str, otherwise: Any = None) -> Any:
        if place not in self.odd:
            return otherwise
        said = self.odd[place]()
        if isinstance(said, BaseException):
            raise said
        return said

    async def __aenter__(self) -> Self:
        self.here("enter")
        return self

    async def __aexit__(self, *exception: object) -> None:
        self.here("exit")

    async def check(self) -> AsyncIterator[Any]:
        yield self.here("check")

    async def endpoints(self) -> Any:
        return self.here("endpoints", [])

    async def endpoint(self, address: Address) -> Any:
        return self.here("endpoint", Endpoint(address, "topic", "log", Ability.BROWSE))

    async def recount(self, queues: Sequence[Endpoint]) -> Any:
        return self.here("recount", queues)

    async def rules(self, address: Address) -> Any:
        return self.here("rules", Rules(address, "Odd"))

    async def groups(self) -> Any:
        return self.here("groups", [])

    async def group(self, name: str) -> Any:
        return self.here("group", Group(name, "Stable"))

    def _opened(self) -> Any:
        @asynccontextmanager
        async def entered() -> AsyncIterator[OddStream]:
            self.here("open")
            try:
                yield OddStream(self)
            finally:
                self.left.append("left")
                self.here("leave")

        return self.here("call", entered())

    def browse(self, *_: object) -> Any:
        return self._opened()

    def tail(self, *_: object) -> Any:
        return self._opened()

    def claim(self, *_: object) -> Any:
        return self._opened()

    def publisher(self, *_: object) -> Any:
        return self._opened()

    def transaction(self, *_: object) -> Any:
        return self._opened()

    def scan(self, *_: object) -> Any:
        return self._opened()


class OddStream:
    """All that can be handed over in one."""

    def __init__(self, connector: OddConnector) -> None:
        self.here = connector.here
        self.claim = self.publisher = connector._opened

    @property
    def lapsed(self) -> Any:
        return self.here("lapsed", frozenset())

    @property
    def coverage(self) -> Any:
        return self.here("coverage", Coverage(1))

    @property
    def interruption(self) -> Any:
        return self.here("interruption")

    @property
    def progress(self) -> Any:
        return self.here("progress", Progress(1, 1, 1.0))

    @property
    def coverages(self) -> Any:
        return self.here("coverages", {PLACE: Coverage()})

    async def __aiter__(self) -> AsyncIterator[Any]:
        yield [DELIVERY]
        yield self.here("batch", [DELIVERY])

    async def send(self, *_: object) -> None:
        self.here("send")

    async def finish(self) -> None:
        self.here("finish")

    async def receipts(self) -> AsyncIterator[Any]:
        yield self.here("receipts", [Receipt(0)])

    async def settle(self, sequences: Sequence[int]) -> Any:
        return self.here("settle", [Outcome(each) for each in sequences])


def guarded(**odd: Callable[[], Any]) -> Guarded:
    connector: Any = OddConnector(**odd)
    return Guarded(connector, CONNECTION)


async def looked(connector: Guarded) -> None:
    async with connector.browse(PLACE) as stream:
        async for _ in stream:
            pass


async def followed(connector: Guarded) -> None:
    async with connector.tail(PLACE) as stream:
        async for _ in stream:
            pass


async def searched(connector: Guarded) -> None:
    async with connector.scan([PLACE], [[b"x"]], Window()) as scan:
        async for _ in scan:
            pass


async def claimed(connector: Guarded) -> None:
    async with connector.claim(PLACE, "move") as claims:
        async for _ in claims:
            await claims.settle([0])


async def published(connector: Guarded) -> None:
    async with connector.publisher() as publisher:
        await publisher.send(PLACE, [Event()])
        await publisher.finish()
        async for _ in publisher.receipts():
            pass


async def held(connector: Guarded) -> None:
    async with connector.claim(PLACE, "move") as claims:
        assert claims.lapsed == frozenset()


async def opened(connector: Guarded) -> None:
    async with connector:
        pass


DOING: list[tuple[str, Callable[[Guarded], Awaitable[object]]]] = [
    ("enter", opened),
    ("exit", opened),
    ("endpoints", Guarded.endpoints),
    ("endpoint", lambda connector: connector.endpoint(PLACE)),
    ("recount", lambda connector: connector.recount([Endpoint(PLACE, "queue", "queue", Ability.BROWSE)])),
    ("rules", lambda connector: connector.rules(PLACE)),
    ("groups", Guarded.groups),
    ("group", lambda connector: connector.group("g")),
    *((place, looked) for place in ("call", "open", "batch", "leave")),
    *((place, followed) for place in ("call", "open", "batch", "leave")),
    *((place, searched) for place in ("call", "open", "batch", "leave")),
    ("lapsed", held),
    *((place, claimed) for place in ("call", "open", "batch", "settle", "leave")),
    *((place, published) for place in ("call", "open", "send", "finish", "receipts", "leave")),
]


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: type(odd()).__name__)
@pytest.mark.parametrize(("place", "doing"), DOING)
async def test_whatever_is_raised_is_a_sentence_that_names_the_log(
    place: str, doing: Callable[[Guarded], Awaitable[object]], odd: Callable[[], BaseException]
) -> None:
    with pytest.raises(ConnectorError) as caught:
        await doing(guarded(**{place: odd}))
    sentence, log = str(caught.value), error_log().read_text()
    assert "odd" in sentence and str(error_log()) in sentence and "\n" not in sentence
    assert "in here" in log and type(odd()).__name__ in log
    assert PASSWORD not in sentence + log


@pytest.mark.parametrize("answer", [None, 1, "text", [1], [None], object()])
@pytest.mark.parametrize(
    ("place", "doing"),
    [each for each in DOING if each[0] not in ("enter", "exit", "send", "finish", "open", "leave")],
)
async def test_whatever_is_no_answer_is_a_sentence(
    place: str, doing: Callable[[Guarded], Awaitable[object]], answer: object
) -> None:
    with pytest.raises(ConnectorError, match=r"unexpected (TypeError|AttributeError)"):
        await doing(guarded(**{place: lambda: answer}))


@pytest.mark.parametrize("error", [AccessRefused("No."), PublishRejected("No."), ConnectionLost("No.")])
@pytest.mark.parametrize(("place", "doing"), DOING)
async def test_errors_of_ours_pass_as_they_are(
    place: str, doing: Callable[[Guarded], Awaitable[object]], error: Exception
) -> None:
    for raise_it in (lambda: error, lambda: group_of(group_of(error))):
        with pytest.raises(type(error)) as caught:
            await doing(guarded(**{place: raise_it}))
        assert caught.value is error
    assert not error_log().exists()


async def test_cancellation_passes_and_what_is_raised_within_does_too() -> None:
    for error in (asyncio.CancelledError(), KeyboardInterrupt(), KeyError("ours"), BrokenPipeError()):
        connector: Any = OddConnector()
        with pytest.raises(type(error)) as caught:
            async with Guarded(connector, CONNECTION).browse(PLACE):
                raise error
        assert caught.value is error and connector.left == ["left"]
    assert not error_log().exists()


@pytest.mark.parametrize("odd", [lambda: KeyError(0), lambda: None])
async def test_what_is_said_of_a_stream_never_fails_and_is_logged_once(odd: Callable[[], Any]) -> None:
    async with guarded(coverage=odd, progress=odd, coverages=odd).scan([PLACE], [[b"x"]], Window()) as scan:
        for _ in range(3):
            assert not scan.coverage.complete and str(error_log()) in str(scan.coverage)
            assert scan.progress.share == 0
            assert scan.coverages == {}
    assert error_log().read_text().count("Searching odd") == 3
    async with guarded(interruption=lambda: KeyError(0)).tail(PLACE) as stream:
        assert stream.interruption is None


@pytest.mark.parametrize("odd", [lambda: KeyError(0), lambda: 1])
async def test_a_check_that_fails_oddly_is_its_last_step(odd: Callable[[], Any]) -> None:
    [step] = [step async for step in guarded(check=odd).check()]
    assert step.error is not None and str(error_log()) in step.error


async def test_a_listing_keeps_what_could_not_be_read() -> None:
    gap = Gap("queue x", "it is odd")
    listed = await guarded(
        endpoints=lambda: Listing([Endpoint(PLACE, "topic", "log", Ability.BROWSE)], [gap])
    ).endpoints()
    assert [each.address for each in listed] == [PLACE] and listed.gaps == (gap,)
    assert (await guarded().endpoints()).gaps == ()


async def test_an_odd_stream_ends_as_a_state_and_its_neighbours_go_on(tmp_path: Path) -> None:
    async with open_store(tmp_path) as store, ingestions(store) as looking:
        # Not even behind the boundary: the look is the last to know.
        direct: Any = OddConnector(batch=lambda: KeyError(0))
        looks: list[Ingestion] = [
            looking.begin("browse", PLACE, lambda: guarded(batch=lambda: KeyError(0)).browse(PLACE)),
            looking.begin("browse", PLACE, lambda: direct.browse(PLACE)),
            looking.begin("browse", PLACE, lambda: guarded().browse(PLACE)),
        ]
        for look in looks:
            await look.wait_closed()
        states = [look.state for look in looks]
        assert states[2] == Ended() and store.upto == 4
        for state in states[:2]:
            assert isinstance(state, Ended) and str(error_log()) in str(state.error)


async def test_an_odd_stream_leaves_those_it_is_merged_with_running() -> None:
    odd, other = PLACE, Address("odd", "other")
    direct: Any = OddConnector(batch=lambda: KeyError(0))
    streams: dict[Address, AbstractAsyncContextManager[Stream]] = {
        odd: direct.tail(odd),
        other: guarded().tail(other),
    }
    async with merge(streams) as together:
        assert len([batch async for batch in together]) == 3
        assert list(together.errors) == [odd] and str(error_log()) in str(together.errors[odd])


async def test_a_driver_that_cancels_itself_while_it_opens_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workbench.session.connect", lambda _: OddConnector(enter=asyncio.CancelledError))
    async with asyncio.timeout(10), Session([CONNECTION]) as session:
        for _ in range(2):
            with pytest.raises(ConnectorError, match="Opening odd failed with an unexpected CancelledError"):
                await session.connector("odd")


async def test_groups_that_cannot_be_listed_hide_no_endpoint() -> None:
    listed = asyncio.Event()
    connector = guarded(endpoints=lambda: [Endpoint(PLACE, "topic", "log", Ability.BROWSE)], groups=lambda: KeyError(0))

    async def opened() -> Guarded:
        return connector

    # Groups are asked for when the endpoints are shown.
    watch = Watch("odd", opened, lambda watch: listed.set() if watch.gaps else None)
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        running = group.create_task(watch.run())
        await listed.wait()
        running.cancel()
    assert (watch.state, list(watch.endpoints), list(watch.groups)) == ("connected", [PLACE], [])
    [gap] = watch.gaps
    assert gap.what == "consumer groups" and str(error_log()) in gap.reason


@pytest.mark.parametrize("kind", [ConnectorError, AccessRefused, lambda said: QueryError(said, 3)])
async def test_a_sentence_of_a_plugin_is_told_without_the_password(kind: Callable[[str], WorkbenchError]) -> None:
    connector: Any = OddConnector(endpoints=lambda: kind(f"No {PASSWORD} at {CONNECTION.reveal_url()}."))
    with pytest.raises((ConnectorError, QueryError), match="No … at odd://…@localhost") as refused:
        await Guarded(connector, CONNECTION).endpoints()
    assert PASSWORD not in f"{refused.value!r}{refused.value.__cause__!r}"


async def test_what_a_plugin_says_of_its_steps_and_gaps_is_told_without_the_password() -> None:
    said = f"with {PASSWORD}"
    connector: Any = OddConnector(
        check=lambda: Step(said, said, said), endpoints=lambda: Listing([], [Gap(said, said)])
    )
    guarded = Guarded(connector, CONNECTION)
    told = [[step async for step in guarded.check()], (await guarded.endpoints()).gaps]
    assert PASSWORD not in repr(told) and repr(told).count("with …") == 5


async def test_whatever_a_plugin_hands_over_is_told_without_the_password() -> None:
    said = f"with {PASSWORD}"
    gap, named = Gap(said, said), Address("odd", PASSWORD)
    endpoint = Endpoint(
        named, said, "log", Ability.BROWSE, cost=LookCost(said), detail=((said, said),), trouble=said, readers=()
    )
    covered = Coverage(1, (Span(PASSWORD, "0", "1"),), (gap,), (said,))
    connector = guarded(
        endpoints=lambda: [endpoint],
        endpoint=lambda: endpoint,
        recount=lambda: [endpoint],
        rules=lambda: Rules(named, said),
        group=lambda: Group(PASSWORD, said, (Member(said, said, said),), gaps=(gap,)),
        coverage=lambda: covered,
        coverages=lambda: {named: covered},
        interruption=lambda: Interruption(said, 0, 0),
        receipts=lambda: [Receipt(0, error=PublishRejected(said))],
        settle=lambda: [Outcome(0, ConnectorError(said))],
    )
    told: list[object] = [await connector.endpoints(), await connector.endpoint(named), await connector.rules(named)]
    told += [await connector.group("g"), await connector.recount([endpoint])]
    async with connector.scan([named], [[b"x"]], Window()) as scan:
        told += [scan.coverage, scan.coverages, scan.interruption]
    async with connector.publisher() as publisher:
        told += [receipts async for receipts in publisher.receipts()]
    async with connector.claim(named, "move") as claims:
        told += [await claims.settle([0]), claims.coverage]
    texts = repr(told)
    assert texts.count("with …") == 34 and said not in texts
    # Names are as they were, for things are asked for by them.
    assert repr(named) in texts and repr(Span(PASSWORD, "0", "1")) in texts


class TellingConnector(OddConnector):
    """One that tells what it waits for."""

    tell: Callable[[str], None]

    async def __aenter__(self) -> Self:
        self.tell(f"waiting with {PASSWORD}")
        return self


async def test_what_a_plugin_tells_in_passing_is_told_without_the_password(monkeypatch: pytest.MonkeyPatch) -> None:
    telling = TellingConnector()
    telling.tell = lambda sentence: None
    monkeypatch.setattr("workbench.session.connect", lambda _: telling)
    told: list[str] = []
    async with Session([CONNECTION]) as session:
        session.tell = told.append
        await session.connector("odd")
    assert "odd: waiting with …" in told
