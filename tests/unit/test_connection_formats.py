"""Connections as others write them: connection strings, and clients' configuration files."""

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from workbench.connecting.config import Connection, without_secrets
from workbench.connecting.config_edit import add
from workbench.connecting.config_file import ConfigFile
from workbench.connecting.connection_formats import connection_of, is_connection, url_of
from workbench.model.errors import ConfigError

KEY = "c2VjcmV0IG9mIHRoZSBuYW1lc3BhY2U="
STRING = f"Endpoint=sb://ns.example/;SharedAccessKeyName=ops;SharedAccessKey={KEY}"
HUB = f"{STRING};EntityPath=orders"


def parts(connection: Connection) -> tuple[object, ...]:
    password = connection.password and connection.password.reveal()
    return connection.name, connection.scheme, connection.hosts, connection.user, password, connection.path


@pytest.mark.parametrize(
    ("text", "name", "path"),
    [
        (STRING, "ns.example", None),
        (HUB, "ns.example", "orders"),
        (f"shop={HUB}", "shop", "orders"),
        (f"my shop={STRING}", "my shop", None),
        (f"  {STRING};\n", "ns.example", None),
        (f"shop= {STRING}", "shop", None),
        (f"Endpoint={STRING}", "Endpoint", None),
    ],
)
def test_a_connection_string_is_taken_for_a_url(text: str, name: str, path: str | None) -> None:
    assert is_connection(text)
    assert parts(connection_of(text)) == (name, "eventhubs", (("ns.example", None),), "ops", KEY, path)


def test_keys_come_in_any_order() -> None:
    mixed = f"EntityPath=orders;SharedAccessKey={KEY};SharedAccessKeyName=ops;Endpoint=sb://ns.example/"
    assert parts(connection_of(mixed)) == ("ns.example", "eventhubs", (("ns.example", None),), "ops", KEY, "orders")
    first = f"SharedAccessKey={KEY};EntityPath=orders;SharedAccessKeyName=ops;Endpoint=sb://ns.example/"
    assert parts(connection_of(first)) == ("ns.example", "eventhubs", (("ns.example", None),), "ops", KEY, "orders")


@pytest.mark.parametrize("text", [f"SharedAccessKeyName=ops;SharedAccessKey={KEY}", f"shop=SharedAccessKey={KEY};a=b"])
def test_what_is_no_connection_string_is_refused_without_its_key(text: str) -> None:
    with pytest.raises(ConfigError, match="is not a connection") as caught:
        connection_of(text)
    assert KEY not in str(caught.value)


def test_keys_are_read_however_they_are_written() -> None:
    odd = f"Endpoint=SB://ns.example:1234;sharedaccesskeyname=a/b@c ;SHAREDACCESSKEY={KEY};TransportType=Amqp"
    assert parts(connection_of(odd)) == ("ns.example", "eventhubs", (("ns.example", 1234),), "a/b@c", KEY, None)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (f"Endpoint=;SharedAccessKeyName=ops;SharedAccessKey={KEY}", "names no namespace"),
        (f"Endpoint=https://ns/;SharedAccessKeyName=ops;SharedAccessKey={KEY}", "names no namespace"),
        (f"Endpoint=sb://u:{KEY}@ns/;SharedAccessKeyName=ops", "names no namespace"),
        (f"Endpoint=sb://[ns/;SharedAccessKeyName=ops;SharedAccessKey={KEY}", "names no namespace"),
        (f"Endpoint=sb://ns/;SharedAccessKey={KEY}", "names no policy"),
        (f"Endpoint=sb://ns/;SharedAccessSignature=SharedAccessSignature sr=ns&sig={KEY}", "names no policy"),
        (f"Endpoint=sb://ns:port/;SharedAccessKeyName=ops;SharedAccessKey={KEY}", "is not host:port"),
    ],
)
def test_what_is_wrong_with_a_connection_string_is_said_without_its_key(text: str, sentence: str) -> None:
    for written in (text, f"shop={text}"):
        with pytest.raises(ConfigError, match=re.escape(sentence)) as caught:
            connection_of(written)
        assert KEY not in str(caught.value)


def test_a_url_whose_password_looks_like_one_is_a_url() -> None:
    assert parts(connection_of("shop=amqp://me:a;b=c@h/v"))[3:5] == ("me", "a;b=c")
    assert parts(connection_of("amqp://me:Endpoint=a;b=c@h"))[3:5] == ("me", "Endpoint=a;b=c")
    assert parts(connection_of("shop=amqp://me:a;Endpoint=b@h"))[3:5] == ("me", "a;Endpoint=b")


def test_a_key_is_no_longer_seen_once_it_was_read() -> None:
    connection_of(HUB)
    assert KEY not in without_secrets(f"the driver said {KEY}")


def test_a_key_that_was_never_read_is_not_seen_either() -> None:
    said = without_secrets("Endpoint=sb://x/;SharedAccessKeyName=ops;SharedAccessKey=bmV2ZXIgcmVhZA==;EntityPath=h")
    assert "bmV2ZXIgcmVhZA" not in said
    assert "SharedAccessKeyName=ops" in said


@pytest.mark.parametrize(
    ("text", "url", "left_out"),
    [
        ("amqp://me:pw@h", "amqp://me:pw@h", False),
        (HUB, "eventhubs://ops@ns.example/orders", True),
        (f"shop={HUB}", "eventhubs://ops@ns.example/orders", True),
        (HUB.replace(KEY, "${KEY}"), "eventhubs://ops:${KEY}@ns.example/orders", False),
        (HUB.replace(f"SharedAccessKey={KEY};", ""), "eventhubs://ops@ns.example/orders", False),
    ],
)
def test_the_url_that_may_stand_in_a_file_has_no_key(text: str, url: str, left_out: bool) -> None:
    assert url_of(text) == (url, left_out)


def test_a_configuration_has_connection_strings_and_no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY", KEY)
    monkeypatch.setenv("ALL", HUB)
    file = tmp_path / "workbench.toml"
    client = tmp_path / "client.properties"
    client.write_text("bootstrap.servers=h:1\n")
    file.write_text(
        f'[connections.a]\nurl = "{HUB.replace(KEY, "${KEY}")}"\n'
        '[connections.b]\nurl = "${ALL}"\n'
        f'[connections.c]\nurl = "{client}"\n'
    )
    config = ConfigFile.read(file)
    assert parts(config.connection("a")) == ("a", "eventhubs", (("ns.example", None),), "ops", KEY, "orders")
    assert parts(config.connection("b")) == ("b", "eventhubs", (("ns.example", None),), "ops", KEY, "orders")
    with pytest.raises(ConfigError, match="is not a connection"):
        config.connection("c")


def test_a_key_is_not_written_into_a_file(tmp_path: Path) -> None:
    file = tmp_path / "workbench.toml"
    with pytest.raises(ConfigError, match="The password would be readable in the file") as caught:
        add(file, "eh", HUB, "observe", False)
    assert KEY not in str(caught.value)
    assert not file.exists()


def test_a_clients_file_is_taken_for_a_url(tmp_path: Path) -> None:
    file = tmp_path / "client.properties"
    file.write_text("bootstrap.servers=h:9092\nsecurity.protocol=SASL_SSL\nsasl.username=ops\nsasl.password=hunter2\n")
    assert is_connection(str(file)) and is_connection(f"log={file}")
    assert not is_connection("log") and not is_connection("log.toml")
    assert parts(connection_of(f"log={file}")) == ("log", "kafka", (("h", 9092),), "ops", "hunter2", None)
    assert urlsplit(url_of(str(file))[0]).netloc == "ops@h:9092"
