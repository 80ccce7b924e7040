"""Apache Kafka: topics, read and written through aiokafka's connections, protocol and record batches.

`connector.py` is what the core sees, and `event_hubs.py` the same for a service that is like Kafka. It stands on
`reader.py` (browse and tail), `scan.py` (search), `publisher.py` and `groups.py`; these on `fetcher.py` (partitions to
their ends, through whatever happens to brokers), on `channel.py`, `fetch_protocol.py`, `fetch_session.py`, `produce.py`
and `records.py` (bytes without copies) and `ledger.py`; all on `cluster.py` (brokers, leaders,
offsets), `settings.py` (what a URL says), `driver.py` (aiokafka, of which `late_import.py` holds back what is not used)
and `errors.py` (what went wrong, in one sentence).
"""

from connectors.kafka.late_import import import_late

# Before any module that imports aiokafka.
import_late("aiokafka")

from connectors.kafka.connector import KafkaConnector  # noqa: E402

__all__ = ["KafkaConnector"]
