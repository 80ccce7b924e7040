"""What the documents say, held against the code."""

import re
from pathlib import Path

import click
from click.testing import CliRunner

from workbench.cli.main import COMMANDS, workbench
from workbench.connecting.config_file import ConfigFile
from workbench.session import Session

ROOT = Path(__file__).resolve().parents[2]


def test_the_readme_lists_every_command_and_no_other() -> None:
    listed = re.findall(r"^\| `workbench (\w+)", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(COMMANDS)


def test_every_command_and_option_has_a_help_text() -> None:
    context = click.Context(workbench)
    for name in COMMANDS:
        command = workbench.get_command(context, name)
        assert command is not None and command.help, name
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.help, f"{command.name} {parameter.opts}"


def test_another_name_of_a_command_is_in_the_help_beside_it_and_is_the_command() -> None:
    done = CliRunner().invoke(workbench, ["--help"])
    assert "dead, dlq  " in done.output
    told = [CliRunner().invoke(workbench, [name, "--help"]).output.partition("\n")[2] for name in ("dead", "dlq")]
    assert told[0] == told[1]


def test_the_documents_name_files_that_exist() -> None:
    for document in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for path in re.findall(r"`((?:workbench|connectors|views|tests|docs)/[\w./]*)`", document.read_text()):
            assert (ROOT / path).exists(), f"{document.name} names {path}"


def test_the_readmes_configuration_can_be_used(tmp_path: Path) -> None:
    examples = re.findall(r"```toml\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    file = tmp_path / "workbench.toml"
    file.write_text("\n".join(examples))
    config = ConfigFile.read(file)
    session = Session(config=config)
    assert session.names == ["shop"]
    assert session.reading.masked is not None
    assert session.conventions.names[:2] == ("shop", "nameko")
    assert config.connections["shop"].production


def test_no_file_names_a_package_registry() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    assert not re.search(r"https?://|--(extra-)?index-url|--find-links", lock)
