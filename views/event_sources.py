"""Which endpoints a screen shows, and by which looks."""

from collections.abc import Iterable, Sequence
from typing import Final

from views.app_context import AppContext
from workbench.decode.display import visible
from workbench.model.address import Address
from workbench.model.endpoint import Ability
from workbench.model.errors import LookRefused
from workbench.model.look import Interruption
from workbench.model.start import Start
from workbench.operations.reading import newest
from workbench.store.ingest import Ended, Ingestion

MOST: Final = 1_000
"""Events of a queue that one look shows."""


class EventSources:
    """The endpoints whose events are shown. An endpoint's new look takes the place of those before, unless it only adds
    what arrives."""

    def __init__(self, context: AppContext) -> None:
        self._context: Final = context
        self._looks: dict[Address, list[int]] = {}
        self._running: dict[Address, list[Ingestion]] = {}
        self._told: set[int] = set()
        self._everything = False

    @property
    def addresses(self) -> list[Address]:
        """The endpoints."""
        return list(self._looks)

    @property
    def looks(self) -> list[int] | None:
        """The looks that show them; None: everything that is held is shown."""
        return None if self._everything else [look for looks in self._looks.values() for look in looks]

    @property
    def tails(self) -> list[Ingestion]:
        """The looks that this screen began, those that have ended too."""
        return [tail for tails in self._running.values() for tail in tails]

    @property
    def working(self) -> list[Ingestion]:
        """The looks that have not ended."""
        return [tail for tail in self.tails if not isinstance(tail.state, Ended)]

    @property
    def refused(self) -> Ingestion | None:
        """The look that the broker could lose a message for, and that was not made."""
        for tail in self.tails:
            if isinstance(tail.state, Ended) and isinstance(tail.state.error, LookRefused):
                return tail
        return None

    def has_looked_at(self, address: Address) -> bool:
        """Whether there is a look at an endpoint, however little it showed."""
        return bool(self._looks.get(address))

    def show_all(self) -> None:
        """Show everything that is held."""
        self._everything = True

    def show(self, addresses: Iterable[Address]) -> None:
        """Show endpoints: what is held of them; of those where looking is free also what is there now, and of logs what
        comes."""
        wanted = list(addresses)
        self._everything = False
        for address in [each for each in self._running if each not in wanted]:
            self._stop(self._running.pop(address))
        self._looks = {address: self._looks.get(address) or self._held(address) for address in wanted}
        for address in wanted:
            endpoint = self._context.endpoint(address)
            if endpoint is None or endpoint.cost.sentence or self._context.store is None:
                continue
            if any(tail in self._running.get(address, ()) for tail in self.working):
                continue
            if endpoint.family == "log" and Ability.TAIL in endpoint.abilities:
                self._begin(self._context.tail(address, newest(endpoint)), anew=True)
            elif Ability.BROWSE in endpoint.abilities:
                self._begin(self._context.browse(address, None, MOST), anew=True)

    def browse(self, address: Address, start: Start | None = None, force: bool = False, alone: bool = False) -> None:
        """Look at what is in an endpoint.

        Args:
            address: Which.
            start: Where to begin; None: where a user would, at a log's last events and a queue's oldest.
            force: Look even where the broker could lose a message for it.
            alone: Show no other endpoint, whatever is shown now.
        """
        endpoint = self._context.endpoint(address)
        if start is None and endpoint is not None:
            start = newest(endpoint)
        self._keep(address, alone)
        self._begin(self._context.browse(address, start, MOST, force), anew=True)

    def tail(self, address: Address) -> None:
        """Look at what arrives at an endpoint; of a log, its last events come first."""
        endpoint = self._context.endpoint(address)
        start = newest(endpoint) if endpoint is not None else None
        self._keep(address, alone=False)
        self._stop(tail for tail in self._running.get(address, ()) if tail.kind == "tail")
        self._begin(self._context.tail(address, start), anew=start is not None)

    def stop(self) -> None:
        """Let all looks end; what they showed stays."""
        self._stop(self.tails)

    def ended(self) -> list[Ingestion]:
        """The looks that have ended since this was asked last."""
        ended = [tail for tail in self.tails if isinstance(tail.state, Ended) and tail.look not in self._told]
        self._told.update(tail.look for tail in ended)
        return ended

    def _held(self, address: Address) -> list[int]:
        """The looks at an endpoint that show most: its last, or all that a recording has."""
        looks = [number for number, look in self._context.archive.looks.items() if look.address == address]
        return looks if self._context.store is None else looks[-1:]

    def _keep(self, address: Address, alone: bool) -> None:
        """Leave other endpoints, unless several are shown and this is one of them."""
        if alone or address not in self._looks:
            self.show([])
        self._looks.setdefault(address, self._held(address))
        self._everything = False

    def _begin(self, tail: Ingestion, anew: bool) -> None:
        """Show one more look; `anew`: in the place of those before."""
        if anew:
            self._stop(self._running.pop(tail.address, ()))
            self._looks[tail.address] = []
        self._looks.setdefault(tail.address, []).append(tail.look)
        self._running.setdefault(tail.address, []).append(tail)

    def _stop(self, tails: Iterable[Ingestion]) -> None:
        for tail in tails:
            tail.stop()


def state(tail: Ingestion) -> str:
    """How a look stands, in a word or two."""
    match tail.state:
        case "opening":
            return "opening …"
        case "running":
            return "live" if tail.kind == "tail" else f"reading {tail.coverage.read:,}"
        case Interruption(reason=reason):
            return f"lost: {visible(reason, 60)}"
        case Ended(error=None):
            return "stopped" if tail.kind == "tail" else f"{tail.coverage.read:,} read"
        case _:
            return "failed"


def states(tails: Sequence[Ingestion]) -> list[str]:
    """How several looks stand, each state once."""
    return list(dict.fromkeys(map(state, tails)))
