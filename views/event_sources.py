"""Which endpoints a screen shows, and by which looks."""

import time
from collections.abc import Iterable, Sequence
from typing import Final, Literal

import msgspec

from views.app_context import AppContext
from views.widgets.progress_row import Progress
from workbench.decode.display import visible
from workbench.model.address import Address
from workbench.model.endpoint import Ability, Endpoint
from workbench.model.errors import LookRefused
from workbench.model.look import Interruption
from workbench.model.start import Start, Window
from workbench.operations.browse_defaults import LAST, opening_of, place_of
from workbench.query.query import Query
from workbench.store.ingest import Ended, Ingestion

_LONG: Final = 1.0
"""Seconds from which it is shown how far a browse is."""


def found_text(search: Ingestion) -> str:
    """What a search has found so far, and in how much: `12 found in 2,000,000`."""
    return f"{search.count:,} found in {search.coverage.read:,}"


class EventSources:
    """The endpoints whose events are shown. An endpoint's new look takes the place of those before, unless it only adds
    what arrives."""

    def __init__(self, context: AppContext) -> None:
        self._context: Final = context
        self._looks: dict[Address, list[int]] = {}
        self._begun: dict[Address, list[Ingestion]] = {}
        self._reported: set[int] = set()
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
    def partly_read(self) -> str:
        """How much of how much was read, where looks have ended before all was: `500 of 2,000,000 read`; else empty."""
        browsed = [each for each in self.ingestions if isinstance(each.state, Ended) and each.kind == "browse"]
        return ", ".join(self._depth_text(each) for each in browsed if self._total(each) > each.coverage.read)

    @property
    def without_events(self) -> str:
        """What is so where there is no event, in a word or two; empty: no endpoint was opened."""
        if not self._looks:
            return "nothing held" if self._everything else ""
        kinds = {each.kind for each in self.running}
        if kinds:
            return "reading…" if "browse" in kinds else "searching…" if "scan" in kinds else "nothing yet"
        return "nothing held" if any(self._looks.values()) else "not read yet"

    @property
    def progress(self) -> Progress | None:
        """How far the searches that go on are, or the browses, where they take long; None: none does."""
        now = time.time()
        searching = [each for each in self.running if each.kind == "scan"]
        reading = searching or [each for each in self.running if each.kind == "browse"]
        seconds = max((now - self._context.archive.looks[each.look].at / 1000 for each in reading), default=0.0)
        if searching:
            covered = [each.coverage for each in searching]
            done, total = sum(each.read for each in covered), sum(each.total or 0 for each in covered)
            return Progress(done, max(total, done), seconds, what="searched", stop="esc stops")
        if seconds < _LONG:
            return None
        done = sum(each.coverage.read for each in reading)
        total = sum(min(self._total(each) or LAST, LAST) for each in reading)
        return Progress(done, max(total, done), seconds, what="read", stop="esc stops")

    @property
    def searches(self) -> list[Ingestion]:
        """The searches whose findings are shown."""
        return [each for each in self.ingestions if each.kind == "scan"]

    @property
    def states(self) -> list[str]:
        """How the looks stand, each state once."""
        return list(dict.fromkeys(map(self._state_of, self.ingestions)))

    def _state_of(self, ingestion: Ingestion) -> str:
        """How a look stands, in a word or two."""
        if ingestion.kind == "scan" and ingestion.state in ("opening", "running"):
            return "searching …"
        match ingestion.state:
            case "opening":
                return "opening …"
            case "running":
                return "live" if ingestion.kind == "tail" else f"reading: {self._depth_text(ingestion)}"
            case Interruption(reason=reason):
                return f"lost: {visible(reason, 60)}"
            case Ended(error=None):
                return "stopped" if ingestion.kind == "tail" else self._depth_text(ingestion)
            case _:
                return "failed"

    def _depth_text(self, ingestion: Ingestion) -> str:
        if ingestion.kind == "scan":
            return found_text(ingestion)
        return msgspec.structs.replace(ingestion.coverage, total=self._total(ingestion) or None).counted

    def _total(self, ingestion: Ingestion) -> int:
        """How many events a look could have read, where that is known, else 0."""
        coverage, endpoint = ingestion.coverage, self._context.endpoint(ingestion.address)
        if coverage.total is not None:
            return coverage.total
        # What a queue holds is as old as its listing, and some of it may be others': it is told where a look stopped.
        return (endpoint.depth or 0) if endpoint is not None and coverage.read >= LAST else 0

    @property
    def ingestions(self) -> list[Ingestion]:
        """The looks that this screen began, those that have ended too."""
        return [each for begun in self._begun.values() for each in begun]

    @property
    def running(self) -> list[Ingestion]:
        """The looks that have not ended."""
        return [each for each in self.ingestions if not isinstance(each.state, Ended)]

    @property
    def refused(self) -> Ingestion | None:
        """The look that the broker could lose a message for, and that was not made."""
        for each in self.ingestions:
            if isinstance(each.state, Ended) and isinstance(each.state.error, LookRefused):
                return each
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
        for address in [each for each in self._begun if each not in wanted]:
            self._stop(self._begun.pop(address))
        self._looks = {address: self._looks.get(address) or self._looks_at(address) for address in wanted}
        for address in wanted:
            endpoint = self._context.endpoint(address)
            if endpoint is None or self._context.store is None:
                continue
            if any(each in self._begun.get(address, ()) for each in self.running):
                continue
            match opening_of(endpoint):
                case "tail":
                    self.tail(address)
                case "browse":
                    self.browse(address)

    def show_together(self, addresses: Sequence[Address]) -> list[str]:
        """Show several endpoints in one list, of each what is held and what arrives.

        Returns:
            Why nothing that arrives is shown of some of them, a sentence each.
        """
        self.show(addresses)
        reasons = []
        for address in addresses if self._context.store is not None else ():
            endpoint = self._context.endpoint(address)
            name = visible(str(address), 60)
            if endpoint is None:
                reasons.append(f"{name} is not listed now.")
            elif Ability.TAIL not in endpoint.abilities:
                reasons.append(f"{name} is not live: what arrives there cannot be shown without consuming it.")
            elif not self.is_live(address):
                self.tail(address)
        return reasons

    def is_live(self, address: Address) -> bool:
        """Whether what arrives at an endpoint is shown."""
        return any(each.kind == "tail" and each in self.running for each in self._begun.get(address, ()))

    def browse(self, address: Address, start: Start | None = None, force: bool = False, alone: bool = False) -> None:
        """Look at what is in an endpoint.

        Args:
            address: Which.
            start: Where to begin; None: where `reading` says.
            force: Look even where the broker could lose a message for it.
            alone: Show no other endpoint, whatever is shown now.
        """
        endpoint = self._context.endpoint(address)
        limit: int | None = LAST
        if endpoint is not None:
            start, limit = place_of(endpoint, start, LAST)
        self._keep(address, alone)
        self._begin(self._context.browse(address, start, limit, force), anew=True)

    def tail(self, address: Address) -> None:
        """Look at what arrives at an endpoint; of a log, its last events come first."""
        endpoint = self._context.endpoint(address)
        start = place_of(endpoint, None, LAST)[0] if endpoint is not None else None
        self._keep(address, alone=False)
        self._stop(each for each in self._begun.get(address, ()) if each.kind == "tail")
        self._begin(self._context.tail(address, start), anew=start is not None)

    def search(self, endpoints: Sequence[Endpoint], query: Query, window: Window) -> None:
        """Show what is found in logs, and nothing else of them.

        Args:
            endpoints: Where.
            query: What for.
            window: Of which time.
        """
        self.show([])
        for endpoint in endpoints:
            self._begin(self._context.search(endpoint, query, window), anew=True)

    def stop(self, kind: Literal["browse", "tail", "scan"] | None = None) -> None:
        """Let all looks end, or all of a kind; what they showed stays."""
        self._stop(each for each in self.ingestions if kind in (None, each.kind))

    def take_ended(self) -> list[Ingestion]:
        """The looks that have ended since this was asked last."""
        ended = [each for each in self.ingestions if isinstance(each.state, Ended) and each.look not in self._reported]
        self._reported.update(each.look for each in ended)
        return ended

    def _looks_at(self, address: Address) -> list[int]:
        """The looks at an endpoint that show most: its last, or all that a recording has."""
        looks = [
            number
            for number, look in self._context.archive.looks.items()
            if look.address == address and look.kind != "scan"
        ]
        return looks if self._context.store is None else looks[-1:]

    def _keep(self, address: Address, alone: bool) -> None:
        """Leave other endpoints, unless several are shown and this is one of them."""
        if alone or address not in self._looks:
            self.show([])
        self._looks.setdefault(address, self._looks_at(address))
        self._everything = False

    def _begin(self, ingestion: Ingestion, anew: bool) -> None:
        """Show one more look; `anew`: in the place of those before."""
        address = ingestion.address
        if anew:
            self._stop(self._begun.pop(address, ()))
            self._looks[address] = []
        self._looks.setdefault(address, []).append(ingestion.look)
        self._begun.setdefault(address, []).append(ingestion)

    def _stop(self, ingestions: Iterable[Ingestion]) -> None:
        for each in ingestions:
            each.stop()
