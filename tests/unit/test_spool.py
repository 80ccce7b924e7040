"""What is let go of is on disk before, and gone from there once it is safe elsewhere."""

import os
from pathlib import Path

import msgspec
import pytest

from tests.e2e.command import run
from workbench.connecting.spool import find_leftovers, keep, spool, spool_folder
from workbench.decode import ndjson
from workbench.model.address import Address
from workbench.model.content import DEPTH, Content, Value
from workbench.model.errors import FormatError, StoreError
from workbench.model.event import Delivery, Event
from workbench.model.wire import Wire

HELD = [
    Delivery(
        Event(b"orders.eu", body, Wire("amqp-0-9-1", b"\x10\x00\x02"), timestamp=None),
        Address("rabbit", "orders"),
        1_700_000_000_000,
        None,
        "shop",
        True,
        20,
    )
    for body in (b"\xff\x00", b'{"id":1}')
]


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder of the test's own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path


def test_whole_deliveries_are_on_disk_within_and_gone_afterwards() -> None:
    with spool(HELD) as path:
        assert [ndjson.decode(line).delivery for line in path.read_bytes().splitlines(keepends=True)] == HELD
    assert list(spool_folder().iterdir()) == []


def test_an_error_leaves_them_there() -> None:
    with pytest.raises(ZeroDivisionError), spool(HELD) as path:
        raise ZeroDivisionError
    assert len(path.read_bytes().splitlines()) == len(HELD)


def test_what_somebody_else_put_there_is_not_told() -> None:
    kept = keep(HELD)
    for name in ("a b.ndjson", "mine.ndjson", "told.ndjson", "line\nbreak.ndjson"):
        kept.with_name(name).write_bytes(kept.read_bytes())
    assert find_leftovers() == [kept]
    assert list(find_leftovers()) == []


def test_only_this_user_may_read_them() -> None:
    path = keep(HELD)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_each_has_a_file_of_its_own() -> None:
    with spool(HELD) as one, spool(HELD[:1]) as other:
        assert one != other
    assert list(spool_folder().iterdir()) == []


def test_a_folder_that_cannot_be_written_is_one_sentence(state: Path) -> None:
    (state / "event-workbench").write_text("not a folder")
    with pytest.raises(StoreError, match="Nothing can be kept in"), spool(HELD):
        raise AssertionError("let go of without being kept")


def test_where_there_is_no_room_nothing_is_left_behind(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Nothing but the disk itself refuses this call.
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StoreError, match="No space left"):
        keep(HELD)
    assert list(spool_folder().iterdir()) == []


def test_what_cannot_be_a_line_leaves_no_file() -> None:
    deep: list[Value] = []
    for _ in range(DEPTH):
        deep = [deep]
    bad = msgspec.structs.replace(HELD[0], event=Event(written=Content((("deep", deep),))))
    with pytest.raises(FormatError, match="nests deeper"):
        keep([*HELD, bad])
    assert list(spool_folder().iterdir()) == []


def test_what_was_left_behind_is_told_once_and_what_is_in_use_is_not() -> None:
    assert list(find_leftovers()) == []
    first = keep(HELD)
    with spool(HELD):
        assert find_leftovers() == [first]
        second = keep(HELD)
        assert find_leftovers() == [second]
    with pytest.raises(ZeroDivisionError), spool(HELD) as third:
        raise ZeroDivisionError
    first.unlink()
    assert find_leftovers() == [third]
    assert list(find_leftovers()) == []
    assert second.exists()


def test_what_cannot_be_read_is_not_told_of(state: Path) -> None:
    (state / "event-workbench").write_text("not a folder")
    assert list(find_leftovers()) == []


@pytest.mark.parametrize("name", ["told", "a.ndjson"])
def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(name: str) -> None:
    kept = keep(HELD)
    os.mkfifo(kept.with_name(name))
    assert kept in find_leftovers() or name == "told"


def test_a_command_says_what_was_left_behind_once() -> None:
    path = keep(HELD)
    said = [run("workbench", "ls", "-c", "m=memory://kept").err for _ in range(2)]
    assert str(path) in said[0]
    assert "--file" in said[0]
    assert str(path) not in said[1]
