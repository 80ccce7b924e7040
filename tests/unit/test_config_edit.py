"""Changing the configuration file: what was asked for is there, and all else is as its user wrote it."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import tomli
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.test_config_file import SHOP, written
from workbench.connecting import config_edit, config_sources
from workbench.connecting.config_file import ConfigFile
from workbench.connecting.config_sources import find_config
from workbench.connecting.level import Level
from workbench.model.errors import ConfigError

pytestmark = pytest.mark.usefixtures("own_file")


COMMANDED = '[connections.s]\nurl = "amqp://ops@h"\npassword_command = "touch ran; echo hunter2"'

LETTERS = """\
# my brokers
default = ["b", "a"]  # both

# the first
[connections.a]
url = "memory://a"  # here
guard = "look"

# the second
# of them
[connections."b"]
url = "memory://b"
# no guard yet

# the last
[connections.c]
url = "memory://c"
"""


def test_an_added_connection_leaves_the_rest_of_the_file_as_it_was() -> None:
    file = written("# ours\n" + SHOP, "conf/w.toml")
    config_edit.add(file, "audit", "amqp://audit.example", "look", False)
    text = file.read_text()
    assert text.startswith("# ours\n" + SHOP.rstrip())
    assert ConfigFile.read(file).connection("audit").level == Level.LOOK


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("amqp://h?heartbeta=5", "'heartbeta' is no option of amqp:// connections"),
        ("kafka://ops@h?sasl=plain&tsl", "'tsl' is no option of kafka:// connections"),
        ("unheard-of://h", "Unknown connection type unheard-of://"),
    ],
)
def test_an_option_that_its_broker_does_not_know_is_refused_before_it_is_written(url: str, sentence: str) -> None:
    file = written(SHOP)
    with pytest.raises(ConfigError, match=sentence):
        config_edit.add(file, "new", url, "look", False)
    with pytest.raises(ConfigError, match=sentence):
        config_edit.edit(file, "shop", url=url)
    assert file.read_text() == SHOP


def test_a_name_is_not_added_twice() -> None:
    file = written(SHOP)
    with pytest.raises(ConfigError, match="has a connection 'shop' already"):
        config_edit.add(file, "shop", "amqp://x", "look", False)


def test_the_first_connection_makes_the_file() -> None:
    config_edit.add(config_sources.own_path(), "a", "memory://a", "move", True)
    assert find_config().connection("a").production


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("amqp://u:secret@h", "The password would be readable in the file"),
        ("amqp://u:secret${X}@h", "The password would be readable in the file"),
        ("amqp://h?management=http://admin:secret%40h:15672", "A login in an option would be readable in the file"),
    ],
)
def test_no_password_is_added_to_a_file(tmp_path: Path, url: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        config_edit.add(tmp_path / "workbench.toml", "shop", url, "look", False)
    assert not (tmp_path / "workbench.toml").exists()


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644])
def test_a_file_keeps_its_mode_and_its_link(tmp_path: Path, mode: int) -> None:
    kept = tmp_path / "dotfiles" / "kept.toml"
    written(SHOP, str(kept))
    kept.chmod(mode)
    link = tmp_path / "workbench.toml"
    link.symlink_to(kept)
    config_edit.add(link, "audit", "amqp://audit.example", "look", False)
    assert link.is_symlink()
    assert stat.S_IMODE(kept.stat().st_mode) == mode
    assert "audit" in ConfigFile.read(kept).connections
    assert [path.name for path in kept.parent.iterdir()] == ["kept.toml"]


def test_a_link_to_a_file_that_is_not_there_yet_stays_a_link(tmp_path: Path) -> None:
    link = tmp_path / "workbench.toml"
    link.symlink_to(tmp_path / "dotfiles" / "kept.toml")
    config_edit.add(link, "a", "memory://a", "move", False)
    assert link.is_symlink()
    assert "a" in ConfigFile.read(tmp_path / "dotfiles" / "kept.toml").connections


def test_what_cannot_be_written_or_read_is_one_sentence(tmp_path: Path) -> None:
    loop = tmp_path / "loop.toml"
    loop.symlink_to(loop)
    with pytest.raises(ConfigError, match=r"loop\.toml cannot be written: Too many levels of symbolic links"):
        config_edit.add(loop, "a", "memory://a", "move", False)
    with pytest.raises(ConfigError, match=r"loop\.toml cannot be read: Too many levels of symbolic links"):
        find_config(loop)


def test_a_file_keeps_its_owner_and_mode_and_is_written_beside_no_link() -> None:
    file = written(SHOP)
    owner = (12_345, 23_456) if os.geteuid() == 0 else (os.geteuid(), os.getegid())
    os.chown(file, *owner)
    file.chmod(0o640)
    # Whatever name could be guessed leads to what must not be written.
    victim = written("precious", "victim")
    for guess in (".new", ".tmp", "~", ".bak", ".swp"):
        file.with_name(f"{file.name}{guess}").symlink_to(victim.absolute())
    config_edit.add(file, "new", "memory://a", "look", False)
    now = file.stat()
    assert (now.st_uid, now.st_gid, stat.S_IMODE(now.st_mode)) == (*owner, 0o640)
    assert victim.read_text() == "precious"


def test_a_new_file_is_its_users_alone() -> None:
    config_edit.add(config_sources.own_path(), "a", "memory://a", "move", True)
    assert stat.S_IMODE(config_sources.own_path().stat().st_mode) == 0o600


def test_line_ends_and_what_is_not_ascii_stay_as_they_are() -> None:
    file = written("")
    file.write_bytes("# übrig\r\n[connections.a]\r\nurl = 'memory://a'\r\n".encode())
    config_edit.add(file, "b", "memory://b", "move", False)
    assert file.read_bytes().startswith("# übrig\r\n[connections.a]\r\nurl = 'memory://a'\r\n".encode())


def test_to_add_to_a_strangers_file_is_not_to_trust_it() -> None:
    file = written(COMMANDED)
    config_edit.add(file, "mine", "memory://a", "move", False)
    assert not config_sources.is_trusted(file.absolute())


def test_a_file_that_was_trusted_is_trusted_with_what_is_added() -> None:
    file = Path("workbench.toml")
    config_edit.add(file, "one", "memory://a", "move", False)
    config_edit.add(file, "two", "memory://a", "move", False)
    assert find_config().warning is None
    assert list(find_config().connections) == ["one", "two"]


def test_a_connection_is_added_between_tables_of_another_kind() -> None:
    text = '[connections.a]\nurl = "memory://a"\n[keys]\nquit = "j"\n[connections.b]\nurl = "memory://b"\n'
    file = written(text)
    config_edit.add(file, "c d", "memory://c", "move", True)
    assert file.read_text() == text + '\n[connections."c d"]\nurl = "memory://c"\nguard = "move"\nproduction = true\n'


def test_an_edited_connection_keeps_its_place_its_comments_and_all_else() -> None:
    file = written(LETTERS)
    config_edit.edit(file, "b", new_name="beta", url="memory://beta", guard="move", production=True)
    expected = LETTERS.replace('["b", "a"]', '["beta", "a"]').replace('[connections."b"]', "[connections.beta]")
    expected = expected.replace('"memory://b"\n', '"memory://beta"\nguard = "move"\nproduction = true\n')
    assert file.read_text() == expected


def test_a_comment_behind_a_value_stays_behind_the_new_one() -> None:
    file = written(LETTERS)
    config_edit.edit(file, "a", url="memory://z", guard="observe")
    assert file.read_text() == LETTERS.replace('"memory://a"', '"memory://z"').replace('"look"', '"observe"')


def test_what_is_not_changed_is_not_written() -> None:
    file = written(LETTERS)
    config_edit.edit(file, "c", new_name="c", url="memory://c", guard="observe", production=False)
    assert file.read_text() == LETTERS


@pytest.mark.parametrize(
    ("name", "gone"),
    [
        ("a", '# the first\n[connections.a]\nurl = "memory://a"  # here\nguard = "look"\n\n'),
        ("b", '# the second\n# of them\n[connections."b"]\nurl = "memory://b"\n# no guard yet\n\n'),
        ("c", '\n# the last\n[connections.c]\nurl = "memory://c"\n'),
    ],
)
def test_a_removed_connection_takes_its_own_comment_and_leaves_those_of_others(name: str, gone: str) -> None:
    file = written(LETTERS)
    config_edit.remove(file, name)
    left = [each for each in ("b", "a") if each != name]
    before = LETTERS.replace('["b", "a"]', str(left).replace("'", '"'))
    if name == "b":
        # What stands below it may be about what comes next.
        gone = gone.replace("# no guard yet\n\n", "")
    assert file.read_text() == before.replace(gone, "")


def test_the_last_connection_can_be_removed_and_one_added_again() -> None:
    file = written('theme = "nord"\n\n[connections.a]\nurl = "memory://a"\n')
    config_edit.remove(file, "a")
    assert file.read_text() == 'theme = "nord"\n'
    config_edit.add(file, "b", "memory://b", "move", False)
    assert list(ConfigFile.read(file).connections) == ["b"]


@pytest.mark.parametrize(
    "text",
    [
        'connections = { a = { url = "memory://a" }, b = { url = "memory://b" } }',
        '[connections]\na = { url = "memory://a" }\nb.url = "memory://b"',
        'connections.a.url = "memory://a"\nconnections.b.url = "memory://b"',
        '[connections.a]\nurl = "memory://a"\n[keys]\nquit = "j"\n[connections.b]\nurl = "memory://b"',
        '[connections.a]\r\nurl = "memory://a"\r\n[connections.b]\r\nurl = "memory://b"\r\n',
        '[ connections . \'a\' ] # x\nurl = """memory://a"""\n[connections.b]\nurl = \'memory://b\'',
    ],
)
def test_connections_are_edited_and_removed_however_they_are_laid_out(text: str) -> None:
    file = written(text)
    config_edit.edit(file, "a", new_name="z", url="memory://z", guard="look")
    found = ConfigFile.read(file)
    assert {name: (said.url, said.guard) for name, said in found.connections.items()} == {
        "z": ("memory://z", "look"),
        "b": ("memory://b", "observe"),
    }
    ends = file.read_bytes().count(b"\r\n")
    assert ends == (file.read_bytes().count(b"\n") if "\r\n" in text else 0)
    config_edit.remove(file, "b")
    assert list(ConfigFile.read(file).connections) == ["z"]


