"""What a user is told when a cluster cannot be reached or used."""

import socket

import pytest

from connectors.kafka import KafkaConnector
from tests.brokers.kafka import KafkaAddress
from tests.kafka.conftest import connect
from workbench.connecting.config import Connection
from workbench.model.errors import AccessRefused, ConfigError, ConnectionLost, WorkbenchError

SECRET = "not-the-password"


async def failure(connector: KafkaConnector) -> str:
    with pytest.raises(WorkbenchError) as caught:
        async with connector:
            await connector.endpoints()
    assert SECRET not in str(caught.value)
    return f"{type(caught.value).__name__}: {caught.value}"


async def test_a_port_where_nobody_listens_is_named() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert await failure(connect(f"kafka://127.0.0.1:{port}")) == (
        f"ConnectionLost: Kafka cannot be reached at 127.0.0.1:{port}: nobody listens there."
    )


async def test_an_unknown_host_is_named() -> None:
    assert "there is no host of that name" in await failure(connect("kafka://nowhere.invalid"))


async def test_the_next_host_is_tried_when_the_first_does_not_answer(kafka: KafkaAddress) -> None:
    async with connect(f"kafka://nowhere.invalid:1,{kafka.bootstrap}") as connector:
        assert await connector.endpoints() is not None


@pytest.mark.parametrize("mechanism", ["plain", "scram-sha-256", "scram-sha-512"])
async def test_a_user_gets_in_over_tls_by_each_mechanism(kafka: KafkaAddress, mechanism: str) -> None:
    async with connect(kafka.sasl_url, tls="", ca=kafka.ca_file, sasl=mechanism) as connector:
        assert await connector.endpoints() is not None


@pytest.mark.parametrize("mechanism", ["plain", "scram-sha-256", "scram-sha-512"])
async def test_a_wrong_password_is_told_as_such(kafka: KafkaAddress, mechanism: str) -> None:
    url = kafka.sasl_url.replace("alice-secret", SECRET)
    said = await failure(connect(url, ca=kafka.ca_file, sasl=mechanism))
    assert said.startswith("LoginRefused: ")
    assert said.endswith("does not let user 'alice' in: the name or the password is wrong.")


async def test_a_login_where_none_is_asked_for_is_told(kafka: KafkaAddress) -> None:
    said = await failure(connect(f"kafka://alice:{SECRET}@{kafka.bootstrap}"))
    assert said.startswith("AccessRefused: ")
    assert "has no authentication" in said


async def test_a_missing_login_is_told(kafka: KafkaAddress) -> None:
    said = await failure(connect(kafka.sasl_url.replace("alice:alice-secret@", ""), ca=kafka.ca_file))
    assert "it may expect" in said and "a login" in said


async def test_missing_tls_is_told(kafka: KafkaAddress) -> None:
    assert "TLS (then add ?tls)" in await failure(connect(kafka.tls_url))


async def test_tls_where_none_is_spoken_is_told(kafka: KafkaAddress) -> None:
    assert "no TLS (then leave out ?tls)" in await failure(connect(kafka.url, tls=""))


async def test_a_certificate_of_an_unknown_authority_is_told(kafka: KafkaAddress) -> None:
    assert "ca=FILE names its authority" in await failure(connect(kafka.tls_url, tls=""))


async def test_a_client_certificate_is_shown(kafka: KafkaAddress) -> None:
    async with connect(kafka.tls_url, ca=kafka.ca_file, cert=kafka.client_cert, key=kafka.client_key) as connector:
        assert await connector.endpoints() is not None


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("kafka://h?colour=red", "'colour' is no option of kafka:// connections"),
        ("kafka://h/topic", "kafka:// connections have no path"),
        ("kafka://u:p@h?sasl=gssapi", "there are plain, scram-sha-256, scram-sha-512"),
        ("kafka://h?sasl=plain", "sasl= needs a user"),
        ("kafka://u@h", "has no password"),
        ("kafka://h?key=k.pem", "add cert=FILE"),
        ("kafka://h?tls=maybe", "tls takes no value"),
    ],
)
def test_an_option_that_cannot_be_used_is_refused(url: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        KafkaConnector(Connection.parse(url))


async def test_a_file_that_is_missing_or_holds_something_else_is_named(kafka: KafkaAddress) -> None:
    assert "ca=/nowhere.pem is not a file" in await failure(connect(kafka.tls_url, ca="/nowhere.pem"))
    assert "holds no certificate" in await failure(connect(kafka.tls_url, ca=__file__))


async def test_nothing_is_logged_where_a_user_would_see_it(
    kafka: KafkaAddress, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(AccessRefused):
        async with connect(kafka.sasl_url.replace("alice-secret", SECRET), ca=kafka.ca_file) as connector:
            await connector.endpoints()
    with pytest.raises(ConnectionLost):
        async with connect("kafka://nowhere.invalid") as connector:
            await connector.endpoints()
    assert capfd.readouterr() == ("", "")
