"""A topic that is published to: a lane for each partition, and which events go into which."""

from collections import deque
from collections.abc import Mapping, Sequence

from connectors.kafka.cluster import Topic
from connectors.kafka.configuration import Limit
from connectors.kafka.partitioner import Partitioner
from connectors.kafka.record_batch import Pack, Producer
from connectors.kafka.retry import Patience
from workbench.model.errors import ConnectorError
from workbench.model.event import Event

_BATCH_SIZE = 512 << 10


class Lane:
    """What is on its way to one partition."""

    __slots__ = ("busy", "leader", "number", "packs", "producer", "target")

    def __init__(self, target: "Target", number: int, leader: int, producer: Producer) -> None:
        self.target = target
        self.number = number
        self.leader = leader
        self.producer = producer
        self.packs: deque[Pack] = deque()
        self.busy = False


class Target:
    """A topic that is published to.

    Attributes:
        topic: Its name.
        largest: How large a batch may be; None: not known.
        batch_size: How many bytes are filled in.
        lanes: By partition.
        patience: With what may pass.
        failure: Why nothing is sent there any more.
    """

    def __init__(self, topic: Topic, identity: tuple[int, int], largest: Limit | None) -> None:
        self.topic = topic.name
        self.largest = largest
        self.batch_size = min(_BATCH_SIZE, largest.bytes if largest else _BATCH_SIZE)
        self.lanes = {
            number: Lane(self, number, leader, Producer(identity)) for number, leader in topic.leaders.items()
        }
        self.patience = Patience()
        self.failure: ConnectorError | None = None
        self._partitioner = Partitioner(len(self.lanes))

    def by_lane(
        self, events: Sequence[Event], first: int, partition: int | None
    ) -> Mapping[Lane, tuple[Sequence[int], Sequence[Event]]]:
        """Which events go into which lane, with their numbers."""
        numbers = range(first, first + len(events))
        if partition is not None:
            return {self.lanes[partition]: (numbers, events)}
        places = self._partitioner.choose(events)
        if isinstance(places, int):
            return {self.lanes[places]: (numbers, events)}
        chosen: list[list[int]] = [[] for _ in self.lanes]
        for index, place in enumerate(places):
            chosen[place].append(index)
        return {
            lane: ([first + index for index in indexes], [events[index] for index in indexes])
            for lane, indexes in zip(self.lanes.values(), chosen, strict=True)
        }