DOTTED = """\
# all of them
[connections]
# the first
a.url = "memory://a"  # here
a.guard = "look"
# the second
"b" = { url = "memory://b" }
# the last
c . url = "memory://c"

[keys]
quit = "j"
"""
TOP = """\
theme = "nord"
# the first
connections.a.url = "memory://a"
# the second
connections.'b'.url = "memory://b"
connections.b.guard = "look"
"""


@pytest.mark.parametrize(
    ("text", "name", "expected"),
    [
        (DOTTED, "a", DOTTED.replace("a.url", "z.url").replace("a.guard", "z.guard")),
        (DOTTED, "b", DOTTED.replace('"b"', "z")),
        (DOTTED, "c", DOTTED.replace("c . url", "z . url")),
        (TOP, "a", TOP.replace("connections.a", "connections.z")),
        (TOP, "b", TOP.replace("connections.'b'", "connections.z").replace("connections.b", "connections.z")),
        ('connections = { a = { url = "x://a" }, b = { url = "x://b" } }', "a", None),
    ],
)
def test_a_renamed_connection_stays_where_it_is_below_its_comment(text: str, name: str, expected: str | None) -> None:
    file = written(text)
    names = list(ConfigFile.read(file).connections)
    config_edit.edit(file, name, new_name="z")
    assert list(ConfigFile.read(file).connections) == ["z" if each == name else each for each in names]
    if expected is not None:
        assert file.read_text() == expected


