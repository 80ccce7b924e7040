"""Apache Kafka: topics, read and written through aiokafka's connections, protocol and record batches.

`connector.py` is what the core sees. It stands on `reader.py` (browse and tail), `scan.py` (search), `publisher.py`,
`claims.py` and `groups.py`; these on `fetching.py` (partitions to their ends, through whatever happens to brokers), on
`channel.py`, `fetch.py`, `produce.py` and `records.py` (bytes without copies), `needles.py` and `ledger.py`; all on
`cluster.py` (brokers, leaders, offsets), `settings.py` (what a URL says) and `failures.py` (what went wrong, in one
sentence).
"""

from connectors.kafka.connector import KafkaConnector

__all__ = ["KafkaConnector"]
