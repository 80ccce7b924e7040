"""Which configuration a command uses, what it may do, and where passwords are asked for."""

import os
import stat
from pathlib import Path

import pytest

from tests.brokers.kafka import KafkaAddress
from tests.e2e.command import Ran, run
from tests.e2e.terminal import Terminal

SECRET = "alice-secret"


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """A user with nothing configured."""
    folders = {f"XDG_{kind}_HOME": str(tmp_path / kind) for kind in ("CONFIG", "STATE", "CACHE")}
    return {"HOME": str(tmp_path), **folders}


def workbench(folder: Path, home: dict[str, str], *arguments: str, **more: str) -> Ran:
    return run("workbench", *arguments, env={**os.environ, **home, **more}, cwd=folder)


def own(home: dict[str, str], text: str) -> Path:
    file = Path(home["XDG_CONFIG_HOME"]) / "event-workbench" / "workbench.toml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


@pytest.mark.parametrize(
    "arguments",
    [
        ("--config", "mine.toml", "connections", "add", "zz", "memory://zz"),
        ("connections", "--config", "mine.toml", "add", "zz", "memory://zz"),
        ("connections", "add", "zz", "memory://zz", "--config", "mine.toml"),
    ],
)
def test_the_file_that_is_named_is_written_and_read(
    tmp_path: Path, home: dict[str, str], arguments: tuple[str, ...]
) -> None:
    own(home, '[connections.other]\nurl = "memory://other"')
    assert workbench(tmp_path, home, *arguments).code == 0
    assert stat.S_IMODE((tmp_path / "mine.toml").stat().st_mode) == 0o600
    for command in (("connections",), ("connections", "check"), ("connections", "check", "zz")):
        done = workbench(tmp_path, home, *command, "--config", "mine.toml", *(("--json",) if len(command) == 1 else ()))
        assert done.code == 0, done.err
        assert {record.get("name", record.get("connection")) for record in done.records} == {"zz"}
    words = {
        "_WORKBENCH_COMPLETE": "bash_complete",
        "COMP_WORDS": "workbench --config mine.toml ls z",
        "COMP_CWORD": "4",
    }
    assert workbench(tmp_path, home, **words).out == "plain,zz\n"
    assert workbench(tmp_path, home, "connections", "--json").records[0]["name"] == "other"


@pytest.mark.parametrize("command", [("ls",), ("connections",), ("connections", "check"), ("browse", "a/b")])
def test_a_named_file_that_is_not_there_is_said(tmp_path: Path, home: dict[str, str], command: tuple[str, ...]) -> None:
    done = workbench(tmp_path, home, *command, "--config", "missing.toml")
    assert (done.code, done.out) == (2, "")
    assert done.err == "workbench: missing.toml cannot be read: No such file or directory.\n"


@pytest.mark.parametrize("command", [(), ("demo",)])
def test_the_screen_reads_the_named_file_too(tmp_path: Path, home: dict[str, str], command: tuple[str, ...]) -> None:
    named = tmp_path / "mine.toml"
    with Terminal(*command, "--config", str(named), environment=home) as terminal:
        assert terminal.wait() == 2
        assert "mine.toml cannot be read" in bytes(terminal.received).decode()
    named.write_text("[keys]\nquit = 'Q'\n[connections.zz]\nurl = 'memory://zz'\n")
    with Terminal(*command, "--config", str(named), environment=home) as terminal:
        terminal.until("DEMO" if command else "zz")
        terminal.press("Q")
        assert terminal.wait() == 0


def test_two_files_cannot_be_written_at_once(tmp_path: Path, home: dict[str, str]) -> None:
    done = workbench(tmp_path, home, "connections", "add", "zz", "memory://zz", "--here", "--config", "mine.toml")
    assert (done.code, done.err) == (2, "workbench: --here and --config name two files: choose one.\n")
    assert not (tmp_path / "mine.toml").exists()


