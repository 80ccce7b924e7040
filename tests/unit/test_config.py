import re
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.pretty import pretty_repr

from workbench.connecting.config import Connection, Secret, without_secrets
from workbench.connecting.config_file import Configured
from workbench.model.errors import ConfigError
from workbench.operations.connections import Entry

SECRET = "hunter2"


def test_a_url_says_where_and_who_and_how() -> None:
    connection = Connection.parse("amqps://me:hunter2@rabbit.example:5671/shop?ca=ca.pem&heartbeat=30")
    assert (connection.scheme, connection.hosts) == ("amqps", (("rabbit.example", 5671),))
    assert (connection.user, connection.path) == ("me", "shop")
    assert connection.options == {"ca": "ca.pem", "heartbeat": "30"}
    assert connection.password is not None
    assert connection.password.reveal() == SECRET


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("amqp://rabbit.example", "rabbit.example"),
        ("kafka://h1:9093,h2:9093", "h1"),
        ("amqp://", "localhost"),
        ("amqp://[::1]:5672", "::1"),
        ("shop=amqp://rabbit.example", "shop"),
        ("my shop=amqp://rabbit.example", "my shop"),
    ],
)
def test_a_connection_has_its_given_name_or_its_first_hosts(text: str, name: str) -> None:
    assert Connection.parse(text).name == name


@pytest.mark.parametrize(
    ("places", "hosts"),
    [
        ("", (("localhost", None),)),
        ("h1", (("h1", None),)),
        ("h1:9092,h2:9093", (("h1", 9092), ("h2", 9093))),
        ("[::1]:9092,[::2]", (("::1", 9092), ("::2", None))),
    ],
)
def test_hosts_are_separated_by_commas(places: str, hosts: tuple[tuple[str, int | None], ...]) -> None:
    assert Connection.parse(f"kafka://{places}").hosts == hosts


@pytest.mark.parametrize(
    ("end", "path"),
    [("", None), ("/", ""), ("/shop", "shop"), ("/%2F", "/"), ("/a%2Fb", "a/b"), ("/shop?x=1", "shop"), ("?x=1", None)],
)
def test_a_path_that_is_absent_differs_from_an_empty_one(end: str, path: str | None) -> None:
    assert Connection.parse(f"amqp://h{end}").path == path


@given(st.text(), st.text(), st.text())
def test_user_password_and_path_are_percent_encoded(user: str, password: str, path: str) -> None:
    url = f"amqp://{quote(user, safe='')}:{quote(password, safe='')}@h/{quote(path, safe='')}"
    connection = Connection.parse(url)
    assert (connection.user, connection.path) == (user, path)
    assert connection.password is not None
    assert connection.password.reveal() == password


@pytest.mark.parametrize(
    ("login", "user", "password"),
    [("", None, False), ("me@", "me", False), ("me:@", "me", True), (":hunter2@", "", True)],
)
def test_a_password_that_is_absent_differs_from_an_empty_one(login: str, user: str | None, password: bool) -> None:
    connection = Connection.parse(f"amqp://{login}h")
    assert (connection.user, connection.password is not None) == (user, password)


