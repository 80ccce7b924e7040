"""Connections as their user adds and edits them, without a screen."""

from pathlib import Path

import pytest

from workbench.connecting import config_sources
from workbench.connecting.config import Connection
from workbench.connecting.config_file import ConfigFile
from workbench.connecting.config_sources import find_config
from workbench.connecting.level import Level
from workbench.model.errors import ConfigError
from workbench.operations.connections import ConnectionForm, Entry, EntryError, check_editable, forget
from workbench.session import Session

pytestmark = pytest.mark.usefixtures("own_file")


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def content(file: Path) -> str:
    return file.read_text() if file.exists() else ""


@pytest.mark.parametrize(
    ("entry", "place", "sentence"),
    [
        (Entry(), "url", "It needs a URL"),
        (Entry(url="rabbit.example"), "url", "is not a connection"),
        (Entry("a/b", "memory://x"), "name", "without / : = "),
        (Entry("taken", "memory://x"), "name", "There is a connection 'taken' already"),
        (Entry("x", "amqp://host", password="hunter2"), "password", "names no user for this password"),
        (Entry("x", "amqp://ops@host"), "password", "The URL has no password for its user 'ops'"),
        (Entry("x", "amqp://ops:${NOT_SET_ANYWHERE}@host"), "url", "NOT_SET_ANYWHERE"),
    ],
)
async def test_what_is_wrong_is_said_where_it_is(entry: Entry, place: str, sentence: str) -> None:
    async with Session([Connection.parse("taken=memory://taken")]) as session:
        with pytest.raises(EntryError, match=sentence) as wrong:
            await ConnectionForm(session).complete(entry)
        assert wrong.value.place == place
        assert "hunter2" not in str(wrong.value)


async def test_a_pasted_name_and_url_is_a_name_and_a_url() -> None:
    async with Session([Connection.parse("a=memory://a")]) as session:
        found = ConnectionForm(session).read(Entry(url=" shop=amqp://ops:p@rabbit.example/v "))
        assert (found.name, found.hosts, found.level) == ("shop", (("rabbit.example", None),), Level.OBSERVE)
        assert ConnectionForm(session).read(Entry(url="amqp://127.0.0.1")).level == Level.PUBLISH


async def test_what_is_added_is_saved_without_its_password_and_known_with_it(own_file: Path) -> None:
    async with Session([Connection.parse("a=memory://a")]) as session:
        form = ConnectionForm(session)
        entry = Entry("shop", "memory://ops@shop", "hunter2", "look", production=True)
        connection = await form.complete(entry)
        assert form.keep(entry, connection) == f"shop is saved in {own_file}."
        session.add(connection)
        assert session.origin("shop") == own_file
        known = (await session.complete("shop")).password
        assert known is not None and known.reveal() == "hunter2"
    said = ConfigFile.read(own_file).connections["shop"]
    assert (said.url, said.guard, said.production) == ("memory://ops@shop", "look", True)


