"""What is read of files that a user names: whole, and no more than a message may have."""

import os
from pathlib import Path
from threading import Thread

import pytest

from tests.e2e.command import run
from workbench.connecting.plain_files import named_content


def test_a_pipe_and_an_empty_device_are_read_to_their_ends(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    Thread(target=(tmp_path / "pipe").write_bytes, args=(b"body" * 100_000,)).start()
    assert named_content(tmp_path / "pipe") == b"body" * 100_000
    assert named_content(Path("/dev/null")) == b""


def test_what_has_no_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workbench.connecting.plain_files.LARGEST_MESSAGE", 1 << 22)
    with pytest.raises(OSError, match="File too large"):
        named_content(Path("/dev/zero"))


def test_a_body_a_plan_and_an_edit_from_a_device_without_end_are_refused_in_a_sentence() -> None:
    said = []
    for arguments in (
        ("publish", "-c", "m=memory://", "m/q", "@/dev/zero"),
        ("move", "-c", "m=memory://", "--plan", "/dev/zero"),
        ("move", "-c", "m=memory://", "m/q", "--patch", "@/dev/zero"),
    ):
        done = run("workbench", *arguments)
        assert done.code != 0
        said.append(done.err)
    assert [("File too large" in each, "unexpected" in each) for each in said] == [(True, False)] * 3, said