def test_a_strangers_file_is_told_of_and_trusted(tmp_path: Path, home: dict[str, str]) -> None:
    here = tmp_path / "here"
    here.mkdir()
    (here / "workbench.toml").write_text('[connections.zz]\nurl = "memory://${ZZ}"')
    own(home, 'masks = ["body.card"]\n[connections.mine]\nurl = "memory://mine"\nguard = "move"')
    done = workbench(here, home, "ls", "mine", ZZ="zz")
    assert done.code == 0
    [told] = [line for line in done.err.splitlines() if "not trusted" in line]
    assert told.startswith(f"workbench: {here}/workbench.toml is in use but not trusted")
    refused = workbench(here, home, "ls", "zz", ZZ="zz")
    assert refused.code == 2
    assert "workbench connections trust" in refused.err
    assert workbench(here, home, "ls", ZZ="zz").err.count("not trusted") == 1
    trusted = workbench(here, home, "connections", "trust")
    assert trusted.code == 0
    assert trusted.err.splitlines() == [
        "zz: read the variable ZZ",
        "zz: connect to ${ZZ}",
        "zz: be used up to observe, not as production",
        f"{here}/workbench.toml is trusted as it is now.",
    ]
    done = workbench(here, home, "ls", "zz", ZZ="zz")
    assert done.code == 0
    assert "not trusted" not in done.err


def test_a_url_on_the_command_line_names_variables_and_no_command_inherits_them(
    tmp_path: Path, home: dict[str, str]
) -> None:
    seen = tmp_path / "seen"
    expect = (
        "expect",
        "-c",
        "s=demo://ops:${PW}@shop",
        "s/payments",
        "-w",
        "type = Never",
        "--none",
        "--timeout",
        "1s",
    )
    secrets = {"PW": "hunter2", "WORKBENCH_PASSWORD_S": "hunter3"}
    done = workbench(tmp_path, home, *expect, "--", "sh", "-c", f"env > {seen}", **secrets)
    assert (done.code, "hunter" in done.err) == (0, False), done.err
    assert "WORKBENCH_CORRELATION" in seen.read_text() and "hunter" not in seen.read_text()
    missing = workbench(tmp_path, home, "ls", "-c", "s=demo://ops:${PW_THAT_IS_NOT_SET}@shop")
    assert missing.code == 2
    assert missing.err == (
        "workbench: s: the environment variable 'PW_THAT_IS_NOT_SET', which its URL names, is not set.\n"
    )


def test_what_trust_allows_is_shown_and_asked_for_on_a_terminal(tmp_path: Path, home: dict[str, str]) -> None:
    file = tmp_path / "workbench.toml"
    file.write_text('[connections.zz]\nurl = "amqp://ops@evil.example"\npassword_command = "pass show zz"')
    for answer, trusted in (("n", False), ("y", True)):
        with Terminal("connections", "trust", folder=tmp_path, environment=home, columns=200) as terminal:
            for line in ("zz: run pass show zz", "zz: connect to evil.example", "Trust "):
                terminal.until(line)
            terminal.press(f"{answer}\n")
            assert terminal.wait() == 0
        said = workbench(tmp_path, home, "connections").err
        assert ("is in use but not trusted" in said) != trusted


def without_password(kafka: KafkaAddress) -> str:
    return f"{kafka.sasl_url.replace(f':{SECRET}@', '@')}?tls&ca={kafka.ca_file}&sasl=scram-sha-256"


def test_a_command_asks_for_a_password_on_the_terminal(kafka: KafkaAddress, home: dict[str, str]) -> None:
    with Terminal("ls", "-c", f"k={without_password(kafka)}", environment=home) as terminal:
        terminal.until("Password of alice on k (127.0.0.1:")
        terminal.press(f"{SECRET}\n")
        assert terminal.wait() == 0
        assert SECRET.encode() not in terminal.received


def test_who_leaves_one_question_on_the_terminal_is_asked_no_other(home: dict[str, str]) -> None:
    with Terminal("ls", "-c", "a=memory://ops@a", "-c", "b=memory://ops@b", environment=home) as terminal:
        terminal.until("Password of ops on ")
        terminal.press("\x03")
        assert terminal.wait() == 130
        assert terminal.received.count(b"Password of") == 1
        assert b"Traceback" not in terminal.received


