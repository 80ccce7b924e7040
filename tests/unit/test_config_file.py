"""The configuration file: what it says, what it may not, and whom it may run commands for."""

import os
import re
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import msgspec
import pytest

from connectors.rabbitmq.settings import Access
from tests.unit.file_keyring import TELLS, VARIABLE, FileKeyring
from workbench.connecting import config_edit, config_sources, passwords
from workbench.connecting.config import Connection, Secret
from workbench.connecting.config_file import ConfigFile, Configured
from workbench.connecting.config_sources import find_again, find_config
from workbench.connecting.folders import state_path
from workbench.connecting.guard import level_of
from workbench.connecting.level import Level
from workbench.connecting.plugins import connect
from workbench.connecting.trust_review import what_trust_allows
from workbench.model.errors import ConfigError, NotTrusted
from workbench.session import Session

pytestmark = pytest.mark.usefixtures("own_file")


def written(text: str, path: str = "workbench.toml") -> Path:
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text.encode())
    return file


SHOP = """
default = ["shop"]

[connections.shop]
url = "amqps://ops:secret@rabbit.example/shop"
guard = "publish"
production = true

[connections.log]
url = "kafka://kafka.example"
"""


def test_connections_are_read_with_their_guards() -> None:
    found = find_config(written(SHOP))
    shop, log = found.connection("shop"), found.connection("log")
    assert found.default == ("shop",)
    assert (shop.name, shop.scheme, shop.level, shop.production) == ("shop", "amqps", Level.PUBLISH, True)
    assert (log.name, log.level, log.production) == ("log", Level.OBSERVE, False)


def test_a_trusted_file_in_the_working_directory_takes_the_place_of_the_users_own() -> None:
    written('[connections.own]\nurl = "memory://own"', str(config_sources.own_path()))
    assert list(find_config().connections) == ["own"]
    here = written('[connections.here]\nurl = "memory://here"')
    assert list(find_config().connections) == ["own", "here"]
    config_sources.trust(here)
    assert list(find_config().connections) == ["here"]


def test_without_a_file_there_are_no_connections() -> None:
    assert find_config() == ConfigFile()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("colour = 1", "line 1: 'colour' is not a known key"),
        ('[connections.shop]\nurl = "memory://x"\n\ncolour = "red"', r"line 4: 'colour' in \[connections.shop\]"),
        ('[connections.a]\nurl = "memory://x"\n[connections.b]\nurl = 3', "line 4: 'url': expected"),
        ('[connections.shop]\nurl = "memory://x"\nguard = "all"', "line 3: 'guard' is one of observe, look"),
        ("[connections.shop]\nguard = 'look'", "line 1: .*`url`"),
        ("[connections]\nshop = 'amqp://x'", "line 2: 'connections.shop' is a table"),
        (
            "[connections]\na.url = 'memory://x'\nshop = { url = 'memory://x', guard = 'all' }",
            "line 3: 'guard' is one of",
        ),
        ("\n[connections.'a=b']\nurl = 'memory://x'", r"line 2: 'a=b' is no name\. A connection's name is one word"),
        ("[connections]\n'a.b:c'.url = 'memory://x'", r"line 2: 'a\.b:c' is no name\."),
        ("theme = 'x'\nconnections.'a@b'.url = 'memory://x'", "line 2: 'a@b' is no name"),
        ("[connections.'a?b']\nurl = 'memory://x'", r"line 1: 'a\?b' is no name"),
        ("[connections.'a/b']\nurl = 'memory://x'", "line 1: 'a/b' is no name"),
        ("[connections.'']\nurl = 'memory://x'", "line 1: '' is no name"),
        ("not toml", "is not TOML"),
    ],
)
def test_what_is_not_known_is_refused_with_file_line_and_key(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=rf"workbench\.toml.*{said}"):
        find_config(written(text))


