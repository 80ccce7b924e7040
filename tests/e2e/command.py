"""The installed command, run as a user or a script runs it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec

from tests.brokers.kafka import KafkaAddress
from tests.brokers.rabbitmq import RabbitMQAddress

INSTALLED = Path(sys.executable).parent / "workbench"

DEADLINE = 120.0
"""Seconds in which a program must have ended, on a machine as busy as a full run makes it."""


class Ran(msgspec.Struct, frozen=True):
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def records(self) -> list[Any]:
        """stdout, read as NDJSON."""
        return [json.loads(line) for line in self.out.splitlines()]


def run(*arguments: str, stdin: bytes = b"", env: dict[str, str] | None = None, cwd: Path | None = None) -> Ran:
    """Run a program to its end; the first argument is `workbench` for ours."""
    program = str(INSTALLED) if arguments[0] == "workbench" else arguments[0]
    done = subprocess.run(
        [program, *arguments[1:]], input=stdin, capture_output=True, timeout=DEADLINE, check=False, env=env, cwd=cwd
    )
    return Ran(done.returncode, done.stdout.decode(), done.stderr.decode())


def kcat_publish(kafka: KafkaAddress, topic: str, *options: str, stdin: bytes) -> None:
    """Publish a line each with kcat to a topic, which need not be there: a broker that is busy makes it slowly."""
    patience = ("-X", "topic.metadata.propagation.max.ms=120000", "-X", "message.timeout.ms=120000")
    published = run("kcat", "-b", kafka.bootstrap, "-P", "-t", topic, *patience, *options, stdin=stdin)
    assert published.code == 0, published.err


def managed(broker: RabbitMQAddress) -> str:
    """The URL of a RabbitMQ whose management API is not on the port where it is looked for."""
    return f"{broker.url}?management={broker.management_url}"
