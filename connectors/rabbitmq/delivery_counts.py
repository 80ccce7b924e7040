"""What our own looks have found counted towards a quorum queue's delivery limit: a broker tells it with a delivery
only, which counts itself."""

from typing import Final

import msgspec

from workbench.model.address import Address
from workbench.model.endpoint import Endpoint


class Counted:
    """Remembers of each queue the count that the last look at it left, for as long as its messages seem to be there."""

    def __init__(self) -> None:
        self._left: Final[dict[Address, tuple[int, int]]] = {}

    def note(self, address: Address, used: int | None, depth: int) -> None:
        """A look has ended.

        Args:
            address: Where.
            used: The deliveries counted now for the message that has most; None: not known.
            depth: How many messages it left there.
        """
        if used is not None and depth:
            self._left[address] = used, depth
        else:
            self._left.pop(address, None)

    def annotate(self, endpoint: Endpoint) -> Endpoint:
        """The endpoint, with what is known in its price. Consumers, or fewer messages than there were, mean that the
        one it is known of may be gone."""
        used, depth = self._left.get(endpoint.address, (0, 0))
        if not used or endpoint.cost.limit is None or endpoint.consumers or (endpoint.depth or 0) < depth:
            return endpoint
        cost = endpoint.cost
        told = f"{cost.sentence} {used} of {cost.limit} are used."
        return msgspec.structs.replace(endpoint, cost=msgspec.structs.replace(cost, sentence=told, used=used))