def test_a_url_in_place_of_a_name_is_refused_without_its_password() -> None:
    with pytest.raises(ConfigError, match="'amqp://ops:…@h' is no name"):
        find_config(written("[connections.'amqp://ops:hunter2@h']\nurl = 'memory://x'"))


def test_a_file_that_is_not_there_is_said() -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.toml cannot be read: No such file"):
        find_config(Path("nowhere.toml"))


def test_a_password_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_PASSWORD", "hunter2")
    found = find_config(written('[connections.s]\nurl = "amqp://ops:${SHOP_PASSWORD}@h"'))
    password = found.connection("s").password
    assert password is not None
    assert password.reveal() == "hunter2"
    assert "hunter2" not in repr(found.connection("s"))


def test_a_variable_that_is_not_set_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SHOP_PASSWORD", raising=False)
    found = find_config(written('[connections.s]\nurl = "amqp://ops:${SHOP_PASSWORD}@h"'))
    with pytest.raises(ConfigError, match="s: the environment variable 'SHOP_PASSWORD'"):
        found.connection("s")


COMMANDED = '[connections.s]\nurl = "amqp://ops@h"\npassword_command = "touch ran; echo hunter2"'


async def password_of(name: str = "s") -> str | None:
    """The password of a connection that is configured, as a session gets it once its user has named it."""
    async with Session(config=find_config()) as session:
        session.let_in(name)
        found = (await session.complete(name)).password
        return found.reveal() if found else None


def ran() -> bool:
    """Whether the command was run."""
    return Path("ran").exists()


def own(text: str) -> Path:
    return written(text, str(config_sources.own_path()))


async def test_a_password_comes_from_a_command() -> None:
    own(COMMANDED)
    assert await password_of() == "hunter2"


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("echo hunter2; exit 3", r"gave no password \(exit code 3\)"),
        ("true", r"gave no password \(exit code 0\)"),
        ("printf '\\\\377'", "is not UTF-8"),
        ("yes", "prints more than a password"),
        ("sleep 100", "gave no password within 0.2 s"),
        ("sleep 100 & wait", "gave no password within 0.2 s"),
    ],
)
async def test_a_command_that_fails_is_said(command: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "DEADLINE", 0.2 if "sleep" in command else 60.0)
    own(f'[connections.s]\nurl = "amqp://ops@h"\npassword_command = "{command}"')
    with pytest.raises(ConfigError, match=said) as refused:
        await password_of()
    assert "hunter2" not in str(refused.value)


async def test_a_strangers_file_runs_no_command_until_it_is_trusted() -> None:
    file = written(COMMANDED)
    with pytest.raises(ConfigError, match="workbench connections trust"):
        await password_of()
    assert not ran()
    config_sources.trust(file)
    assert await password_of() == "hunter2"
    assert ran()


def test_a_strangers_file_is_given_no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "hunter2")
    written('[connections.s]\nurl = "amqp://${TOKEN}.example"')
    with pytest.raises(ConfigError, match="workbench connections trust"):
        find_config().connection("s")


def test_a_trusted_file_that_was_changed_is_a_strangers_again() -> None:
    file = written(COMMANDED)
    config_sources.trust(file)
    file.write_text(COMMANDED.replace("ran", "ran-again"))
    with pytest.raises(ConfigError, match="workbench connections trust"):
        find_config().connection("s")


@pytest.fixture
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FileKeyring:
    """A keyring that other processes find, too."""
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", f"{FileKeyring.__module__}.{FileKeyring.__name__}")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "keyring.json"))
    return FileKeyring()


IN_KEYRING = '[connections.s]\nurl = "amqp://ops@h"\nkeyring = true'


async def test_a_password_comes_from_the_keyring(keys: FileKeyring) -> None:
    own(IN_KEYRING)
    with pytest.raises(ConfigError, match="keyring set event-workbench 's ops@h'"):
        await password_of()
    keys.set_password("event-workbench", "s ops@h", "hunter2")
    assert await password_of() == "hunter2"


