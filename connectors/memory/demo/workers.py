"""Those who work in the shop: each takes one event after another, and needs a while for it."""

from collections.abc import Callable
from typing import Literal, TypeAlias

from connectors.memory.broker import Broker
from connectors.memory.demo.scheduler import Agenda
from connectors.memory.queues import Message
from workbench.model.event import Event

Verdict = Literal["acknowledge", "reject", "return"]
Pause: TypeAlias = Callable[[], float]
"""How long the next piece of work takes, in milliseconds."""


class QueueWorker:
    """Consumes a queue."""

    def __init__(
        self,
        broker: Broker,
        agenda: Agenda,
        queue: str,
        tag: str,
        prefetch: int,
        pause: Pause,
        work: Callable[[Event], Verdict],
    ) -> None:
        self._agenda = agenda
        self._pause = pause
        self._work = work
        self._held: list[Message] = []
        self.busy = False
        """Whether something is being done: there is no need to look."""
        self.consumer = broker.consume(queue, tag, prefetch)

    def look(self) -> None:
        """Begin, if there is something to do and nothing is being done."""
        if not self.busy and (self._held or self.consumer.queue.depth):
            self.busy = True
            self._agenda.after(self._pause(), self._step)

    def _step(self) -> None:
        self.busy = False
        if not self._held:
            self._held = self.consumer.take(self.consumer.prefetch)
        # Somebody else, a user's look among them, may have been quicker.
        if self._held:
            message = self._held.pop(0)
            match self._work(message.event):
                case "acknowledge":
                    self.consumer.acknowledge([message])
                case "reject":
                    self.consumer.reject([message])
                case "return":
                    self.consumer.give_back([message])


class TopicReader:
    """Reads a topic for a consumer group, one event at a time, and commits each."""

    def __init__(
        self,
        broker: Broker,
        agenda: Agenda,
        group: str,
        topic: str,
        pause: Pause,
        work: Callable[[Event, int, int], None],
        last: Callable[[Event], bool] = lambda event: False,
    ) -> None:
        """Read from what the group has committed.

        Args:
            broker: Where the topic is.
            agenda: When the next event is read.
            group: Its consumer group.
            topic: What it reads.
            pause: How long an event takes.
            work: Is given an event, its partition and its offset.
            last: Which event this group cannot get past, in whichever partition it comes.
        """
        self._broker = broker
        self._agenda = agenda
        self._group = group
        self._topic = broker.topics[topic]
        self._pause = pause
        self._work = work
        self._last = last
        self._next = [0] * len(self._topic.partitions)
        self._stuck: set[int] = set()
        self._turn = 0
        self.busy = False
        """Whether an event is being read: there is no need to look."""
        self._examined = 0
        """How many events had come in when nothing was left to read."""

    def look(self) -> None:
        """Begin, if there is something to do and nothing is being done."""
        if self.busy or self._examined == self._topic.published:
            return
        if self._unread() is None:
            self._examined = self._topic.published
        else:
            self.busy = True
            self._agenda.after(self._pause(), self._step)

    def _step(self) -> None:
        self.busy = False
        number = self._unread()
        if number is None:
            return
        partition = self._topic.partitions[number]
        offset = max(self._next[number], partition.start)
        (event,) = partition.read(offset, offset + 1)
        if self._last(event):
            self._stuck.add(number)
            return
        self._turn = number + 1
        self._next[number] = offset + 1
        self._work(event, number, offset)
        self._broker.commit(self._group, self._topic.name, number, offset + 1)

    def _unread(self) -> int | None:
        """A partition with an event to read; all get their turns."""
        count = len(self._next)
        for step in range(count):
            number = (self._turn + step) % count
            if self._next[number] < self._topic.partitions[number].end and number not in self._stuck:
                return number
        return None
