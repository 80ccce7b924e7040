"""Checking a draft while it is written: what it makes, and what its target's broker says of that."""

from collections.abc import Sequence
from contextlib import aclosing

import msgspec

from workbench.model.address import Address
from workbench.model.endpoint import Endpoint
from workbench.model.errors import FormatError, WorkbenchError
from workbench.model.event import Event
from workbench.model.groups import Group
from workbench.model.route import Route
from workbench.model.target_rules import Rules
from workbench.operations.drafts.audience import Audience, audience
from workbench.operations.drafts.model import Draft
from workbench.operations.drafts.render import Rendering, remarks
from workbench.operations.template_process import TemplateProcess
from workbench.session import Session


class Answer(msgspec.Struct, frozen=True):
    """What is known of a draft's target.

    Attributes:
        audience: Who receives the event; None: there is no target that is listed.
        remarks: What to know before it is sent, a sentence each.
        route: Who gets all of the events; None: each its own, or it is not known.
    """

    audience: Audience | None
    remarks: tuple[str, ...]
    route: Route | None = None


class DraftCheck:
    """Checks drafts of one session; what a target can hold is asked for once."""

    def __init__(self, session: Session, templates: TemplateProcess) -> None:
        self._session = session
        self._templates = templates
        self._rules: dict[Address, Rules] = {}
        self._route: tuple[object, Route | None] = (None, None)

    async def first_event(self, draft: Draft, seed: int) -> Event:
        """The first event that a draft makes.

        Raises:
            FormatError: It makes none.
        """
        async with aclosing(Rendering(draft, seed).events(1, self._templates)) as batches:
            async for batch in batches:
                return batch[0]
        raise FormatError("It makes no event.")

    async def ask(
        self, draft: Draft, event: Event | None, endpoint: Endpoint | None, groups: Sequence[Group]
    ) -> Answer:
        """What the target's broker says.

        Args:
            draft: What is to be sent.
            event: The first event that it makes; None: it makes none.
            endpoint: Its target, as it was listed; None: there is none.
            groups: The consumer groups of the target's connection.
        """
        target = self.address(draft)
        rules = await self._rules_of(endpoint)
        said = tuple(remarks(draft, event, target, endpoint, rules))
        if endpoint is None:
            return Answer(self._unlisted_audience(draft, target), said)
        route = await self._route_of(endpoint, event)
        found = audience(endpoint, event.key if event is not None else draft.key, groups, route)
        if route is not None:
            said += tuple(each for each in route.remarks if each.rstrip(".") not in found.sentence)
        # Each event of a template may have another key.
        return Answer(found, said, None if draft.template else route)

    def address(self, draft: Draft) -> Address | None:
        """A draft's target; None: it names none."""
        try:
            return self._session.address(draft.target.strip()) if draft.target.strip() else None
        except WorkbenchError:
            return None

    def _unlisted_audience(self, draft: Draft, target: Address | None) -> Audience | None:
        if not draft.target.strip():
            return None
        if target is None:
            try:
                self._session.address(draft.target.strip())
            except WorkbenchError as error:
                return Audience(str(error).rstrip("."), "wrong")
        return Audience(f"{draft.target.strip()} is not listed", "warn")

    async def _rules_of(self, endpoint: Endpoint | None) -> Rules | None:
        if endpoint is None:
            return None
        address = endpoint.address
        if address not in self._rules:
            try:
                self._rules[address] = await (await self._session.connector(address.connection)).rules(address)
            except WorkbenchError:
                # Sending asks again, and says what is wrong.
                return None
        return self._rules[address]

    async def _route_of(self, endpoint: Endpoint, event: Event | None) -> Route | None:
        if endpoint.family != "routes" or event is None:
            return None
        try:
            asked = (endpoint.address, event.key, event.headers)
        except FormatError:
            return None
        if self._route[0] != asked:
            try:
                connector = await self._session.connector(endpoint.address.connection)
                self._route = asked, await connector.route(endpoint.address, event)
            except WorkbenchError:
                # Nobody is told less than the receipt says.
                self._route = asked, None
        return self._route[1]