@pytest.mark.parametrize("url", ["amqp://root@h", "amqp://ops@other", "amqp://ops@h:5673", "amqp://ops@h,other"])
async def test_an_entry_of_the_keyring_is_for_one_user_on_one_host(url: str, keys: FileKeyring) -> None:
    keys.set_password("event-workbench", "s", "hunter2")
    keys.set_password("event-workbench", "s ops@h", "hunter2")
    own(IN_KEYRING.replace("amqp://ops@h", url))
    with pytest.raises(ConfigError, match="the keyring has no password for it"):
        await password_of()


async def test_what_a_keyrings_backend_says_of_its_failure_is_not_told(keys: FileKeyring) -> None:
    keys.file.write_text("s = aHVudGVyMg==")
    own(IN_KEYRING)
    with pytest.raises(ConfigError, match=r"the system's keyring cannot be asked: it failed with JSONDecodeError\.$"):
        await password_of()


@pytest.mark.parametrize("terminal", [True, False])
async def test_a_keyring_that_asks_its_user_gets_no_terminal_that_a_screen_needs(
    keys: FileKeyring, terminal: bool
) -> None:
    keys.set_password("event-workbench", "s ops@h", TELLS)
    connection, said = Connection.parse("s=amqp://ops@h"), Configured("amqp://ops@h", keyring=True)
    found = await passwords.password(connection, said, terminal)
    assert found is not None
    assert found.reveal() == ("the terminal" if terminal else "no terminal")


async def test_a_strangers_file_is_given_nothing_of_the_keyring(keys: FileKeyring) -> None:
    keys.set_password("event-workbench", "s ops@h", "hunter2")
    file = written(IN_KEYRING.replace("@h", "@evil.example"))
    with pytest.raises(ConfigError, match=r"take from the keyring.*workbench connections trust"):
        await password_of()
    own(IN_KEYRING)
    found = find_config().connection("s")
    assert (found.hosts, await password_of()) == ((("h", None),), "hunter2")
    config_sources.trust(file)
    assert find_config().connection("s").hosts == (("evil.example", None),)


def test_a_strangers_file_can_only_restrict_what_the_users_own_says() -> None:
    own(
        """
        masks = ["body.card"]
        theme = "nord"
        [keys]
        quit = "q"
        [connections.shop]
        url = "amqp://ops:secret@rabbit.example"
        guard = "publish"
        production = true
        [connections.log]
        url = "kafka://log.example"
        guard = "move"
        """
    )
    written(
        """
        masks = ["body.name"]
        theme = "dracula"
        [keys]
        quit = "j"
        [connections.shop]
        url = "amqp://evil.example"
        guard = "destroy"
        [connections.log]
        url = "kafka://evil.example"
        guard = "look"
        production = true
        [connections.theirs]
        url = "amqp://evil.example"
        guard = "destroy"
        [connections.local]
        url = "amqp://localhost"
        guard = "publish"
        """
    )
    found = find_config()
    assert (found.masks, found.theme, found.keys) == (("body.card", "body.name"), "nord", {"quit": "q"})
    said = {name: found.connection(name) for name in found.connections}
    assert {name: (each.hosts[0][0], level_of(each), each.production) for name, each in said.items()} == {
        "shop": ("rabbit.example", Level.PUBLISH, True),
        "log": ("log.example", Level.LOOK, True),
        "theirs": ("evil.example", Level.OBSERVE, False),
        "local": ("localhost", Level.PUBLISH, False),
    }
    assert found.warning is not None
    assert str(Path("workbench.toml").absolute()) in found.warning
    assert config_sources.target_of(found) == config_sources.own_path()


