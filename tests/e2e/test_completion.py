"""What a shell offers when its user presses Tab."""

import os
import time
from pathlib import Path

import pika
import pytest

from tests.brokers.rabbitmq import RabbitMQAddress
from tests.e2e.command import DEADLINE, INSTALLED, managed, run

BASH = """
eval "$(_WORKBENCH_COMPLETE=bash_source workbench)"
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
_workbench_completion workbench
[ ${#COMPREPLY[@]} = 0 ] || printf '%s\\n' "${COMPREPLY[@]}"
"""


def offered(*words: str, folder: Path) -> list[str]:
    """What bash offers for the last word, in a folder that has a configuration or none."""
    path = f"{INSTALLED.parent}:{os.environ['PATH']}"
    env = {**os.environ, "PATH": path, "XDG_CONFIG_HOME": str(folder), "XDG_STATE_HOME": str(folder)}
    done = run("bash", "-c", BASH, "bash", "workbench", *words, env=env, cwd=folder)
    assert done.code == 0, done.err
    # bash itself complains that this is no Tab.
    assert [line for line in done.err.splitlines() if "compopt" not in line] == []
    return done.out.splitlines()


def offered_in_the_end(*words: str, folder: Path) -> list[str]:
    """The same of a machine that may be too busy to answer as soon as a user needs it."""
    deadline = time.monotonic() + 3 * DEADLINE
    while not (found := offered(*words, folder=folder)) and time.monotonic() < deadline:
        pass
    return found


@pytest.fixture
def configured(tmp_path: Path) -> Path:
    (tmp_path / "event-workbench").mkdir()
    (tmp_path / "event-workbench" / "workbench.toml").write_text(
        """
        default = ["shop"]
        [connections.shop]
        url = "demo://shop"
        [connections.log]
        url = "memory://log"
        """
    )
    return tmp_path


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("bro",), ["browse"]),
        (("dl",), ["dlq"]),
        (("dlq", "--b"), ["--by"]),
        (("browse", "--for"), ["--force"]),
        (("ls", "-o", ""), ["table", "json"]),
        (("tail", "--from", "b"), ["beginning"]),
        (("ls", "-c", ""), ["shop", "log"]),
        (("ls", "-c", "l"), ["log"]),
        (("connections", "check", "s"), ["shop"]),
        (("ls", "sh"), ["shop"]),
        (("browse", "shop/orders.d"), ["shop/orders.dead"]),
        (("browse", "orders.d"), ["orders.dead"]),
        (("replay", "orders.dead", "payments-"), ["payments-dlt"]),
        (("tail", "-c", "shop", "-c", "log", "orders.d"), []),
        (("tail", "-c", "shop", "-c", "log", "shop/orders.d"), ["shop/orders.dead"]),
        (("tail", "log/"), []),
    ],
)
def test_words_are_completed(configured: Path, words: tuple[str, ...], expected: list[str]) -> None:
    offer = offered_in_the_end if expected else offered
    assert offer(*words, folder=configured) == expected


def test_a_strangers_connection_is_not_opened_for_a_completion(configured: Path) -> None:
    (configured / "workbench.toml").write_text("[connections.theirs]\nurl = 'demo://shop'")
    assert offered("browse", "theirs/orders.d", folder=configured) == []
    assert offered("ls", "-c", "the", folder=configured) == ["theirs"]


def test_addresses_of_a_broker_are_offered_but_none_that_a_shell_would_obey(
    rabbitmq_4: RabbitMQAddress, tmp_path: Path
) -> None:
    names = [
        "complete-me",
        "complete-$(touch obeyed)",
        "complete-me;reboot",
        "complete-*",
        "complete me",
        "complete-`a`",
    ]
    url = managed(rabbitmq_4)
    (tmp_path / "event-workbench").mkdir()
    (tmp_path / "event-workbench" / "workbench.toml").write_text(f'[connections.r]\nurl = "{url}"\n')
    # Without heartbeats: nobody answers them while the shell is asked.
    with pika.BlockingConnection(pika.URLParameters(f"{rabbitmq_4.url}?heartbeat=0")) as connection:
        channel = connection.channel()
        for name in names:
            channel.queue_declare(name, durable=True)
        try:
            found = offered_in_the_end("browse", "r/complete", folder=tmp_path)
        finally:
            for name in names:
                channel.queue_delete(name)
    assert found == ["r/complete-me"]
    assert not (tmp_path / "obeyed").exists()


@pytest.mark.parametrize(
    "config",
    [
        "nonsense",
        '[connections.gone]\nurl = "amqp://127.0.0.1:1"\n',
        '[connections.gone]\nurl = "kafka://127.0.0.1:1"\n',
        '[connections.gone]\nurl = "amqp://somebody@localhost"\n',
        '[connections.gone]\nurl = "amqp://${NOT_SET}@localhost"\n',
        '[connections.gone]\nurl = "smoke://hill"\n',
    ],
)
def test_what_cannot_be_asked_offers_nothing_and_says_nothing(tmp_path: Path, config: str) -> None:
    (tmp_path / "event-workbench").mkdir()
    (tmp_path / "event-workbench" / "workbench.toml").write_text(config)
    assert offered("browse", "gone/", folder=tmp_path) == []


def test_no_password_command_is_run_for_a_key_press(tmp_path: Path) -> None:
    config = tmp_path / "own.toml"
    config.write_text(
        f'[connections.shop]\nurl = "amqp://ops@127.0.0.1:1"\npassword_command = "touch {tmp_path}/obeyed"\n'
    )
    assert offered("ls", "--config", str(config), "sh", folder=tmp_path) == ["shop"]
    assert offered("browse", "--config", str(config), "shop/", folder=tmp_path) == []
    assert not (tmp_path / "obeyed").exists()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_a_script(shell: str) -> None:
    done = run("workbench", env={**os.environ, "_WORKBENCH_COMPLETE": f"{shell}_source"})
    assert (done.code, done.err) == (0, "")
    assert f"_WORKBENCH_COMPLETE={shell}_complete" in done.out