@pytest.mark.parametrize(
    ("text", "name", "gone"),
    [
        (DOTTED, "a", '# the first\na.url = "memory://a"  # here\na.guard = "look"\n'),
        (DOTTED, "b", '# the second\n"b" = { url = "memory://b" }\n'),
        (TOP, "b", '# the second\nconnections.\'b\'.url = "memory://b"\nconnections.b.guard = "look"\n'),
    ],
)
def test_a_connection_without_a_table_is_removed_with_its_comment(text: str, name: str, gone: str) -> None:
    file = written(text)
    config_edit.remove(file, name)
    assert file.read_text() == text.replace(gone, "")


ADDING = """
import sys
from pathlib import Path
from workbench.connecting import config_edit
for number in range(20):
    config_edit.add(Path("workbench.toml"), f"{sys.argv[1]}-{number}", "memory://a", "look", False)
    config_edit.edit(Path("workbench.toml"), sys.argv[1], url=f"memory://{number}")
"""


def test_what_two_programs_change_at_once_stands_all_of_it() -> None:
    file = written('[connections.one]\nurl = "memory://a"\n[connections.two]\nurl = "memory://a"\n')
    both = [subprocess.Popen([sys.executable, "-c", ADDING, name]) for name in ("one", "two")]
    assert [process.wait(60) for process in both] == [0, 0]
    found = ConfigFile.read(file).connections
    assert found.keys() == {"one", "two", *(f"{name}-{number}" for name in ("one", "two") for number in range(20))}
    assert found["one"].url == found["two"].url == "memory://19"


def test_the_first_two_connections_are_added_at_once() -> None:
    adding = ADDING.replace("    config_edit.edit", "    0 and config_edit.edit")
    both = [subprocess.Popen([sys.executable, "-c", adding, name]) for name in ("one", "two")]
    assert [process.wait(60) for process in both] == [0, 0]
    assert len(ConfigFile.read(Path("workbench.toml")).connections) == 40


