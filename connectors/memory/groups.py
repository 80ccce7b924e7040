"""Consumer groups of the embedded broker, as the connector protocol tells of them."""

from connectors.memory.broker import Broker
from workbench.model.address import Address
from workbench.model.groups import Group, GroupPartition


def group(broker: Broker, connection: str, name: str) -> Group:
    """A consumer group, as far as it has committed: the embedded broker knows of no members.

    Args:
        broker: Whose.
        connection: The name that addresses use for this broker.
        name: The group's.
    """
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
            )
        )
    return Group(name, "Empty", (), tuple(partitions))
