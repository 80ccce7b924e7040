"""Kafka clients' properties files, as they are found in the wild, made into URLs."""

from pathlib import Path

import pytest

from connectors.kafka.properties_file import url_of as kafka_url
from workbench.connecting.config import Connection
from workbench.model.errors import ConfigError


def url_of(tmp_path: Path, text: str) -> tuple[str, str | None]:
    file = tmp_path / "client.properties"
    file.write_text(text)
    return kafka_url(str(file))


def test_a_plain_cluster(tmp_path: Path) -> None:
    url, password = url_of(tmp_path, "# ours\n\n! old style\nbootstrap.servers = one:9092, two:9093\nacks=all\n")
    assert (url, password) == ("kafka://one:9092,two:9093", None)


def test_a_login_as_java_writes_it(tmp_path: Path) -> None:
    url, password = url_of(
        tmp_path,
        "bootstrap.servers: host\\:9092\n"
        "security.protocol=SASL_SSL\n"
        "sasl.mechanism=SCRAM-SHA-512\n"
        "sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required \\\n"
        '    username="op/s" password="p\\\\"w";\n'
        "ssl.truststore.type=PEM\nssl.truststore.location=/etc/ca file.pem\n",
    )
    assert url == "kafka://op%2Fs@host:9092?tls&sasl=scram-sha-512&ca=/etc/ca%20file.pem"
    assert password == 'p"w'
    connection = Connection.parse(f"k={url}")
    assert connection.user == "op/s" and connection.password is None
    assert connection.options["ca"] == "/etc/ca file.pem"


def test_a_login_as_librdkafka_writes_it(tmp_path: Path) -> None:
    url, password = url_of(
        tmp_path,
        "metadata.broker.list=host:9092\nsecurity.protocol=sasl_plaintext\nsasl.mechanisms=PLAIN\n"
        "sasl.username=me\nsasl.password=secret\n",
    )
    assert (url, password) == ("kafka://me@host:9092?sasl=plain", "secret")


def test_client_certificates(tmp_path: Path) -> None:
    url, _ = url_of(
        tmp_path,
        "bootstrap.servers=h:1\nsecurity.protocol=SSL\nssl.ca.location=ca.pem\n"
        "ssl.certificate.location=c.pem\nssl.key.location=k.pem\n",
    )
    assert url == "kafka://h:1?tls&ca=ca.pem&cert=c.pem&key=k.pem"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "names no broker"),
        ("bootstrap.servers=h:1\nsecurity.protocol=MAGIC", "security.protocol is none of PLAINTEXT"),
        ("bootstrap.servers=h:1\nsecurity.protocol=SASL_SSL\nsasl.mechanism=GSSAPI", "'GSSAPI' is none of PLAIN"),
        ("bootstrap.servers=h:1\nsecurity.protocol=SASL_SSL", "has no user"),
        ("bootstrap.servers=h:1\nsecurity.protocol=SSL\nssl.truststore.location=a.jks", "is a Java key store"),
    ],
)
def test_what_cannot_be_said_in_a_url_is_refused(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        url_of(tmp_path, text)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        kafka_url(str(tmp_path / "missing.properties"))
    (tmp_path / "binary.properties").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="is not UTF-8"):
        kafka_url(str(tmp_path / "binary.properties"))
