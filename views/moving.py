"""Moving and deleting from a screen: what is asked, the plan that is shown, and what is begun."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from views.dialogs.form import Answers
from views.dialogs.move_form import Options, move_form, options_of
from views.edit_dialog import EditDialog, One
from views.plan_dialog import Decision, PlanDialog
from views.steady_app import KEY_WORK
from views.workbench_screen import WorkbenchScreen
from workbench.decode.display import visible
from workbench.facts.tiers import Tiers
from workbench.model.address import Address
from workbench.model.endpoint import Ability
from workbench.model.errors import StoreError, WorkbenchError
from workbench.model.event import Damaged, Delivery
from workbench.model.wording import quantity
from workbench.operations.browse_defaults import price_of, price_sentence
from workbench.operations.edit.edit import Edit
from workbench.operations.move import moves
from workbench.operations.move.outcome import Ended, Progress
from workbench.operations.move.plan import Plan, save_plan
from workbench.operations.move.planning import Wanted, make_plan

MOST_BYTES: Final = 268_435_456
"""Bytes of selected messages that are taken into memory to plan their move."""


class Scope(msgspec.Struct, frozen=True):
    """Which messages.

    Attributes:
        label: In a few words: "12 marked".
        note: What else is to be known of it; empty: nothing.
        sources: The endpoints that are looked at for it; none where the messages are held already.
        wanted: Gives what is wanted of each source.
    """

    label: str
    note: str
    sources: tuple[Address, ...]
    wanted: Callable[[], Awaitable[Sequence[Wanted]]]


def scope_of(label: str, note: str, sources: Sequence[Address], query: str = "") -> Scope:
    """All messages of endpoints, or those that match a query."""

    async def wanted() -> Sequence[Wanted]:
        return [Wanted(source, query=query) for source in sources]

    return Scope(label, note, tuple(sources), wanted)


def scope_of_held(screen: WorkbenchScreen, label: str, sequences: Sequence[int]) -> Scope:
    """Messages that the archive holds, which are not looked at again: as they came, for they are found by their bytes.

    Args:
        screen: Whose archive.
        label: Of the scope.
        sequences: Their numbers in the archive.
    """

    async def wanted() -> Sequence[Wanted]:
        by_source: dict[Address, list[Delivery]] = {}
        size, gone = 0, ""
        for at in range(0, len(sequences), _PAGE):
            page = sequences[at : at + _PAGE]
            for sequence, each in zip(page, await screen.context.archive.rows(page), strict=True):
                if each is None or isinstance(each, Damaged):
                    raise StoreError("Some of these are damaged or no longer held: browse the endpoint again.")
                verb = screen.context.verb_of(sequence, each)
                if verb and verb != "copied":
                    gone = verb
                    continue
                size += each.memory
                if size > MOST_BYTES:
                    raise StoreError("These are too many to be selected: filter for them, and move what matches.")
                by_source.setdefault(each.address, []).append(each)
        if gone and not by_source:
            raise StoreError(f"{'This was' if len(sequences) == 1 else 'These were'} {gone} already.")
        return [Wanted(source, selected=tuple(some)) for source, some in by_source.items()]

    return Scope(label, "", (), wanted)


_PAGE: Final = 500


def scope_of_one(delivery: Delivery) -> Scope:
    """A message that was seen, as it came."""

    async def wanted() -> Sequence[Wanted]:
        return [Wanted(delivery.address, selected=(delivery,))]

    return Scope("1 selected", f"in {visible(str(delivery.address), 60)}", (), wanted)


class Moving:
    """One move or deletion, from the first question to its beginning."""

    def __init__(self, screen: WorkbenchScreen, scopes: Sequence[Scope], deletes: bool = False) -> None:
        """
        Args:
            screen: On top of which it is asked.
            scopes: Which messages may be meant, the likeliest first.
            deletes: Whether they are deleted, not moved.
        """
        self._screen, self._host, self._session = screen, screen.host, screen.context.session
        self._scopes, self._deletes = scopes, deletes
        self._verb: Final = "delete" if deletes else "move"
        self._title: Final = self._verb.capitalize()
        self._edit_answers: Answers = {}

    def ask(self) -> None:
        """Ask which messages, where to and how."""
        targets = [str(each.address) for each in self._screen.context.endpoints() if Ability.PUBLISH in each.abilities]
        choices = [(scope.label, scope.note) for scope in self._scopes]
        self._host.fill(move_form(self._title, choices, self._deletes, targets, self._session.address), self._take)

    def _take(self, answers: Answers) -> None:
        options = options_of(answers, self._session.address)
        scope = self._scopes[options.scope]
        priced = [
            endpoint
            for address in scope.sources
            if (endpoint := self._screen.context.endpoint(address)) is not None and price_of(endpoint)
        ]
        if not priced:
            self._plan(scope, options)
            return
        depth = sum(each.depth or 0 for each in priced)
        self._host.agree(
            f"Plan by looking at {quantity(len(priced), 'queue')}",
            price_sentence(len(priced), depth, map(price_of, priced)),
            "look and plan",
            partial(self._plan, scope, options),
        )

    def _plan(self, scope: Scope, options: Options, edit: Edit | None = None) -> None:
        async def make(tell: Callable[[str], None]) -> Sequence[Plan]:
            plans = []
            for wanted in await scope.wanted():
                told = partial(_tell_examined, tell, wanted.source)
                told(0)
                plans.append(await make_plan(self._session, self._filled(wanted, options, edit), told))
            if not plans:
                raise StoreError("There is no message.")
            return plans

        permit = partial(moves.permit, self._session)
        dialog = PlanDialog(self._title, make, permit, self._verb, not self._deletes)
        self._screen.app.push_screen(dialog, partial(self._decided, scope, options))

    def _filled(self, wanted: Wanted, options: Options, edit: Edit | None) -> Wanted:
        return msgspec.structs.replace(
            wanted,
            purpose="delete" if self._deletes else "move",
            target=options.target,
            limit=options.limit,
            rate=options.rate,
            canary=options.canary,
            watch=options.watch,
            again=options.again,
            force=options.force,
            edit=edit or Edit(),
        )

    def _decided(self, scope: Scope, options: Options, decision: Decision | None) -> None:
        if decision is None:
            return
        match decision.verdict:
            case "dry run":
                many = quantity(sum(plan.moving for plan in decision.plans), "message")
                self._host.say(f"Dry run: {many} would be {_participle(decision.plans[0])}. Nothing was changed.")
            case "keep":
                self._keep(decision.plans)
            case "edit":
                self._screen.run_worker(self._ask_for_edit(scope, options), group=KEY_WORK)
            case "run":
                self._begin(decision.plans, options.force)

    async def _ask_for_edit(self, scope: Scope, options: Options) -> None:
        selected = [each for wanted in await scope.wanted() for each in wanted.selected or ()]
        one = None
        if len(selected) == 1:
            seen = await self._session.reading.mask_off_loop(selected[0])
            one = One(selected[0].event, seen.event)
        if not self._screen.is_attached:
            return
        dialog = EditDialog(self._edit_answers, Tiers(self._session.conventions.tables), one)

        def plan(answers: Answers) -> None:
            self._edit_answers = answers
            self._plan(scope, options, dialog.edit)

        self._host.fill(dialog, plan)

    def _begin(self, plans: Sequence[Plan], force: bool) -> None:
        async def carry_out(
            tell: Callable[[Progress], None], stopped: asyncio.Event
        ) -> AsyncGenerator[tuple[str, Ended], None]:
            for plan in plans:
                ended = await moves.carry_out(self._session, plan, tell, stopped, force)
                yield plan.id, ended
                if stopped.is_set() or ended.state != "done":
                    break

        self._host.begin_operation("A deletion" if self._deletes else "A move", carry_out)

    def _keep(self, plans: Sequence[Plan]) -> None:
        def keep(name: str) -> None:
            self._screen.run_worker(self._write(plans, Path(name).expanduser()), group="keep plan")

        self._host.ask(
            "Keep the plan",
            "The file to write. `workbench move --plan FILE` runs it later, unless what it is about has changed.",
            keep,
            f"plan-{plans[0].id}.json",
            verb="keep",
        )

    async def _write(self, plans: Sequence[Plan], path: Path) -> None:
        paths = [path] if len(plans) == 1 else [path.with_stem(f"{path.stem}-{n}") for n in range(1, len(plans) + 1)]
        try:
            for plan, place in zip(plans, paths, strict=True):
                await asyncio.to_thread(save_plan, plan, place)
        except WorkbenchError as error:
            self._host.say(str(error), "error")
        else:
            self._host.say(f"Kept in {', '.join(map(str, paths))}: `workbench move --plan {paths[0]}` runs it.")


def _tell_examined(tell: Callable[[str], None], source: Address, examined: int) -> None:
    tell(f"planning {source}: {quantity(examined, 'message')} looked at")


def _participle(plan: Plan) -> str:
    return {"move": "moved", "copy": "copied", "delete": "deleted"}[plan.verb]
