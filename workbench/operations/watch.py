"""Watching a connection: what there is, listed again and again, with rates; or why it cannot be listed."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Final, Literal

from workbench.connecting.config import BEAT, Connection
from workbench.connecting.guard import Guarded
from workbench.connecting.retry import Backoff
from workbench.decode.display import visible
from workbench.model.address import Address
from workbench.model.endpoint import Endpoint
from workbench.model.errors import ConnectorError, LoginRefused, NotTrusted, Unsupported, WorkbenchError
from workbench.model.groups import Group
from workbench.model.listing import Listing
from workbench.model.look import Gap, Interruption

PATIENCE: Final = 20.0
"""Seconds that a listing may take; a broker that is slower is said to be silent."""
SHARE: Final = 4.0
"""A listing that took long is followed by a pause of so many times as long: watching must not wear a broker out."""
EACH: Final = 0.009
"""Seconds of pause for each endpoint: to list ten thousand queues took RabbitMQ 1.6 to 2.5 s of processor time, which
is less than 3 % of one so."""
DRAWN_IN: Final = 0.05
"""Seconds from the first listing to the first question about groups: what was listed is drawn before it is prepared."""
REMEMBERED: Final = 30
"""Rates kept for each endpoint, a listing each."""

State = Literal["connecting", "connected"] | Interruption | WorkbenchError
"""`Interruption`: tried again when it says; an error: nothing will change before the user does something."""


def sign(state: State) -> str:
    """One character for how a connection stands."""
    match state:
        case "connected":
            return "●"
        case "connecting":
            return "◌"
        case Interruption() | NotTrusted():
            return "○"
    return "✖"


def describe_state(state: State, width: int | None = None) -> str:
    """How a connection stands that is not connected, without a full stop.

    Args:
        state: How it stands.
        width: Cells that the reason may take; None: as many as it needs.
    """
    if state == "connecting":
        return "connecting …"
    reason = state.reason if isinstance(state, Interruption) else str(state)
    return visible(reason.rstrip("."), width)


def countdown(state: State) -> str:
    """When the connection is tried again, to be put behind how it stands; empty where it is not."""
    if not isinstance(state, Interruption):
        return ""
    return f", retry in {max(round(state.retry_at / 1000 - time.time()), 0)} s"


async def do_nothing() -> None:
    """There is nothing to prepare, and nothing said of a beat or a scope."""


class Watch:
    """One connection of a session as it was listed last."""

    def __init__(
        self,
        name: str,
        connector: Callable[[], Awaitable[Guarded]],
        changed: Callable[["Watch"], None],
        prepare: Callable[[], Awaitable[Connection | None]] = do_nothing,
    ) -> None:
        """Prepare; nothing is reached before `run`.

        Args:
            name: The connection.
            connector: Opens its connector, or hands over the open one.
            changed: Called after each listing and whenever `state` has changed.
            prepare: Awaited before each listing, for as long as it takes: its user may be asked for a password. What
                it hands over says how often, and what of the connection, is listed.
        """
        self.name: Final = name
        self.state: State = "connecting"
        """How it stands."""
        self.endpoints: Mapping[Address, Endpoint] = {}
        """What there is, by address, in the connector's order."""
        self.groups: Sequence[Group] = ()
        """Who reads its logs; empty where it has none."""
        self.gaps: tuple[Gap, ...] = ()
        """What could not be listed."""
        self.broker = ""
        """What it is connected to, such as `RabbitMQ 4.0.5`; empty where it is not known."""
        self.took: float | None = None
        """Seconds that the last listing took; None: there was none."""
        self.failed_at: int | None = None
        """When it failed last, in milliseconds since 1970 UTC; None: it has not since it was listed last."""
        self.beat: float | None = BEAT
        """Seconds from one listing to the next; None: it is listed when it is opened, and when `refresh` asks."""
        self.scope = "*"
        """Which endpoints are listed, by their names."""
        self._connector = connector
        self._changed = changed
        self._prepare = prepare
        self._listed_at = 0.0
        self._rest = 0.0
        self._published: dict[Address, int] = {}
        self._rates: dict[Address, deque[float]] = {}
        self._wanted = asyncio.Event()

    @property
    def terms(self) -> str:
        """What is listed and how often, where somebody has said so, or there is much: ` of shop-*, every 30 s`, to
        follow a number."""
        scope = "" if self.scope == "*" else f" of {visible(self.scope, 30)}"
        if self.beat is None:
            return f"{scope}, listed on request"
        beat = max(self.beat, round(self._rest))
        return scope if beat == BEAT else f"{scope}, every {beat:g} s"

    def covers(self, address: Address) -> bool:
        """Whether an endpoint of this connection is of what is listed."""
        return fnmatchcase(address.name, self.scope)

    def rates(self, address: Address) -> Sequence[float]:
        """Events a second that came in, a listing each, the newest last; empty where it is not known."""
        return self._rates.get(address, ())

    def refresh(self) -> None:
        """List now instead of in a while."""
        self._wanted.set()

    async def run(self) -> None:
        """List until cancelled; what goes wrong becomes the state."""
        backoff = Backoff()
        while True:
            self._wanted.clear()
            try:
                if (connection := await self._prepare()) is not None:
                    self.beat, self.scope = connection.beat, connection.scope
                begun = time.monotonic()
                async with asyncio.timeout(PATIENCE):
                    connector = await self._connector()
                    asked = time.monotonic()
                    self._take_listing(await connector.endpoints())
                self.took, self.broker = time.monotonic() - asked, connector.description()
                if self.state != "connected":
                    # Groups may take many more questions: what there is, is shown meanwhile.
                    self.state = "connected"
                    self._changed(self)
                    await asyncio.sleep(DRAWN_IN)
                await self._list_groups(connector)
                backoff.reset()
                self.state, self.failed_at = "connected", None
                pause = None if self.beat is None else max(self.beat, SHARE * (time.monotonic() - begun), self._rest)
            except LoginRefused as error:
                # The same password again helps nobody: some brokers lock its user out.
                self.state, pause = error, None
            except (ConnectorError, TimeoutError) as error:
                reason = str(error) or f"no answer within {PATIENCE:g} s."
                since = self.state.since if isinstance(self.state, Interruption) else round(time.time() * 1000)
                self.state = backoff.fail(reason, since)
                pause = backoff.pause
            except WorkbenchError as error:
                self.state, pause = error, None
            if self.state != "connected" and not isinstance(self.state, NotTrusted):
                self.failed_at = round(time.time() * 1000)
            self._changed(self)
            try:
                async with asyncio.timeout(pause):
                    await self._wanted.wait()
            except TimeoutError:
                continue

    async def _list_groups(self, connector: Guarded) -> None:
        """List who reads the logs; that this fails hides no endpoint."""
        gap = None
        try:
            async with asyncio.timeout(PATIENCE):
                listed = await connector.groups()
            self.groups = [group for group in listed if self._is_of_scope(group)]
            self.gaps += listed.gaps
        except Unsupported:
            self.groups = ()
        except ConnectorError as error:
            gap = str(error)
        except TimeoutError:
            gap = f"no answer within {PATIENCE:g} s."
        if gap is not None:
            self.groups = ()
            self.gaps += (Gap("consumer groups", gap),)

    def _is_of_scope(self, group: Group) -> bool:
        """Whether a group reads what is listed, as far as it is known what it reads."""
        return not group.partitions or any(each.address in self.endpoints for each in group.partitions)

    def _take_listing(self, listing: Listing[Endpoint]) -> None:
        self.gaps = listing.gaps
        self._rest = EACH * len(listing)
        endpoints = [each for each in listing if self.covers(each.address)]
        now = time.monotonic()
        passed, self._listed_at = now - self._listed_at, now
        published, self._published = self._published, {}
        for endpoint in endpoints:
            if endpoint.published is None:
                continue
            self._published[endpoint.address] = endpoint.published
            if (before := published.get(endpoint.address)) is not None:
                # A counter that went back began anew with its broker.
                rate = max(endpoint.published - before, 0) / passed
                self._rates.setdefault(endpoint.address, deque(maxlen=REMEMBERED)).append(rate)
        self.endpoints = {endpoint.address: endpoint for endpoint in endpoints}
        for gone in self._rates.keys() - self.endpoints.keys():
            del self._rates[gone]
