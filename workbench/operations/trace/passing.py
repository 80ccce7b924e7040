"""Which consumer groups have read an event of a log."""

from collections.abc import Sequence

from workbench.connecting.guard import Guarded
from workbench.model.errors import WorkbenchError
from workbench.model.event import Delivery
from workbench.model.groups import Group
from workbench.session import Session


class Passing:
    """Asks each broker once, and remembers."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._passed: dict[tuple[object, str], list[tuple[str, int]]] = {}

    async def ask(self, deliveries: Sequence[Delivery]) -> None:
        """Ask the brokers of some events for their groups. One that has none, or does not answer, tells nothing."""
        names = {each.address.connection for each in deliveries if each.position is not None}
        for answer in (await self._session.ask(names, _groups)).values():
            if isinstance(answer, WorkbenchError):
                continue
            for group in answer:
                for part in group.partitions:
                    if part.committed is not None and part.committed.isdecimal():
                        here = self._passed.setdefault((part.address, part.partition), [])
                        here.append((group.name, int(part.committed)))

    def of(self, delivery: Delivery) -> Sequence[str]:
        """The groups that have read an event, by name; none where that is not known."""
        position = delivery.position
        if position is None or not position.offset.isdecimal():
            return ()
        groups = self._passed.get((delivery.address, position.partition), ())
        return sorted({name for name, committed in groups if committed > int(position.offset)})


async def _groups(connector: Guarded) -> Sequence[Group]:
    return await connector.groups()
