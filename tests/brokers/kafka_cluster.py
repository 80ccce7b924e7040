"""A Kafka of three nodes of one's own, each a broker and a controller."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from tests.brokers.isolation import Startable
from tests.brokers.kafka import Kafka

_SETTINGS: Mapping[str, str] = {
    "default.replication.factor": "3",
    "offsets.topic.replication.factor": "3",
    "transaction.state.log.replication.factor": "3",
    "transaction.state.log.min.isr": "2",
    # A controller's death is noticed as soon as a broker's.
    "controller.quorum.fetch.timeout.ms": "1500",
    "controller.quorum.election.timeout.ms": "500",
}


class KafkaNode(Kafka):
    """One of the three."""

    def __init__(self, id: int) -> None:
        self.id = id
        super().__init__(f"node-{id}", {"node.id": str(id), **_SETTINGS}, heap="256m", cluster="three")

    def join(self, voters: str) -> None:
        """Write down who the controllers are, before the first start."""
        lines = self._configuration.read_text().splitlines()
        kept = [line for line in lines if not line.startswith("controller.quorum.voters=")]
        self._configuration.write_text("\n".join([*kept, f"controller.quorum.voters={voters}", ""]))

    @property
    def voter(self) -> str:
        """How it is named among the controllers."""
        return f"{self.id}@127.0.0.1:{self._controller}"


class KafkaCluster(Startable):
    """The three, which are started side by side."""

    def __init__(self) -> None:
        self.nodes = {id: KafkaNode(id) for id in (1, 2, 3)}
        for node in self.nodes.values():
            node.join(",".join(each.voter for each in self.nodes.values()))

    @property
    def bootstrap(self) -> str:
        """HOST:PORT of each plain listener."""
        return ",".join(node.bootstrap for node in self.nodes.values())

    @property
    def url(self) -> str:
        """The plain listeners, without authentication."""
        return f"kafka://{self.bootstrap}"

    def start(self) -> None:
        """Start those that do not run and return when all are ready; one alone could not elect a controller."""
        with ThreadPoolExecutor(len(self.nodes)) as pool:
            list(pool.map(KafkaNode.start, self.nodes.values()))

    def remove(self) -> None:
        """End all, and leave no process, port or file of them."""
        for node in self.nodes.values():
            node.remove()