@pytest.mark.parametrize("trusted", [False, True])
def test_another_files_connection_is_as_strict_as_the_users_own_to_that_broker(
    trusted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIVE", "127.0.0.1:5673")
    own(
        """
        [connections.prod]
        url = "amqp://ops@localhost:5672"
        guard = "look"
        production = true
        [connections.low]
        url = "amqp://ops@${LIVE}"
        [connections.broken]
        url = "${NOT_SET}"
        """
    )
    file = written(
        """
        [connections.foo]
        url = "amqp://guest:guest@127.1:5672/other"
        guard = "publish"
        [connections.bar]
        url = "amqp://localhost:5673"
        guard = "publish"
        [connections.own]
        url = "amqp://localhost:5674"
        guard = "publish"
        """
    )
    if trusted:
        config_sources.trust(file.absolute())
    found = find_config()
    said = {name: found.connection(name) for name in ("foo", "bar", "own")}
    assert {name: (level_of(each), each.production) for name, each in said.items()} == {
        "foo": (Level.LOOK, True),
        "bar": (Level.OBSERVE, False),
        "own": (Level.PUBLISH, False),
    }


def test_the_users_own_file_is_no_strangers_in_its_own_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(own(SHOP).parent)
    assert find_config().warning is None


@pytest.mark.parametrize("default", ['default = ["a"]\n', ""])
async def test_a_strangers_connection_is_opened_only_when_its_user_says_so(default: str) -> None:
    own(default + '[connections.a]\nurl = "memory://a"')
    written('default = ["c"]\n[connections.c]\nurl = "memory://ops@c"')

    async def asked(connection: Connection, reason: ConfigError | None) -> Secret:
        raise AssertionError("nobody is asked")

    async with Session(config=find_config(), ask_password=asked) as session:
        assert (session.names, session.untrusted) == (["a"], ["c"])
        for attempt in (session.connector, session.complete, session.new_connector):
            with pytest.raises(NotTrusted, match=r"c is in .*workbench\.toml, which is not trusted"):
                await attempt("c")
    async with Session(config=find_config()) as session:
        session.address("c/orders")
        assert (session.names, session.untrusted) == (["a", "c"], [])
        assert (await session.connector("c")).name == "c"


@pytest.mark.parametrize(
    ("said", "need"),
    [
        ('url = "amqp://h"\npassword_command = "true"', "run true"),
        ('url = "amqp://h"\nkeyring = true', "take from the keyring its password"),
        ('url = "amqp://${TOKEN}@h"', "read the variable TOKEN"),
        ('url = "amqps://h?ca=%2Fetc%2Fca.pem"', "read the file ca=/etc/ca.pem"),
        ('url = "amqps://h?cert=a&key=b"', "read the file cert=a and read the file key=b"),
        ('url = "kafka://h?tls&ca=a"', "read the file ca=a"),
    ],
)
def test_a_strangers_connection_gets_nothing_of_its_users(said: str, need: str) -> None:
    written(f"[connections.s]\n{said}")
    with pytest.raises(NotTrusted, match=f"would {re.escape(need)}: read the file, then run"):
        find_config().connection("s")


def test_every_field_of_the_configuration_is_classified_as_to_trust() -> None:
    known = config_sources.RESTRICTING | config_sources.LISTED | config_sources.NEEDING | config_sources.IGNORED
    kept = {"path", "named", "stranger", "strangers"}
    assert known == {*Configured.__struct_fields__, *ConfigFile.__struct_fields__} - kept
    for name in config_sources.IGNORED:
        assert name in ConfigFile.__struct_fields__


@pytest.mark.parametrize("scheme", ["amqp", "amqps", "kafka", "eventhubs", "demo", "memory"])
def test_every_option_of_a_url_is_classified_as_to_trust(scheme: str) -> None:
    files = {"ca", "cert", "key"}
    harmless = {"management", "heartbeat", "tls", "sasl", "seed", "pace", "clock", "watch", "scope"}
    connection = Connection.parse(f"s={scheme}://user:password@shop/rabbit?unheard-of=1")
    with pytest.raises(ConfigError) as refused:
        connect(msgspec.structs.replace(connection, path="rabbit" if scheme != "kafka" else None))
    _, _, known = str(refused.value).partition("they have ")
    assert set(known.rstrip(".").split(", ")) <= files | harmless


def test_what_a_trusted_file_may_do_is_told() -> None:
    file = written(
        """
        cluster = "tcp://scheduler:8786"
        [schemas]
        OrderPlaced = "order.json"
        [connections.shop]
        url = "amqps://ops:${PW}@rabbit.example/shop?management=https://ops:x%40api.example:15671&ca=ca.pem"
        password_command = "pass show shop"
        [connections.log]
        url = "${LOG_URL}"
        keyring = true
        guard = "move"
        production = true
        """
    )
    _, allowed = what_trust_allows(file)
    assert [f"{name}: {need.verb} {need.what}" for need, name in allowed] == [
        "shop: run pass show shop",
        "shop: read the variable PW",
        "shop: read the file ca=ca.pem",
        "shop: connect to rabbit.example",
        "shop: connect to api.example:15671",
        "shop: be used up to observe, not as production",
        "log: read the variable LOG_URL",
        "log: take from the keyring its password",
        "log: connect to what the variables say",
        "log: be used up to move, as production",
        ": give passwords to the cluster tcp://scheduler:8786",
        ": read the file order.json",
    ]


def test_trust_shows_the_guard_that_results_beside_the_users_own_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIVE", "127.0.0.1:5673")
    own(
        """
        [connections.prod]
        url = "amqp://localhost:5672"
        guard = "look"
        production = true
        [connections.low]
        url = "amqp://${LIVE}"
        """
    )
    file = written(
        """
        [connections.foo]
        url = "amqp://127.1:5672/other"
        guard = "publish"
        [connections.bar]
        url = "amqp://${LIVE}"
        guard = "move"
        production = true
        [connections.own]
        url = "amqp://localhost:5674"
        guard = "publish"
        """
    )
    _, allowed = what_trust_allows(file)
    assert {name: need.what for need, name in allowed if need.verb == "be used up to"} == {
        "foo": "look, as production (the file says publish, not as production)",
        "bar": "observe, as production (the file says move, as production)",
        "own": "publish, not as production",
    }
    config_sources.own_path().write_bytes(file.read_bytes())
    _, allowed = what_trust_allows(config_sources.own_path())
    assert {need.what for need, _ in allowed if need.verb == "be used up to"} == {
        "publish, not as production",
        "move, as production",
    }


@pytest.mark.parametrize("place", ["pipe", "device"])
def test_what_is_no_file_in_the_place_of_the_trusted_ones_trusts_none(place: str) -> None:
    here = written('[connections.s]\nurl = "memory://a"')
    kept = state_path("trusted")
    kept.parent.mkdir(parents=True)
    {"pipe": os.mkfifo, "device": lambda path: path.symlink_to("/dev/zero")}[place](kept)
    assert find_config().strangers == {"s"}
    with pytest.raises(ConfigError, match="trusted, which lists what is trusted, cannot be written: Not a file"):
        config_sources.trust(here)


def test_who_gets_a_password_of_a_trusted_file_is_told() -> None:
    url = "amqp://guest@127.0.0.1:52137?management=HTTP://a:1,[::2]"
    _, allowed = what_trust_allows(written(f'[connections.s]\nurl = "{url}"\npassword_command = "echo guest"'))
    told = [need.what for need, _ in allowed if need.verb == "connect to"]
    assert told == ["127.0.0.1:52137", "a:1", "[::2]"]
    _, allowed = what_trust_allows(written('[connections.s]\nurl = "amqp://guest@127.0.0.1:52137"'))
    told = [need.what for need, _ in allowed if need.verb == "connect to"]
    assert told == ["127.0.0.1:52137", "127.0.0.1:15672"]
    _, allowed = what_trust_allows(written('[connections.s]\nurl = "amqp://guest@a?management=http:%09//b"'))
    assert next(need.what for need, _ in allowed) == "nothing: its URL cannot be used"


def test_a_file_that_changes_while_it_is_read_is_not_trusted() -> None:
    file = written('[connections.s]\nurl = "memory://a"')
    content, _ = what_trust_allows(file)
    file.write_text(COMMANDED)
    config_sources.trust(file, content)
    assert not config_sources.is_trusted(file.absolute())


def test_the_list_of_trusted_files_and_their_folders_are_its_users_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = state_path("trusted")
    before = os.umask(0)
    try:
        config_sources.trust(written('[connections.s]\nurl = "memory://a"'))
        config_edit.add(config_sources.own_path(), "a", "memory://a", "move", False)
    finally:
        os.umask(before)
    kept.chmod(0o644)
    config_sources.trust(written('[connections.s]\nurl = "memory://b"'))
    for path, mode in {kept: 0o600, kept.parent: 0o700, config_sources.own_path().parent: 0o700}.items():
        assert stat.S_IMODE(path.stat().st_mode) == mode


def test_a_password_in_a_variable_may_hold_any_character(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PW", "gu/e%41s?t@#:")
    password = find_config(written('[connections.s]\nurl = "amqp://ops:${PW}@h/v"')).connection("s").password
    assert password is not None
    assert password.reveal() == "gu/e%41s?t@#:"


@pytest.mark.parametrize(
    "written_as", ["http://ops:${PW}%40api:15672", "http%3A//ops%3A${PW}%40api:15672", "${API}", "${OPTION}"]
)
def test_so_may_one_in_an_option(monkeypatch: pytest.MonkeyPatch, written_as: str) -> None:
    monkeypatch.setenv("PW", "gu/e%41s?t@#:&dor")
    monkeypatch.setenv("API", f"http://ops:{quote('gu/e%41s?t@#:&dor', safe='')}@api:15672")
    monkeypatch.setenv("OPTION", quote(os.environ["API"], safe=":/"))
    url = f"amqp://ops:x@h?management={written_as}&heartbeat=5"
    access = Access.read(find_config(written(f'[connections.s]\nurl = "{url}"')).connection("s"))
    assert access.management_password.reveal() == "gu/e%41s?t@#:&dor"
    assert (access.management, access.heartbeat) == (("http://api:15672",), 5)


def test_a_variable_outside_the_login_is_meant_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_URL", "amqp://ops:secret@rabbit.example:5673/shop")
    found = find_config(written('[connections.s]\nurl = "${SHOP_URL}"')).connection("s")
    assert (found.hosts, found.path) == ((("rabbit.example", 5673),), "shop")


@pytest.mark.parametrize("place", ["pipe", "folder", "device"])
def test_what_is_no_file_is_not_read_in_its_place(place: str) -> None:
    here = Path("workbench.toml")
    {"pipe": os.mkfifo, "folder": os.mkdir, "device": lambda path: path.symlink_to("/dev/zero")}[place](here)
    with pytest.raises(ConfigError, match=r"workbench\.toml cannot be read: (Not a file|Is a directory)\.$"):
        find_config()


def test_a_pipe_is_read_where_its_user_names_it() -> None:
    os.mkfifo("pipe")
    with ThreadPoolExecutor() as other:
        other.submit(Path("pipe").write_text, '[connections.a]\nurl = "kafka://a"\n')
        config = find_config(Path("pipe"))
    assert list(config.connections) == ["a"]
    assert find_again(config) is config


@pytest.mark.parametrize("text", ["a = " + "[" * 3000, ".".join("a" * 3000) + " = 1"], ids=["lists", "a key"])
def test_what_nests_too_deeply_is_one_sentence(text: str) -> None:
    Path("workbench.toml").write_text(text)
    with pytest.raises(ConfigError, match=r"workbench\.toml nests too deeply\.$"):
        find_config()