def test_the_screen_asks_for_a_password_in_a_dialog(kafka: KafkaAddress, home: dict[str, str]) -> None:
    with Terminal("-c", f"k={without_password(kafka)}", environment=home) as terminal:
        terminal.until("Password of k")
        terminal.press("\x1b")
        terminal.until("No password was given")
        terminal.press("r")
        terminal.until("Password of k")
        terminal.press(f"{SECRET}\r")
        terminal.until("● ")
        terminal.press("q")
        assert terminal.wait() == 0
        assert SECRET.encode() not in terminal.received


def test_a_password_that_is_refused_is_not_tried_again(kafka: KafkaAddress, home: dict[str, str]) -> None:
    with Terminal("-c", f"k={without_password(kafka)}", columns=200, environment=home) as terminal:
        terminal.until("Password of k")
        terminal.press("wrong\r")
        terminal.until("✖ ")
        terminal.press("r")
        terminal.until("Password of k")
        terminal.press(f"{SECRET}\r")
        terminal.until("● ")
        terminal.press("q")
        assert terminal.wait() == 0


def test_a_command_for_a_password_cannot_reach_the_screen(tmp_path: Path, home: dict[str, str]) -> None:
    script = tmp_path / "ask"
    script.write_text('#!/bin/sh\necho "WRITTEN OVER IT" > /dev/tty\nread answer < /dev/tty\necho "$answer"\n')
    script.chmod(0o755)
    own(home, f'[connections.m]\nurl = "memory://ops@m"\npassword_command = "{script}"')
    with Terminal(environment=home, columns=160) as terminal:
        terminal.until("gave no password (exit code")
        terminal.press("\x1b")
        terminal.until("No password was given")
        terminal.press("q")
        assert terminal.wait() == 0
        assert b"WRITTEN OVER IT" not in terminal.received
    # On the command line it may ask its user.
    with Terminal("ls", environment=home) as terminal:
        terminal.until("WRITTEN OVER IT")
        terminal.press("hunter2\n")
        assert terminal.wait() == 0


def test_a_connection_is_edited_renamed_and_removed(tmp_path: Path, home: dict[str, str]) -> None:
    file = own(home, '# mine\n[connections.shop]\nurl = "memory://shop"  # here\nkeyring = true\n')
    edit = ("connections", "edit", "shop", "--guard", "look", "--production", "--url", "memory://other")
    done = workbench(tmp_path, home, *edit, "--name", "store")
    assert (done.code, done.out) == (0, "")
    assert done.err == (
        f"shop was changed in {file} and is now called store.\n"
        "The keyring has its password for 'shop shop': `keyring set event-workbench 'store other'` stores it.\n"
    )
    assert file.read_text() == (
        '# mine\n[connections.store]\nurl = "memory://other"  # here\nkeyring = true\n'
        'guard = "look"\nproduction = true\n'
    )
    done = workbench(tmp_path, home, "connections", "remove", "shop")
    assert done.code == 2
    assert done.err == f"workbench: There is no connection 'shop'; {file} has store.\n"
    done = workbench(tmp_path, home, "connections", "remove", "store")
    assert done.code == 0
    assert "`keyring del event-workbench 'store other'` deletes it" in done.err
    assert file.read_text() == "# mine\n"


def test_a_strangers_file_is_edited_only_by_who_names_it(tmp_path: Path, home: dict[str, str]) -> None:
    theirs = tmp_path / "workbench.toml"
    theirs.write_text('[connections.theirs]\nurl = "memory://theirs"\n')
    for command in (("edit", "theirs", "--guard", "look"), ("remove", "theirs")):
        done = workbench(tmp_path, home, "connections", *command)
        assert (done.code, done.err) == (
            2,
            f"workbench: 'theirs' is in {theirs}, which is not trusted: edit that file in your editor, or run"
            f" `workbench connections trust {theirs}` first.\n",
        )
    assert workbench(tmp_path, home, "connections", "remove", "theirs", "--here").code == 0
    assert theirs.read_text() == ""
