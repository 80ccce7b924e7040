"""A user's connections in a real terminal: added with a password, edited, removed, and no trace of the password."""

from pathlib import Path

import pytest

from tests.brokers.kafka import KafkaAddress
from tests.e2e.fuzz import private
from tests.e2e.terminal import Terminal

SECRET = "alice-secret"


@pytest.mark.parametrize("ahead", [False, True], ids=["slowly", "typed ahead"])
def test_a_connection_with_a_password_is_added_and_removed(tmp_path: Path, kafka: KafkaAddress, ahead: bool) -> None:
    url = f"{kafka.sasl_url.replace(f':{SECRET}', '')}?tls&ca={kafka.ca_file}"
    file = tmp_path / "config" / "event-workbench" / "workbench.toml"
    keys = ["a", "log", "\t", url, "\t", SECRET, "\r"]
    with Terminal("demo", folder=tmp_path, environment=private(tmp_path), columns=140) as terminal:
        terminal.until("deployments")
        for burst in ["".join(keys)] if ahead else keys:
            terminal.press(burst)
            terminal.drain()
        terminal.until("log is saved in")
        assert file.read_text() == f'[connections.log]\nurl = "{url}"\nguard = "publish"\n'
        terminal.press("x")
        terminal.until("Remove log?")
        terminal.press("\r")
        terminal.until("log is removed from")
        assert file.read_text() == ""
        terminal.press("1q")
        assert terminal.wait() == 0
        assert SECRET.encode() not in terminal.received
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not [path for path in written if SECRET.encode() in path.read_bytes()]