def test_a_line_in_a_text_that_looks_like_a_header_is_left_alone() -> None:
    odd = 'password_command = """\necho \\\n[connections.a]\n"""\n'
    text = f'[connections.b]\nurl = "memory://b"\n{odd}[connections.a]\nurl = "memory://a"\n'
    file = written(text)
    with pytest.raises(ConfigError, match="laid out in a way that cannot be changed here: edit it in your editor"):
        config_edit.remove(file, "a")
    assert file.read_text() == text


def test_a_new_name_that_is_taken_or_is_none_is_refused() -> None:
    file = written(LETTERS)
    with pytest.raises(ConfigError, match="has a connection 'a' already"):
        config_edit.edit(file, "b", new_name="a")
    with pytest.raises(ConfigError, match="without / : = "):
        config_edit.edit(file, "b", new_name="b/c")
    with pytest.raises(ConfigError, match="without / : = "):
        config_edit.add(file, "", "memory://x", "move", False)
    with pytest.raises(ConfigError, match="has no connection 'x'; it has a, b, c"):
        config_edit.edit(file, "x", guard="move")
    with pytest.raises(ConfigError, match="has no connection 'x'"):
        config_edit.remove(file, "x")
    assert file.read_text() == LETTERS


def test_a_hidden_secret_stays_what_it_is_and_none_is_brought_into_the_file() -> None:
    file = written('[connections.s]\nurl = "amqp://ops:sec%2Fret@h?management=http://a:b%40h:1"\n')
    config_edit.edit(file, "s", url="amqp://ops:…@other/v?management=…")
    assert ConfigFile.read(file).connections["s"].url == "amqp://ops:sec%2Fret@other/v?management=http://a:b%40h:1"
    for url in ("amqp://ops:new@h", "amqp://h?management=http://a:c%40h:1"):
        with pytest.raises(ConfigError, match="would be readable in the file"):
            config_edit.edit(file, "s", url=url)
    config_edit.edit(file, "s", url="amqp://ops@other")
    with pytest.raises(ConfigError, match="'…' stands for the password that the file has, and it has none"):
        config_edit.edit(file, "s", url="amqp://ops:…@other")


def test_a_brokers_own_connection_string_becomes_a_url_when_it_is_edited() -> None:
    string = "Endpoint=sb://hub.example/;SharedAccessKeyName=ops;SharedAccessKey=c2VjcmV0Cg=="
    file = written(f'[connections.s]\nurl = "{string}"\n')
    before = ConfigFile.read(file).connection("s")
    assert before.user is not None
    config_edit.edit(file, "s", url="eventhubs://$ConnectionString:…@other.example")
    after = ConfigFile.read(file).connection("s")
    assert before.password is not None and after.password is not None
    assert (after.hosts[0][0], after.password.reveal()) == ("other.example", before.password.reveal())


def test_a_trusted_file_stays_trusted_when_it_is_edited_and_a_strangers_stays_untrusted() -> None:
    file = Path("workbench.toml")
    config_edit.add(file, "one", "memory://a", "move", False)
    config_edit.edit(file, "one", new_name="two")
    assert config_sources.is_trusted(file.absolute())
    config_edit.remove(file, "two")
    assert config_sources.is_trusted(file.absolute())
    written(COMMANDED, "workbench.toml")
    config_edit.edit(file, "s", guard="look")
    assert not config_sources.is_trusted(file.absolute())


_NAMES = st.text(st.characters(exclude_categories=["C"], exclude_characters="/:=?@"), min_size=1, max_size=8)
_LINES = st.sampled_from(["", "# a comment", "  # [connections.x]", "\t"])


@given(st.data())
def test_whatever_a_file_says_besides_is_there_after_any_edits(data: st.DataObject) -> None:
    names = data.draw(st.lists(_NAMES, min_size=1, max_size=5, unique=True))
    file = Path("any.toml")
    file.unlink(missing_ok=True)
    for name in names:
        config_edit.add(file, name, "memory://a", "look", False)
    lines: list[str] = []
    for line in file.read_text().split("\n"):
        lines += [*data.draw(st.lists(_LINES, max_size=2)), line]
    file.write_text("\n".join(lines))
    comments = [line for line in lines if "# a comment" in line]
    expected = tomli.loads(file.read_text())["connections"]
    for name in names:
        if data.draw(st.booleans()):
            config_edit.edit(file, name, guard="move", production=True)
            expected[name] |= {"guard": "move", "production": True}
    assert tomli.loads(file.read_text())["connections"] == expected
    assert [line for line in file.read_text().split("\n") if "# a comment" in line] == comments
    for name in data.draw(st.permutations(names)):
        config_edit.remove(file, name)
        del expected[name]
        assert tomli.loads(file.read_text()).get("connections", {}) == expected