async def test_a_variable_is_used_and_stays_one_in_the_file(own_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_PASSWORD", "hunter2")
    async with Session([Connection.parse("a=memory://a")]) as session:
        form, entry = ConnectionForm(session), Entry("shop", "amqp://ops:${SHOP_PASSWORD}@h", guard="look")
        connection = await form.complete(entry)
        assert connection.password is not None and connection.password.reveal() == "hunter2"
        form.keep(entry, connection)
    assert ConfigFile.read(own_file).connections["shop"].url == "amqp://ops:${SHOP_PASSWORD}@h"


async def test_where_it_cannot_be_saved_is_said_where_that_is_mended(own_file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "readable"
    folder.write_text("no folder")
    async with Session([Connection.parse("a=memory://a")], ConfigFile(path=folder / "workbench.toml")) as session:
        form = ConnectionForm(session)
        for place, url in (("url", "memory://shop?management=http://x:y%40z"), ("name", "memory://shop")):
            entry = Entry("shop", url)
            with pytest.raises(EntryError) as wrong:
                form.keep(entry, form.read(entry))
            assert wrong.value.place == place


async def test_what_is_kept_for_the_session_is_in_no_file_and_can_be_edited(own_file: Path) -> None:
    async with Session([Connection.parse("a=memory://a")]) as session:
        form = ConnectionForm(session)
        entry = Entry("shop", "amqp://ops@h:1/v?management=http://x:y%40z&watch=30s", "hun/ter2", "look", saved=False)
        connection = await form.complete(entry)
        assert form.keep(entry, connection) == "shop is kept for this session only."
        session.add(connection)
        assert content(own_file) == ""
        again = ConnectionForm(session, "shop")
        assert again.entry == Entry("shop", "amqp://ops:…@h:1/v?management=…&watch=30s", "", "look", saved=False)
        assert again.can_be_unsaved and again.password_source == "kept as it is"
        edited = await again.complete(again.entry)
        assert edited.password is not None and edited.password.reveal() == "hun/ter2"
        assert (edited.options, edited.beat) == (connection.options, 30.0)
        assert forget(session, "shop") == "shop is forgotten."


SHOP = """
[connections.shop]
url = "memory://ops:sec%2Fret@shop"  # ours
guard = "look"
watch = "9s"
"""


async def test_an_edit_keeps_what_it_does_not_touch(own_file: Path) -> None:
    write(own_file, SHOP)
    async with Session(config=find_config()) as session:
        form = ConnectionForm(session, "shop")
        assert form.entry == Entry("shop", "memory://ops:…@shop", "", "look")
        assert form.password_source == "kept as it is"
        entry = Entry("store", "memory://ops:…@other", "", "move")
        connection = await form.complete(entry)
        assert connection.password is not None and connection.password.reveal() == "sec/ret"
        assert (connection.level, connection.beat) == (Level.MOVE, 9.0)
        form.keep(entry, connection)
        assert content(own_file) == SHOP.replace("shop]", "store]").replace("@shop", "@other").replace("look", "move")
        assert list(session.config.connections) == ["store"]


async def test_an_edit_leaves_what_was_changed_elsewhere_meanwhile(own_file: Path) -> None:
    write(own_file, SHOP)
    async with Session(config=find_config()) as session:
        form = ConnectionForm(session, "shop")
        write(own_file, SHOP.replace("look", "destroy"))
        entry = Entry("shop", "memory://ops:…@other", "", "look")
        form.keep(entry, await form.complete(entry))
    assert content(own_file) == SHOP.replace("look", "destroy").replace("@shop", "@other")


async def test_a_new_password_takes_the_one_in_the_file_away(own_file: Path) -> None:
    write(own_file, SHOP)
    async with Session(config=find_config()) as session:
        form = ConnectionForm(session, "shop")
        entry = Entry("shop", "memory://ops:…@shop", "hunter2", "look")
        connection = await form.complete(entry)
        assert connection.password is not None and connection.password.reveal() == "hunter2"
        form.keep(entry, connection)
    assert content(own_file) == SHOP.replace(":sec%2Fret", "")


async def test_a_password_that_was_asked_for_is_kept_for_the_same_host_and_user_only(own_file: Path) -> None:
    write(own_file, '[connections.s]\nurl = "memory://ops@one"\n')
    async with Session(config=find_config()) as session:
        session.remove("s")
        session.add(Connection.parse("s=memory://ops:hunter2@one"))
        form = ConnectionForm(session, "s")
        assert form.password_source == "kept as it is"
        kept = await form.complete(Entry("s2", "memory://ops@one"))
        assert kept.password is not None and kept.password.reveal() == "hunter2"
        with pytest.raises(EntryError, match="The URL has no password for its user"):
            await form.complete(Entry("s", "memory://ops@elsewhere"))


async def test_what_is_saved_untried_has_its_password_when_it_is_needed(own_file: Path) -> None:
    write(own_file, '[connections.s]\nurl = "memory://ops@s"\npassword_command = "echo hunter2"\n')
    async with Session(config=find_config()) as session:
        form, entry = ConnectionForm(session, "s"), Entry("s", "memory://ops@other")
        connection = form.read(entry)
        form.keep(entry, connection)
        session.remove("s")
        session.add(connection)
        known = (await session.complete("s")).password
        assert known is not None and known.reveal() == "hunter2"
        untouched = ConnectionForm(session, "s").read(entry).password
        assert untouched is not None and untouched.reveal() == "hunter2"


async def test_a_renamed_connection_asks_its_command_and_tells_of_its_keyring(own_file: Path) -> None:
    write(own_file, '[connections.s]\nurl = "memory://ops@s"\npassword_command = "echo hunter2"\nkeyring = true\n')
    async with Session(config=find_config()) as session:
        form = ConnectionForm(session, "s")
        assert form.password_source == "from its password_command"
        entry = Entry("t", "memory://ops@s")
        connection = await form.complete(entry)
        assert connection.password is not None and connection.password.reveal() == "hunter2"
        assert "`keyring set event-workbench 't ops@s'` stores it anew" in form.keep(entry, connection)


@pytest.mark.parametrize("text", ["[connections.x]\nurl = 'memory://x'\n", ""])
async def test_what_cannot_be_edited_says_where_it_comes_from(own_file: Path, text: str) -> None:
    write(own_file, text)
    theirs = config_sources.here_path()
    write(theirs, '[connections.theirs]\nurl = "memory://theirs"\n')
    async with Session([Connection.parse("x=memory://given"), "theirs"], find_config()) as session:
        with pytest.raises(ConfigError, match="x is in no file: it was given when the workbench was started, by -c"):
            check_editable(session, "x")
        with pytest.raises(ConfigError, match=rf"'theirs' is in {theirs}, which is not trusted"):
            ConnectionForm(session, "theirs")
        with pytest.raises(ConfigError, match="which is not trusted"):
            forget(session, "theirs")


@pytest.mark.parametrize("named", [False, True])
async def test_a_trusted_file_that_somebody_else_changes_is_not_trusted_when_it_is_read_again(
    own_file: Path, named: bool
) -> None:
    here = config_sources.here_path()
    write(here, '[connections.s]\nurl = "memory://s"\n')
    config_sources.trust(here)
    told: list[str] = []
    async with Session(["s"], find_config(here if named else None)) as session:
        session.tell = told.append
        write(here, content(here) + '[connections.t]\nurl = "memory://${TOKEN}"\n')
        form = ConnectionForm(session, "s")
        entry = Entry("s", "memory://s", guard="move")
        form.keep(entry, await form.complete(entry))
        assert content(here).count("guard") == 1
        # Whoever names a file vouches for it.
        assert session.config.strangers == (set() if named else {"s", "t"})
        assert ["is in use but not trusted" in each for each in told] == ([] if named else [True])


@pytest.mark.parametrize(
    "text", ["ops:hunter2@h", "amqp:/ops:hunter2@h", "ops:hunter2@h.properties", "amqp://ops:hunter2"]
)
async def test_what_is_wrong_with_a_mistyped_url_is_said_without_its_password(text: str) -> None:
    async with Session() as session:
        for entry in (Entry("s", text), Entry("", text), Entry(text, "memory://s")):
            with pytest.raises(EntryError) as refused:
                ConnectionForm(session).read(entry)
            assert "hunter2" not in str(refused.value)
