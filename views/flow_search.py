"""One search for a flow on Trace, and what arrives at it afterwards, as workers of the screen."""

from collections.abc import Callable
from typing import Final

import msgspec
from textual.screen import Screen
from textual.worker import Worker

from views.catch_up import is_running
from views.host import Host
from workbench.model.endpoint import Ability
from workbench.model.errors import WorkbenchError
from workbench.model.event import Delivery
from workbench.model.start import Window
from workbench.operations.trace.following import arrivals
from workbench.operations.trace.forest import Trace
from workbench.operations.trace.gathering import Gathering
from workbench.operations.trace.scope import WINDOWS, Plan, Scope
from workbench.operations.trace.seeds import Seed


class Wanted(msgspec.Struct, frozen=True):
    """What is searched for, and how far.

    Attributes:
        text: The id, or a place and its value, as it was typed.
        begun_with: The event whose flow it is, where it has no id; None: the text alone says.
        chosen: The places in which the value counts; None: any, unless only the user can tell.
        window: Which of `WINDOWS` of topics and streams.
        look: Whether queues are looked into where that costs something, which was agreed to.
    """

    text: str
    begun_with: Delivery | None = None
    chosen: frozenset[str] | None = None
    window: int = 0
    look: bool = False

    @property
    def back(self) -> str:
        """How far back topics and streams are searched, in words."""
        return WINDOWS[self.window][0]


class FlowSearch:
    """A search that begins when it is made. It is over when its worker is, and live while that of what arrives runs."""

    def __init__(
        self, node: Screen[None], host: Host, wanted: Wanted, now: Callable[[], int], changed: Callable[[], object]
    ) -> None:
        """Begin.

        Args:
            node: Whose workers do it.
            host: The program.
            wanted: What is searched for.
            now: The present, in milliseconds since 1970 UTC.
            changed: Called when more was found, or when it is further.
        """
        self.wanted: Final = wanted
        """What is searched for."""
        self.gathering: Gathering | None = None
        """What finds it; None: it is not known yet where to look."""
        self.failure = ""
        """Why nothing could be searched for; empty: it could."""
        self.until = 0
        """Up to when it was searched, in milliseconds since 1970 UTC."""
        self._node: Final = node
        self._host: Final = host
        self._now: Final = now
        self._changed: Final = changed
        self._searcher: Final = node.run_worker(self._search(), group="trace", exclusive=True)
        self._follower: Worker[None] | None = None

    @property
    def found(self) -> Trace:
        """The flow, as far as it is known."""
        return self.gathering.trace if self.gathering is not None else Trace()

    @property
    def is_searching(self) -> bool:
        """Whether more may be found of what is there."""
        return is_running(self._searcher)

    @property
    def was_stopped(self) -> bool:
        """Whether it was stopped before its end."""
        return self._searcher.is_cancelled

    @property
    def is_live(self) -> bool:
        """Whether it goes on with what arrives."""
        return is_running(self._follower)

    @property
    def state(self) -> str:
        """What goes on, for the border; empty: nothing does."""
        if self.is_searching:
            progress = self.gathering.progress if self.gathering is not None else None
            return f"searching {progress.share:.0%}" if progress is not None and progress.total else "searching"
        return "● live" if self.is_live else ""

    def stop(self) -> None:
        """Search no more."""
        self._searcher.cancel()

    def leave(self) -> None:
        """Another takes its place."""
        self._searcher.cancel()
        self.stop_following()

    def owns(self, worker: Worker[object]) -> bool:
        """Whether a worker does this."""
        return worker in (self._searcher, self._follower)

    async def _search(self) -> None:
        wanted, context = self.wanted, self._host.context
        back = WINDOWS[wanted.window][1]
        scope = Scope(window=Window(None if back is None else self._now() - back), look=wanted.look)
        try:
            seed = Seed(wanted.text) if wanted.begun_with is not None else Seed.parse(wanted.text)
            plan = await context.survey(scope) if context.store is not None else Plan()
            self.gathering = Gathering(
                context.session,
                context.archive,
                seed,
                plan,
                scope,
                wanted.chosen,
                context.workers,
                wanted.begun_with,
                self._changed,
            )
            await self.gathering.run()
        except WorkbenchError as error:
            self.failure = str(error)
        finally:
            self.until = self._now()

    async def look_again(self) -> None:
        """See what was stored since; there is nothing to see before the search is over."""
        if self.gathering is not None and not self.is_searching and await self.gathering.look_again():
            self._changed()

    async def catch_up(self) -> None:
        """Make one story of what was found and of what has arrived since."""
        if self.gathering is not None and self.is_live and not self.is_searching:
            await self.gathering.catch_up()

    # What arrives.

    def cannot_follow(self) -> str | None:
        """Why nothing can be followed; None: something can."""
        if self.gathering is None:
            return "Nothing was looked at yet."
        plan = self.gathering.plan
        places = (*plan.logs, *(plan.queues if self.wanted.look else ()))
        if not any(Ability.TAIL in endpoint.abilities for endpoint in places):
            return "Nothing that was looked at can be followed."
        return None

    def follow(self) -> None:
        """Go on with what arrives."""
        self._follower = self._node.run_worker(self._take_arrivals(), group="trace-follow", exclusive=True)

    def stop_following(self) -> None:
        """Leave it at what was found."""
        if self._follower is not None:
            self._follower.cancel()

    async def _take_arrivals(self) -> None:
        gathering = self.gathering
        assert gathering is not None
        async with arrivals(self._host.context.session, gathering.plan, self.wanted.look) as arriving:
            async for batch in arriving:
                for sentence in arriving.news():
                    self._host.say(sentence, "warning")
                if gathering.take(batch):
                    self._changed()
            self._host.say("Nothing is left to follow.", "warning")
