"""The demo: a shop on the embedded broker, alive, to try everything on.

`demo://shop/rabbit` is its queues, `demo://shop/kafka` its topics; the options are `Settings` of `shop.py`.
"""

from connectors.memory.demo.connector import DemoConnector

__all__ = ["DemoConnector"]
