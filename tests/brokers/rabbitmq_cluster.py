"""A RabbitMQ of three nodes of one's own."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from tests.brokers.isolation import Port, Startable
from tests.brokers.rabbitmq import RabbitMQ

_COOKIE = "event-workbench-tests"
"""What nodes show to one another (https://www.rabbitmq.com/docs/clustering#erlang-cookie)."""


class RabbitMQNode(RabbitMQ):
    """One of the three."""

    def __init__(self, name: str, first: RabbitMQNode | None = None) -> None:
        """Start nothing yet.

        Args:
            name: Tells it from others in messages and folders.
            first: Whose port mapper it uses; None: it is the first.
        """
        self._first = first
        super().__init__(name)
        cookie = self._state.path / ".erlang.cookie"
        cookie.write_text(_COOKIE)
        cookie.chmod(0o400)
        if first is not None:
            self._epmd = first._epmd

    def join(self, nodes: Sequence[str]) -> None:
        """Write down who is in the cluster, before the first start."""
        listed = [f"cluster_formation.classic_config.nodes.{number} = {node}" for number, node in enumerate(nodes, 1)]
        with (self._state.path / "rabbitmq.conf").open("a") as file:
            file.write("\n".join(["\ncluster_formation.peer_discovery_backend = classic_config", *listed, ""]))

    @property
    def host(self) -> str:
        """HOST:PORT of AMQP."""
        return f"127.0.0.1:{self._amqp}"

    @property
    def node(self) -> str:
        """Its name in the cluster."""
        return self._environment["RABBITMQ_NODENAME"]

    @property
    def _mapper(self) -> Port:
        return self._epmd_port if self._first is None else self._first._mapper


class RabbitMQCluster(Startable):
    """The three, which are started side by side."""

    def __init__(self) -> None:
        first = RabbitMQNode("node-1")
        self.nodes = [first, *(RabbitMQNode(f"node-{number}", first) for number in (2, 3))]
        for node in self.nodes:
            node.join([each.node for each in self.nodes])

    @property
    def url(self) -> str:
        """AMQP as the administrator, with all hosts."""
        return f"amqp://guest:guest@{','.join(node.host for node in self.nodes)}"

    def start(self) -> None:
        """Start those that do not run, and return when all are ready."""
        self.nodes[0]._epmd.start()
        self.nodes[0]._epmd.wait_until(lambda: self.nodes[0]._mapper.listening, "epmd")
        with ThreadPoolExecutor(len(self.nodes)) as pool:
            list(pool.map(RabbitMQNode.start, self.nodes))

    def remove(self) -> None:
        """End all, and leave no process, port or file of them."""
        for node in reversed(self.nodes):
            node.remove()