def test_options_may_be_bare_words() -> None:
    assert Connection.parse("kafka://h?tls&sasl=plain").options == {"tls": "", "sasl": "plain"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is not a connection: write NAME=URL or a URL"),
        ("localhost:5672", "is not a connection"),
        ("shop=localhost", "is not a connection"),
        ("a/b=amqp://h", "is not a connection"),
        ("amqp:/h", "is not a connection"),
        ("amqp://h:port", "'amqp://h:…' is not host:port"),
        ("amqp://h:0", "'amqp://h:…' is not host:port"),
        ("amqp://h:65536", "'amqp://h:…' is not host:port"),
        ("amqp://h1,,h2", "'amqp://:…' is not host:port"),
        ("amqp://[::1", "is not a URL"),
        ("amqp://h/a#b", "write / ? # and @ in a user, a password, a path or an option as %2F %3F %23 and %40"),
        ("amqp://h/a@b", "as %2F %3F %23 and %40"),
        ("amqp://h?ca=a@b", "as %2F %3F %23 and %40"),
    ],
)
def test_what_is_not_a_connection_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(reason)):
        Connection.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "amqp://me:hunter2@h:port",
        "amqp://me:hunter2@[::1",
        "//me:hunter2@h",
        "shop=me:hunter2@h",
        "me:hunter2@h",
        "AMQP://me:hunter2@h",
        "amqp://me:a/hunter2@h",
        "amqp://me:a?hunter2@h",
        "amqp://me:a#hunter2@h",
        "amqp://me:hunter2/b@h:1",
        "amqp://me:hunter2?b@h:1",
        "amqp://me:hunter2#b@h:1",
        "amqp://me:a@hunter2@h:port",
        "amqp://me:a,hunter2@h:port",
        "amqp://me:1/hunter2@h",
        "amqp://me:1?hunter2@h",
        "amqp://me:x@hunter2/y@h",
        "amqp:/me:hunter2@h",
        "amqp://me:hunter2@h\u2100",
        "amqp://h:port?password=hunter2",
    ],
)
def test_no_error_shows_a_password(text: str) -> None:
    with pytest.raises(ConfigError) as refused:
        Connection.parse(text)
    assert SECRET not in str(refused.value)


def test_a_connection_shows_no_password() -> None:
    connection = Connection.parse("amqp://me:hunter2@h")
    assert SECRET not in repr(connection)
    assert SECRET not in f"{connection.password}"


def test_a_secret_shows_nothing() -> None:
    assert SECRET not in repr(Secret(SECRET)) + str(Secret(SECRET)) + repr([Secret(SECRET)])


def test_only_known_options_are_taken() -> None:
    connection = Connection.parse("rabbit=amqp://h?ca=ca.pem&colour=red")
    with pytest.raises(
        ConfigError,
        match=r"^rabbit: .colour. is no option of amqp:// connections; they have ca, vhost, watch, scope\.$",
    ):
        connection.known_options("ca", "vhost")
    assert connection.known_options("ca", "colour") == {"ca": "ca.pem", "colour": "red"}


def test_a_password_whose_host_was_forgotten_is_not_shown() -> None:
    with pytest.raises(ConfigError) as refused:
        Connection.parse("amqp://guest:hunter2")
    assert "hunter2" not in str(refused.value)


def test_no_login_is_in_what_is_printed_of_a_connection() -> None:
    connection = Connection.parse("s=amqp://ops:pass1@h?management=http%3A%2F%2Fadmin%3Apass2%40api%3A15672&ca=/etc/x")
    entry = Entry("s", "amqp://ops:pass1@h?management=http://admin:pass2%40api", "pass1")
    said = Configured("amqp://ops:pass1@h?management=http://admin:pass2%40api", password_command="echo pass1")
    for each in (connection, entry, said, {"locals": [connection, entry, said]}):
        for text in (repr(each), str(each), pretty_repr(each)):
            assert "pass1" not in text and "pass2" not in text
    assert "management, ca" in repr(connection)
    assert without_secrets("a driver says pass2") == "a driver says …"


@pytest.mark.parametrize("text", ["amqps://evil?c\tert=/home/u/x.pem", "kafka://h?ca\n=/x", "amqp://h\r/v"])
def test_an_option_cannot_hide_behind_a_character_that_is_dropped(text: str) -> None:
    with pytest.raises(ConfigError, match="write a control character as"):
        Connection.parse(text)


@pytest.mark.parametrize("control", ["%09", "%2509", "%0a", "%00", "%c2%85"])
def test_an_option_has_no_character_that_a_reading_of_it_drops(control: str) -> None:
    with pytest.raises(ConfigError, match=r"'amqp://h' is not a URL: an option has no control characters\.$"):
        Connection.parse(f"s=amqp://h?management=http:{control}//127.0.0.1:42011")


@pytest.mark.parametrize("rest", ["ter2@h", "ter2&me=x%40h", "ter2"])
def test_half_a_password_is_not_said_to_be_an_option(rest: str) -> None:
    with pytest.raises(ConfigError) as refused:
        Connection.parse(f"s=amqp://h?management=http://ops:hun&{rest}").known_options("management")
    assert "ter2" not in str(refused.value)
