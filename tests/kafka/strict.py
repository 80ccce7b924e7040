"""A Kafka that permits its users nothing but what a test permits them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.admin import CreateAclsRequest

from tests.brokers.kafka import Kafka

READ, WRITE, DESCRIBE = 3, 4, 8
TOPIC, GROUP, CLUSTER, TRANSACTION = 2, 3, 4, 5
EXACTLY, PREFIX = 3, 4
"""Operations, resources and patterns of ACLs by number (https://kafka.apache.org/protocol)."""

USERS: Final = ("alice", "blind", "seer", "reader", "half", "writer", "mover", "carrier", "boss")
"""They log in by PLAIN; `boss` is a super user."""


class Permission(NamedTuple):
    """An operation that is allowed.

    Attributes:
        operation: Which.
        resource: On what kind of thing.
        name: Its name.
        pattern: Whether that is the whole name.
    """

    operation: int
    resource: int
    name: str
    pattern: int = EXACTLY


class StrictKafka(Kafka):
    """A Kafka with an authorizer; and whoever comes over TLS without a login is sent on to where nobody listens."""

    def login(self, user: str) -> str:
        """A user's URL, on the listener with a login."""
        host = self.sasl_url.rpartition("@")[2]
        return f"kafka://{user}:{user}-secret@{host}?ca={self.ca_file}&sasl=plain"

    def _write_configuration(self) -> Path:
        file = super()._write_configuration()
        lines = dict(line.split("=", 1) for line in file.read_text().splitlines())
        lines["advertised.listeners"] = lines["advertised.listeners"].replace(
            f"SSL://127.0.0.1:{self._tls},SASL", "SSL://nowhere.invalid:9093,SASL"
        )
        passwords = {user: f"{user}-secret" for user in USERS} | {"$ConnectionString": self.connection_string}
        logins = " ".join(f'user_{user}="{password}"' for user, password in passwords.items())
        module = "org.apache.kafka.common.security.plain.PlainLoginModule"
        lines["listener.name.sasl_ssl.plain.sasl.jaas.config"] = f"{module} required {logins};"
        lines["authorizer.class.name"] = "org.apache.kafka.metadata.authorizer.StandardAuthorizer"
        lines["super.users"] = "User:ANONYMOUS;User:boss"
        file.write_text("".join(f"{key}={value}\n" for key, value in lines.items()))
        return file


async def permit(broker: Kafka, user: str, permissions: Sequence[Permission]) -> None:
    """Permit a user something; it is so a little later."""
    everywhere, allow = "*", 3
    client = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap)
    await client.start()
    try:
        for operation, resource, name, pattern in permissions:
            request = CreateAclsRequest(resource, name, pattern, f"User:{user}", everywhere, operation, allow)
            answer = await client._client.send(1, request)
            assert [code for code, _ in answer.creation_responses] == [0]
    finally:
        await client.close()
