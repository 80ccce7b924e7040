"""The embedded broker, `memory://NAME`: queues and partitioned logs inside this process, for demos and tests.

Set it up by `embedded_broker(NAME)`; reach it as any other broker by `MemoryConnector`.
"""

from connectors.memory.broker import Broker, embedded_broker
from connectors.memory.connector import MemoryConnector
from connectors.memory.queues import QueueSettings

__all__ = ["Broker", "MemoryConnector", "QueueSettings", "embedded_broker"]
