"""Which consumer groups have read an event of a log."""

from collections.abc import Sequence

from workbench.connecting.guard import Guarded
from workbench.model.errors import WorkbenchError
from workbench.model.event import Delivery
from workbench.model.groups import Group
from workbench.model.listing import Listing
from workbench.session import Session


class Passing:
    """Asks each broker once, and remembers."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._told: set[str] = set()
        self._passed: dict[tuple[object, str], list[tuple[str, int]]] = {}

    async def ask(self, deliveries: Sequence[Delivery]) -> None:
        """Ask the brokers of some events for their groups. One that has none, or does not answer, tells nothing."""
        names = {each.address.connection for each in deliveries if each.position is not None}
        for name, answer in (await self._session.ask(names, _groups)).items():
            if isinstance(answer, WorkbenchError):
                continue
            if not answer.gaps and not any(group.gaps and not group.partitions for group in answer):
                self._told.add(name)
            for group in answer:
                for part in group.partitions:
                    if part.committed is not None and part.committed.isdecimal():
                        here = self._passed.setdefault((part.address, part.partition), [])
                        here.append((group.name, int(part.committed)))

    def is_told(self, delivery: Delivery) -> bool:
        """Whether all groups of its connection are known: one that is not may have read it."""
        return delivery.address.connection in self._told

    def of(self, delivery: Delivery) -> Sequence[str]:
        """The groups that have read an event, by name; none where that is not known."""
        position = delivery.position
        if position is None or not position.offset.isdecimal():
            return ()
        groups = self._passed.get((delivery.address, position.partition), ())
        return sorted({name for name, committed in groups if committed > int(position.offset)})


async def _groups(connector: Guarded) -> Listing[Group]:
    return await connector.groups()
