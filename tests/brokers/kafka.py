"""A private Kafka broker."""

from __future__ import annotations

import base64
import os
import socket
import struct
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import md5
from pathlib import Path

from tests.brokers import install
from tests.brokers.certificates import Certificates
from tests.brokers.install import BrokerUnavailable
from tests.brokers.isolation import Daemon, Port, PrivateBroker, StateFolder

_MECHANISMS = ("SCRAM-SHA-256", "SCRAM-SHA-512")
_CONNECTION_STRING = "Endpoint=sb://127.0.0.1/;SharedAccessKeyName=tests;SharedAccessKey=dGVzdHMgb2YgRXZlbnQgSHVicw=="


@dataclass(frozen=True)
class KafkaAddress:
    """Where a Kafka is, and what a client of it needs."""

    bootstrap: str
    """HOST:PORT of the plain listener."""
    url: str
    """The plain listener, without authentication."""
    tls_url: str
    """TLS without SASL; a client certificate is asked for and not demanded."""
    sasl_url: str
    """TLS with SASL by PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512: user alice, password alice-secret."""
    ca_file: str
    client_cert: str
    client_key: str
    connection_string: str = ""
    """As Event Hubs has them: the password of user $ConnectionString, by PLAIN."""


class Kafka(KafkaAddress, PrivateBroker):
    """A Kafka of one node of one's own."""

    def __init__(
        self, name: str, settings: Mapping[str, str] | None = None, heap: str = "1g", cluster: str | None = None
    ) -> None:
        """Start nothing yet.

        Args:
            name: Tells it from others in messages and folders.
            settings: Of the broker's, besides those that every one here has.
            heap: The memory of its Java heap, as Java is told it.
            cluster: The name of the cluster that it is of; None: of one of its own, which is called as it is.
        """
        # Any 16 bytes in base64.
        self._cluster = base64.urlsafe_b64encode(md5((cluster or name).encode()).digest()).decode().rstrip("=")
        self._heap = heap
        self._name = f"Kafka {install.KAFKA_RELEASE} ({name})"
        self._settings = settings or {}
        self._jars = install.kafka()
        self._state = StateFolder(install.cache() / "state", f"kafka-{name}")
        self._plain, self._controller, self._tls, self._sasl = self._ports = [Port() for _ in range(4)]
        self._certificates = Certificates.issue(self._state.path / "certificates")
        super().__init__(
            bootstrap=f"127.0.0.1:{self._plain}",
            url=f"kafka://127.0.0.1:{self._plain}",
            tls_url=f"kafka://127.0.0.1:{self._tls}",
            sasl_url=f"kafka://alice:alice-secret@127.0.0.1:{self._sasl}",
            ca_file=str(self._certificates.ca),
            client_cert=str(self._certificates.client),
            client_key=str(self._certificates.client_key),
            connection_string=_CONNECTION_STRING,
        )
        self._configuration = self._write_configuration()
        self._process = Daemon(
            self._java("kafka.Kafka", str(self._configuration)), os.environ, self._state.path / "kafka.log"
        )

    def start(self) -> None:
        """Start the broker and return when its metadata names it and a controller."""
        if not self._data.exists():
            self._format()
        self._process.start()
        self._process.wait_until(self._knows_itself, self._name)

    @property
    def _data(self) -> Path:
        return self._state.path / "data"

    def _format(self) -> None:
        users = [f"{mechanism}=[name=alice,password=alice-secret]" for mechanism in _MECHANISMS]
        options = [option for user in users for option in ("--add-scram", user)]
        arguments = ["format", "-t", self._cluster, "-c", str(self._configuration), *options]
        done = subprocess.run(
            self._java("kafka.tools.StorageTool", *arguments), capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise BrokerUnavailable(f"{self._name} could not prepare its folder: {done.stdout}{done.stderr}")

    def _java(self, main: str, *arguments: str) -> list[str]:
        temporary = self._state.path / "temporary"
        temporary.mkdir(exist_ok=True)
        return [
            "java",
            f"-Xmx{self._heap}",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            # With these two nothing is written outside the state folder.
            "-XX:-UsePerfData",
            f"-Djava.io.tmpdir={temporary}",
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            "-cp",
            f"{self._jars}/*",
            main,
            *arguments,
        ]

    def _write_configuration(self) -> Path:
        """Write the broker's file (https://kafka.apache.org/documentation/#brokerconfigs)."""
        keystore = self._state.path / "certificates" / "server-keystore.pem"
        keystore.write_bytes(self._certificates.server_key.read_bytes() + self._certificates.server.read_bytes())
        modules = "org.apache.kafka.common.security"
        scram = f"{modules}.scram.ScramLoginModule required;"
        listeners = {"PLAINTEXT": self._plain, "SSL": self._tls, "SASL_SSL": self._sasl}
        advertised = ",".join(f"{listener}://127.0.0.1:{port}" for listener, port in listeners.items())
        settings = {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.voters": f"1@127.0.0.1:{self._controller}",
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "PLAINTEXT",
            "listeners": f"{advertised},CONTROLLER://127.0.0.1:{self._controller}",
            "advertised.listeners": advertised,
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SSL:SSL,SASL_SSL:SASL_SSL",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": keystore,
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": self._certificates.ca,
            "ssl.client.auth": "requested",
            "sasl.enabled.mechanisms": ",".join(("PLAIN", *_MECHANISMS)),
            "listener.name.sasl_ssl.plain.sasl.jaas.config": (
                f'{modules}.plain.PlainLoginModule required user_alice="alice-secret"'
                f' user_$ConnectionString="{_CONNECTION_STRING}";'
            ),
            "listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config": scram,
            "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": scram,
            # A killed broker is let in again when the session of its former life has run out: 9 s by default.
            "broker.session.timeout.ms": 3000,
            "broker.heartbeat.interval.ms": 500,
            "log.dirs": self._data,
            "num.partitions": 1,
            # So that a test sees when a mere look creates the topic.
            "auto.create.topics.enable": "true",
            "group.initial.rebalance.delay.ms": 0,
            "offsets.topic.replication.factor": 1,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
            "share.coordinator.state.topic.replication.factor": 1,
            "share.coordinator.state.topic.min.isr": 1,
            # One partition instead of 50 each: the first use of a group or transaction is quick.
            "offsets.topic.num.partitions": 1,
            "transaction.state.log.num.partitions": 1,
            "share.coordinator.state.topic.num.partitions": 1,
            **self._settings,
        }
        file = self._state.path / "server.properties"
        file.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
        return file

    def _knows_itself(self) -> bool:
        """Whether the broker's metadata names a broker and a controller, which it does once it is unfenced."""
        try:
            brokers, controller = _metadata(self._plain.number)
        except OSError:
            return False
        return brokers > 0 and controller >= 0


def _metadata(port: int) -> tuple[int, int]:
    """Ask for the metadata of no topic and return how many brokers are live, and the controller's id or -1.

    By hand (https://kafka.apache.org/protocol#The_Messages_Metadata, version 1), so that being ready does not
    rest on a client that is under test.
    """
    client = b"tests"
    request = struct.pack(">hhih", 3, 1, 0, len(client)) + client + struct.pack(">i", 0)
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(struct.pack(">i", len(request)) + request)
        with connection.makefile("rb") as stream:
            (size,) = struct.unpack(">i", _read(stream.read(4), 4))
            answer = _read(stream.read(size), size)
    position = 4  # the correlation id
    (brokers,) = struct.unpack_from(">i", answer, position)
    position += 4
    for _ in range(brokers):
        (host,) = struct.unpack_from(">h", answer, position + 4)
        position += 4 + 2 + host + 4
        (rack,) = struct.unpack_from(">h", answer, position)
        position += 2 + max(rack, 0)
    (controller,) = struct.unpack_from(">i", answer, position)
    return brokers, controller


def _read(received: bytes, size: int) -> bytes:
    if len(received) < size:
        raise ConnectionResetError("the broker closed the connection")
    return received
