import os
import subprocess
import sys
import textwrap
import uuid
from pathlib import Path

import pytest

from tests.brokers.kafka import KafkaAddress
from tests.e2e.command import kcat_publish, run
from workbench import __version__
from workbench.connecting.config_file import ConfigFile, Configured
from workbench.model.errors import ConfigError
from workbench.session import Session


def imported(*arguments: str) -> set[str]:
    """The modules that a command imports, a package's by their full names."""
    environment = {**os.environ, "PYTHONPATH": ""}
    done = run(sys.executable, "-X", "importtime", "-m", "workbench", *arguments, env=environment)
    assert done.code == 0
    return {line.rpartition("|")[2].strip() for line in done.err.splitlines()}


def test_the_version_is_printed() -> None:
    assert run("workbench", "--version").out == f"workbench, version {__version__}\n"


def test_version_and_help_import_little_more_than_click() -> None:
    for asked in ("--version", "--help"):
        modules = imported(asked)
        assert "click" in modules
        assert not modules & {"asyncio", "ssl", "logging", "msgspec", "importlib.metadata", "platformdirs", "traceback"}
        assert not {name.partition(".")[0] for name in modules} & {
            *("textual", "rich", "pika", "aiokafka", "httpx", "jinja2", "keyring", "connectors", "views")
        }
        assert {name for name in modules if name.startswith("workbench.cli.")} == {
            *("workbench.cli.program", "workbench.cli.main", "workbench.cli.options", "workbench.cli.option_values"),
            "workbench.cli.exit_codes",
        }


def test_publishing_one_event_imports_neither_templates_nor_what_reads_files_or_events(kafka: KafkaAddress) -> None:
    topic = f"start-up-{uuid.uuid4().hex[:8]}"
    kcat_publish(kafka, topic, stdin=b"first\n")
    modules = imported("publish", "-c", f"k={kafka.url}", topic, "one")
    assert "aiokafka.conn" in modules
    assert not modules & {"jinja2", "importlib.metadata", "email.message", "keyring", "httpx", "textual", "pika", "re2"}
    assert not modules & {"workbench.facts.conventions", "workbench.query.query", "sqlite3", "tomli", "platformdirs"}
    assert not modules & {
        "aiokafka.consumer",
        "aiokafka.producer",
        "connectors.kafka.reader",
        "connectors.kafka.groups",
    }


async def test_a_keyring_without_its_extra_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    config = ConfigFile(connections={"shop": Configured("memory://shop", keyring=True)})
    async with Session((), config) as session:
        with pytest.raises(ConfigError, match=r"pip install 'event-workbench\[keyring\]'"):
            await session.connector("shop")


def test_listing_a_memory_broker_imports_no_driver() -> None:
    done = run(sys.executable, "-X", "importtime", "-m", "workbench", "ls", "-c", "memory://empty")
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.err.splitlines()}
    assert done.code == 0
    assert "connectors" in imported
    assert not imported & {"textual", "pika", "aiokafka"}


def test_the_first_picture_imports_nothing_that_it_does_not_show() -> None:
    done = run(sys.executable, "-X", "importtime", "-c", "import views.app")
    modules = {line.rpartition("|")[2].strip() for line in done.err.splitlines()}
    assert {"views.events", "views.widgets.endpoint_tree"} <= modules
    assert not modules & {"jinja2", "multiprocessing", "concurrent.futures.process", "wcwidth", "pika", "aiokafka"}
    assert not modules & {"ctypes", "hashlib", "statistics", "views.widgets.inspector.tabs", "workbench.store.tally"}
    assert not modules & {"textual.widgets._data_table", "textual.widgets._text_area", "textual.widgets._checkbox"}
    screens = {f"views.{name}" for name in ("trace", "dead_letters", "journal", "connections", "publish", "palette")}
    assert not modules & {*screens, "views.dialogs.form", "views.dialogs.keys", "views.dialogs.message_list"}


def test_a_connection_to_rabbitmq_imports_httpx_without_its_command_line() -> None:
    done = run(sys.executable, "-X", "importtime", "-c", "import connectors.rabbitmq.connector")
    modules = {line.rpartition("|")[2].strip() for line in done.err.splitlines()}
    assert {"httpx", "connectors.rabbitmq.topology"} <= modules
    # What its command line is made with.
    assert not modules & {"click", "rich", "pygments"}


def test_the_command_line_of_httpx_is_still_there_for_others() -> None:
    assert run(sys.executable, "-c", "import connectors.rabbitmq.connector, httpx._main").code == 0


def test_a_package_that_hides_one_of_ours_is_named(tmp_path: Path) -> None:
    (tmp_path / "views").mkdir()
    (tmp_path / "views" / "__init__.py").touch()
    done = run(sys.executable, "-m", "workbench", "--version", cwd=tmp_path)
    assert done.code == 1
    assert str(tmp_path / "views") in done.err
    assert len(done.err.splitlines()) == 1


def test_a_third_party_connector_is_found_and_lists_its_endpoints(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "pigeon.py").write_text(
        textwrap.dedent("""
            from workbench.model.address import Address
            from workbench.model.endpoint import Ability, Endpoint

            class PigeonConnector:
                def __init__(self, connection):
                    self.name = connection.name

                async def __aenter__(self):
                    return self

                async def __aexit__(self, *exception):
                    pass

                async def endpoints(self):
                    return [Endpoint(Address(self.name, "loft"), "classic queue", "queue", Ability.PUBLISH, depth=3)]
        """)
    )
    (source / "pyproject.toml").write_text(
        textwrap.dedent("""
            [build-system]
            requires = ["hatchling"]
            build-backend = "hatchling.build"
            [project]
            name = "workbench-pigeon"
            version = "1"
            [project.entry-points."event_workbench.connectors"]
            pigeon = "pigeon:PigeonConnector"
            [tool.hatch.build.targets.wheel]
            include = ["pigeon.py"]
        """)
    )
    installed = tmp_path / "installed"
    install = (sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index")
    subprocess.run([*install, "--target", str(installed), str(source)], check=True, timeout=120)
    done = run("workbench", "ls", "-c", "coop=pigeon://roof", env={**os.environ, "PYTHONPATH": str(installed)})
    assert done.err == ""
    assert [(record["address"], record["depth"]) for record in done.records] == [("coop/loft", 3)]


def test_an_unknown_scheme_is_refused_with_the_known_ones() -> None:
    done = run("workbench", "ls", "-c", "smoke://hill")
    assert (done.code, done.out) == (2, "")
    assert done.err == (
        "workbench: Unknown connection type smoke://. Available: amqp, amqps, demo, eventhubs, kafka, memory.\n"
    )
