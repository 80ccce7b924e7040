"""The configuration file: what it says, what it may not, and whom it may run commands for."""

from collections.abc import Iterator
from pathlib import Path

import keyring
import keyring.backend
import pytest

from workbench.connecting import config_file, passwords
from workbench.connecting.config_file import ConfigFile
from workbench.connecting.level import Level
from workbench.model.errors import ConfigError
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
    found = ConfigFile.find(written(SHOP))
    shop, log = found.connection("shop"), found.connection("log")
    assert found.default == ("shop",)
    assert (shop.name, shop.scheme, shop.level, shop.production) == ("shop", "amqps", Level.PUBLISH, True)
    assert (log.name, log.level, log.production) == ("log", Level.OBSERVE, False)


def test_a_trusted_file_in_the_working_directory_takes_the_place_of_the_users_own() -> None:
    written('[connections.own]\nurl = "memory://own"', str(config_file.own_path()))
    assert list(ConfigFile.find().connections) == ["own"]
    here = written('[connections.here]\nurl = "memory://here"')
    assert list(ConfigFile.find().connections) == ["own", "here"]
    config_file.trust(here)
    assert list(ConfigFile.find().connections) == ["here"]


def test_without_a_file_there_are_no_connections() -> None:
    assert ConfigFile.find() == ConfigFile()


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
        ConfigFile.find(written(text))


def test_a_file_that_is_not_there_is_said() -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.toml cannot be read: No such file"):
        ConfigFile.find(Path("nowhere.toml"))


def test_a_password_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_PASSWORD", "hunter2")
    found = ConfigFile.find(written('[connections.s]\nurl = "amqp://ops:${SHOP_PASSWORD}@h"'))
    password = found.connection("s").password
    assert password is not None
    assert password.reveal() == "hunter2"
    assert "hunter2" not in repr(found.connection("s"))


def test_a_variable_that_is_not_set_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SHOP_PASSWORD", raising=False)
    found = ConfigFile.find(written('[connections.s]\nurl = "amqp://ops:${SHOP_PASSWORD}@h"'))
    with pytest.raises(ConfigError, match="s: the environment variable 'SHOP_PASSWORD'"):
        found.connection("s")


COMMANDED = '[connections.s]\nurl = "amqp://ops@h"\npassword_command = "touch ran; echo hunter2"'


async def password_of(name: str = "s") -> str | None:
    """The password of a connection that is configured, as a session gets it."""
    async with Session(config=ConfigFile.find()) as session:
        found = (await session.complete(name)).password
        return found.reveal() if found else None


def ran() -> bool:
    """Whether the command was run."""
    return Path("ran").exists()


def own(text: str) -> Path:
    return written(text, str(config_file.own_path()))


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
        ("sleep 100", "did not end within 0.2 s"),
        ("sleep 100 & wait", "did not end within 0.2 s"),
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
    config_file.trust(file)
    assert await password_of() == "hunter2"
    assert ran()


def test_a_strangers_file_is_given_no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "hunter2")
    written('[connections.s]\nurl = "amqp://${TOKEN}.example"')
    with pytest.raises(ConfigError, match="workbench connections trust"):
        ConfigFile.find().connection("s")


def test_a_trusted_file_that_was_changed_is_a_strangers_again() -> None:
    file = written(COMMANDED)
    config_file.trust(file)
    file.write_text(COMMANDED.replace("ran", "ran-again"))
    with pytest.raises(ConfigError, match="workbench connections trust"):
        ConfigFile.find().connection("s")


class Keyring(keyring.backend.KeyringBackend):
    """A keyring in memory."""

    priority = 1

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.kept: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password


@pytest.fixture
def keys() -> Iterator[Keyring]:
    before, ours = keyring.get_keyring(), Keyring()
    keyring.set_keyring(ours)
    yield ours
    keyring.set_keyring(before)


IN_KEYRING = '[connections.s]\nurl = "amqp://ops@h"\nkeyring = true'


async def test_a_password_comes_from_the_keyring(keys: Keyring) -> None:
    own(IN_KEYRING)
    with pytest.raises(ConfigError, match="keyring set event-workbench s"):
        await password_of()
    keys.set_password("event-workbench", "s", "hunter2")
    assert await password_of() == "hunter2"


async def test_a_strangers_file_is_given_nothing_of_the_keyring(keys: Keyring) -> None:
    keys.set_password("event-workbench", "s", "hunter2")
    file = written(IN_KEYRING.replace("@h", "@evil.example"))
    with pytest.raises(ConfigError, match=r"a keyring password .*workbench connections trust"):
        await password_of()
    own(IN_KEYRING)
    found = ConfigFile.find().connection("s")
    assert (found.hosts, await password_of()) == ((("h", None),), "hunter2")
    config_file.trust(file)
    assert ConfigFile.find().connection("s").hosts == (("evil.example", None),)


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
    found = ConfigFile.find()
    assert (found.masks, found.theme, found.keys) == (("body.card", "body.name"), "nord", {"quit": "q"})
    said = {name: found.connection(name) for name in found.connections}
    assert {name: (each.hosts[0][0], each.level, each.production) for name, each in said.items()} == {
        "shop": ("rabbit.example", Level.PUBLISH, True),
        "log": ("log.example", Level.LOOK, True),
        "theirs": ("evil.example", Level.OBSERVE, False),
        "local": ("localhost", Level.PUBLISH, False),
    }
    assert found.warning is not None
    assert str(Path("workbench.toml").absolute()) in found.warning
    assert found.target == config_file.own_path()


def test_the_users_own_file_is_no_strangers_in_its_own_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(own(SHOP).parent)
    assert ConfigFile.find().warning is None


def test_what_is_opened_beside_a_strangers_file_is_what_both_want() -> None:
    own('default = ["a"]\n[connections.a]\nurl = "memory://a"\n[connections.b]\nurl = "memory://b"')
    written('[connections.c]\nurl = "memory://c"')
    assert ConfigFile.find().default == ("a", "c")


def test_a_password_in_a_variable_may_hold_any_character(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PW", "gu/e%41s?t@#:")
    password = ConfigFile.find(written('[connections.s]\nurl = "amqp://ops:${PW}@h/v"')).connection("s").password
    assert password is not None
    assert password.reveal() == "gu/e%41s?t@#:"


def test_a_variable_outside_the_login_is_meant_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_URL", "amqp://ops:secret@rabbit.example:5673/shop")
    found = ConfigFile.find(written('[connections.s]\nurl = "${SHOP_URL}"')).connection("s")
    assert (found.hosts, found.path) == ((("rabbit.example", 5673),), "shop")
