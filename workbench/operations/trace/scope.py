"""Where a trace looks: which endpoints, what of them costs something, and what cannot be looked at at all."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, TypeAlias

import msgspec

from workbench.connecting.guard import Guarded
from workbench.model.address import Address
from workbench.model.endpoint import Ability, Endpoint
from workbench.model.errors import ConnectorError, EndpointNotFound, WorkbenchError, unwrap_exception_group
from workbench.model.look import Coverage, Gap
from workbench.model.start import Window
from workbench.model.wording import quantity
from workbench.operations.browse_defaults import price_of
from workbench.operations.trace.closure import DEPTH
from workbench.session import Session

HOUR: Final = 3_600_000
"""Milliseconds of a log that are searched, unless the user says otherwise."""
WINDOWS: Final[Sequence[tuple[str, int | None]]] = (
    ("1 h", HOUR),
    ("6 h", 6 * HOUR),
    ("1 d", 24 * HOUR),
    ("7 d", 168 * HOUR),
    ("from the beginning", None),
)
"""How far back logs are searched or read, one after the other: in words, and in milliseconds."""
NOT_FREE: Final = "not free to browse"
"""Why a queue is not looked into before the user has seen what that costs."""
_Unseen: TypeAlias = tuple[Address | str, str]
"""An endpoint or, by its name, a connection of which something is not seen, and why."""


class Scope(msgspec.Struct, frozen=True):
    """Where to look.

    Attributes:
        addresses: The endpoints; none: all of all connections.
        window: The stretch of time that is searched in logs. Queues are looked at as a whole.
        depth: How often ids that were found lead on.
        look: Whether to look where that costs something: the user has seen `Plan.prices`.
    """

    addresses: tuple[Address, ...] = ()
    window: Window = Window()
    depth: int = DEPTH
    look: bool = False


class Plan(msgspec.Struct, frozen=True):
    """What a trace will look at.

    Attributes:
        logs: Read freely: topics and streams.
        queues: Browsed, those that cost something only if the scope says so.
        prices: What it costs to look into queues, a sentence each; paid if the scope says so.
        unseen: What will not be seen, and why: an endpoint or, by its name, a whole connection.
        empty: What has nothing to be looked at.
        messages: How many there are, as far as that is known, where looking costs something.
        refused: What of the unseen was named, and cannot be asked for.
    """

    logs: tuple[Endpoint, ...] = ()
    queues: tuple[Endpoint, ...] = ()
    prices: tuple[tuple[Address, str], ...] = ()
    unseen: tuple[_Unseen, ...] = ()
    empty: tuple[tuple[Address, Coverage], ...] = ()
    messages: int = 0
    refused: frozenset[Address] = frozenset()


async def survey(session: Session, scope: Scope, wanted: Callable[[Endpoint], bool] = lambda _: True) -> Plan:
    """Ask the brokers what there is.

    Args:
        session: Whose connections.
        scope: Where to look.
        wanted: Which endpoints count, where none is named.

    Raises:
        WorkbenchError: Only one endpoint was named, and it cannot be asked for.
    """
    unseen: list[_Unseen] = []
    found: list[Endpoint] = []
    refused: dict[Address, WorkbenchError] = {}
    if scope.addresses:
        found, refused = await ask_endpoints(session, scope.addresses)
        unseen += [(address, str(error)) for address, error in refused.items()]
    else:
        for name, answer in (await session.ask(session.names, partial(_list, wanted))).items():
            if isinstance(answer, WorkbenchError):
                unseen.append((name, str(answer)))
            else:
                found += answer[0]
                unseen += answer[1]
    logs, queues, prices, empty, messages = [], [], [], [], 0
    for each in found:
        if each.family == "routes":
            if scope.addresses:
                unseen.append((each.address, "an exchange keeps nothing"))
        elif Ability.BROWSE not in each.abilities:
            unseen.append((each.address, f"{each.kind}s of this sort cannot be browsed"))
        elif each.family == "log":
            logs.append(each)
        elif each.depth == 0 and not each.held:
            empty.append((each.address, Coverage(total=0)))
        else:
            price = price_of(each)
            if price:
                prices.append((each.address, price))
                messages += each.depth or 0
            if scope.look or not price:
                queues.append(each)
            else:
                unseen.append((each.address, NOT_FREE))
    return Plan(tuple(logs), tuple(queues), tuple(prices), tuple(unseen), tuple(empty), messages, frozenset(refused))


async def ask_endpoints(
    session: Session, addresses: Sequence[Address]
) -> tuple[list[Endpoint], dict[Address, WorkbenchError]]:
    """The endpoints that are named, and what is wrong with the others.

    Raises:
        WorkbenchError: Only one is named, and something is wrong with it.
    """
    places = list(dict.fromkeys(addresses))

    async def ask(address: Address) -> Endpoint | WorkbenchError:
        try:
            return await (await session.connector(address.connection)).endpoint(address)
        except WorkbenchError as error:
            return error

    with unwrap_exception_group():
        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(ask(address)) for address in places]
    answers = [(address, task.result()) for address, task in zip(places, asked, strict=True)]
    refused = {address: answer for address, answer in answers if isinstance(answer, WorkbenchError)}
    if refused and len(places) == 1:
        raise refused[places[0]]
    return [answer for _, answer in answers if isinstance(answer, Endpoint)], refused


async def _list(wanted: Callable[[Endpoint], bool], connector: Guarded) -> tuple[list[Endpoint], list[_Unseen]]:
    """The endpoints of a connection that count, those that seem to be empty as they are now: the broker may have listed
    them before something came. Those that are gone by now are left out."""
    listed = await connector.endpoints()
    unseen: list[_Unseen] = [(connector.name, f"{gap.what} cannot be listed: {gap.reason}") for gap in listed.gaps]
    found = [each for each in listed if wanted(each)]
    doubtful = [each for each in found if _may_be_empty(each)]
    try:
        answers = await connector.recount(doubtful)
    except ConnectorError as error:
        answers = [error] * len(doubtful)
    now = dict(zip((each.address for each in doubtful), answers, strict=True))
    endpoints = []
    for each in found:
        answer = now.get(each.address, each)
        if isinstance(answer, Endpoint):
            endpoints.append(answer)
        elif not isinstance(answer, EndpointNotFound):
            unseen.append((each.address, f"it was listed as empty, and what it holds now is not known: {answer}"))
    return endpoints, unseen


def _may_be_empty(endpoint: Endpoint) -> bool:
    is_queue = endpoint.family == "queue" and Ability.BROWSE in endpoint.abilities
    return is_queue and not endpoint.depth and not endpoint.held


def without_held(covered: Coverage, endpoint: Endpoint) -> Coverage:
    """What was covered of an endpoint, less what its consumers hold, which no look can see."""
    if not endpoint.held or any("consumers" in gap.reason for gap in covered.gaps):
        return covered
    gap = Gap(quantity(endpoint.held, "message"), "held by consumers")
    return msgspec.structs.replace(covered, gaps=(*covered.gaps, gap))
