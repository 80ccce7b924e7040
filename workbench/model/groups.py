"""Consumer groups: who reads a log, and how far they have got."""

import msgspec

from workbench.model.address import Address
from workbench.model.look import Gap


class Member(msgspec.Struct, frozen=True):
    """One consumer of a group, as its broker knows it.

    Attributes:
        name: The id that the broker gave it.
        client: The name it gave itself.
        host: Where it is.
    """

    name: str
    client: str
    host: str


class GroupPartition(msgspec.Struct, frozen=True):
    """How far a group has got in one partition.

    Attributes:
        address: The topic or stream.
        partition: Which of its partitions.
        committed: The offset of the next event to read; None where the group has committed none.
        end: The offset behind the last event.
        lag: Events not read, counted in offsets; all that are there where nothing is committed.
        oldest_unread: The time of the next event to read, in milliseconds since 1970 UTC; None where there is none, or
            where it is not known.
        member: Who reads it now, by name; several share it in a share group; None: nobody.
    """

    address: Address
    partition: str
    committed: str | None
    end: str
    lag: int
    oldest_unread: int | None = None
    member: str | None = None


class Group(msgspec.Struct, frozen=True):
    """One consumer group, down to the partitions that it reads or has committed an offset for.

    Attributes:
        name: Its name.
        state: In the broker's words.
        members: Who is in it now.
        partitions: How far it has got, in the order of topics and partitions.
        kind: What it is, in the broker's words; empty where it has but one kind of group.
        gaps: What of it could not be told, and why.
    """

    name: str
    state: str
    members: tuple[Member, ...] = ()
    partitions: tuple[GroupPartition, ...] = ()
    kind: str = ""
    gaps: tuple[Gap, ...] = ()

    @property
    def lag(self) -> int:
        """Events not read, in all partitions together."""
        return sum(partition.lag for partition in self.partitions)

    @property
    def oldest_unread(self) -> int | None:
        """The time of the oldest event not read, in milliseconds since 1970 UTC; None where there is none."""
        return min((each.oldest_unread for each in self.partitions if each.oldest_unread is not None), default=None)
