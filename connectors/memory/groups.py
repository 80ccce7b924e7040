"""Consumer groups of the embedded broker, as the connector protocol tells of them."""

from connectors.memory.broker import Broker
from workbench.model.address import Address
from workbench.model.groups import Group, GroupPartition


def group(broker: Broker, connection: str, name: str) -> Group:
    """A consumer group, as far as it has committed. Its members share the partitions in turn.

    Args:
        broker: Whose.
        connection: The name that addresses use for this broker.
        name: The group's.
    """
    members = broker.members.get(name, ())
    partitions = []
    for (topic, number), committed in sorted(broker.committed[name].items()):
        partition = broker.topics[topic].partitions[number]
        unread = partition.read(max(committed, partition.start), partition.end)
        partitions.append(
            GroupPartition(
                Address(connection, topic),
                str(number),
                str(committed),
                str(partition.end),
                len(unread),
                unread[0].timestamp if unread else None,
                members[number % len(members)].name if members else None,
            )
        )
    return Group(name, "Stable" if members else "Empty", members, tuple(partitions))
