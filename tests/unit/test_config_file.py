"""The configuration file: what it says, what it may not, and whom it may run commands for."""

from pathlib import Path

import keyring
import keyring.backend
import pytest

from workbench.connecting import config_file
from workbench.connecting.config import Level
from workbench.connecting.config_file import ConfigFile
from workbench.model.errors import ConfigError


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user with nothing configured yet, in an empty folder."""
    for variable in ("XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(variable, str(tmp_path / variable))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path


def written(text: str, path: str = "workbench.toml") -> Path:
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
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


def test_the_file_in_the_working_directory_is_found_before_the_users_own() -> None:
    written('[connections.own]\nurl = "memory://own"', str(config_file.own_path()))
    assert list(ConfigFile.find().connections) == ["own"]
    written('[connections.here]\nurl = "memory://here"')
    assert list(ConfigFile.find().connections) == ["here"]


def test_without_a_file_there_are_no_connections() -> None:
    assert ConfigFile.find() == ConfigFile()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("colour = 1", "line 1: 'colour' is not known here"),
        ('[connections.shop]\nurl = "memory://x"\n\ncolour = "red"', r"line 4: 'colour' in \[connections.shop\]"),
        ('[connections.a]\nurl = "memory://x"\n[connections.b]\nurl = 3', "line 4: 'url': expected"),
        ('[connections.shop]\nurl = "memory://x"\nguard = "all"', "line 3: 'guard' is one of observe, look"),
        ("[connections.shop]\nguard = 'look'", "line 1: .*`url`"),
        ("[connections]\nshop = 'amqp://x'", "line 2: 'connections.shop' is a table"),
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


def test_a_password_comes_from_a_command() -> None:
    password = ConfigFile.find(written(COMMANDED)).connection("s").password
    assert password is not None
    assert password.reveal() == "hunter2"


def test_a_command_that_fails_is_said() -> None:
    text = '[connections.s]\nurl = "amqp://ops@h"\npassword_command = "echo hunter2; exit 3"'
    with pytest.raises(ConfigError, match=r"gave no password \(exit code 3\)") as refused:
        ConfigFile.find(written(text)).connection("s")
    assert "hunter2" not in str(refused.value)


def test_a_strangers_file_runs_no_command_until_it_is_trusted() -> None:
    file = written(COMMANDED)
    with pytest.raises(ConfigError, match="workbench connections trust"):
        ConfigFile.find().connection("s")
    assert not Path("ran").exists()
    config_file.trust(file)
    assert ConfigFile.find().connection("s").password is not None
    assert Path("ran").exists()


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


def test_a_password_comes_from_the_keyring() -> None:
    before, ours = keyring.get_keyring(), Keyring()
    keyring.set_keyring(ours)
    try:
        found = ConfigFile.find(written('[connections.s]\nurl = "amqp://ops@h"\nkeyring = true'))
        with pytest.raises(ConfigError, match="keyring set event-workbench s"):
            found.connection("s")
        keyring.set_password("event-workbench", "s", "hunter2")
        password = found.connection("s").password
        assert password is not None
        assert password.reveal() == "hunter2"
    finally:
        keyring.set_keyring(before)


def test_an_added_connection_leaves_the_rest_of_the_file_as_it_was() -> None:
    file = written("# ours\n" + SHOP, "conf/w.toml")
    config_file.add(file, "audit", "amqp://audit.example", "look", False)
    text = file.read_text()
    assert text.startswith("# ours\n" + SHOP.rstrip())
    assert ConfigFile.read(file, True).connection("audit").level == Level.LOOK


def test_a_name_is_not_added_twice() -> None:
    file = written(SHOP, "w.toml")
    with pytest.raises(ConfigError, match="has a connection 'shop' already"):
        config_file.add(file, "shop", "amqp://x", "look", False)


def test_the_first_connection_makes_the_file() -> None:
    config_file.add(config_file.own_path(), "a", "memory://a", "move", True)
    assert ConfigFile.find().connection("a").production


def test_a_password_in_a_variable_may_hold_any_character(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PW", "gu/e%41s?t@#:")
    password = ConfigFile.find(written('[connections.s]\nurl = "amqp://ops:${PW}@h/v"')).connection("s").password
    assert password is not None
    assert password.reveal() == "gu/e%41s?t@#:"


def test_a_variable_outside_the_login_is_meant_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_URL", "amqp://ops:secret@rabbit.example:5673/shop")
    found = ConfigFile.find(written('[connections.s]\nurl = "${SHOP_URL}"')).connection("s")
    assert (found.hosts, found.path) == ((("rabbit.example", 5673),), "shop")


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("amqp://u:secret@h", "A password would stand in the file"),
        ("amqp://u:secret${X}@h", "A password would stand in the file"),
        ("amqp://h?management=http://admin:secret%40h:15672", "A login in an option would stand in the file"),
    ],
)
def test_no_password_is_added_to_a_file(tmp_path: Path, url: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        config_file.add(tmp_path / "workbench.toml", "shop", url, "look", False)
    assert not (tmp_path / "workbench.toml").exists()
