"""`workbench connections`: what is configured, whether it works, and changing it."""

import asyncio
import functools
import shlex
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from workbench.cli import completion
from workbench.cli.confirmation import confirm
from workbench.cli.exit_codes import Exit
from workbench.cli.option_values import option_values
from workbench.cli.options import config_option, connection_options
from workbench.cli.output import Format, format_option, format_or_default, json_line, table
from workbench.cli.runner import check_text, fail, warn_of, with_session
from workbench.cli.sessions import current_config, named_config, with_variables
from workbench.cli.stdio import hide_passwords, say, write, write_json
from workbench.connecting import config_edit, config_sources
from workbench.connecting.check import Step, step
from workbench.connecting.config import Connection
from workbench.connecting.config_file import ConfigFile
from workbench.connecting.connection_formats import connection_of, is_connection, url_of
from workbench.connecting.level import Level
from workbench.connecting.passwords import keyring_command, keyring_entry
from workbench.connecting.trust_review import what_trust_allows
from workbench.connecting.url import for_listing, given_name
from workbench.decode.display import visible
from workbench.model.errors import ConfigError, WorkbenchError, unwrap_exception_group
from workbench.model.wording import quantity
from workbench.session import Session


@click.group(invoke_without_command=True)
@connection_options
@format_option("table", "json")
@click.pass_context
def connections(context: click.Context, form: Format | None) -> None:
    """List, check, add, edit, remove and trust configured connections."""
    if context.invoked_subcommand is not None:
        return
    try:
        config = current_config()
    except ConfigError as error:
        context.exit(fail(str(error), Exit.USAGE))
    warn_of(config)
    rows = [
        (name, _url_to_list(said.url), said.guard, _standing(config, name)) for name, said in config.connections.items()
    ]
    if format_or_default(form) == "json":
        keys = ("name", "url", "guard", "environment")
        write_json(b"".join(json_line(dict(zip(keys, row, strict=True))) for row in rows))
    elif rows:
        write(
            table(("name", "url", "guard", "environment"), [[visible(cell) for cell in row] for row in rows]).encode()
        )
    else:
        say("No connection is configured: add one with `workbench connections add NAME URL`.")


_WRONG: Final = "workbench.wrong_connections"


def _without_wrong(command: Callable[..., None]) -> Callable[..., None]:
    """Have a command check the other connections where one is given by a URL that cannot be read."""

    @functools.wraps(command)
    def run(**given: Any) -> None:
        context = click.get_current_context()
        texts = option_values(context).connection
        wrong: dict[str, ConfigError] = {}
        for number, text in enumerate(texts, 1):
            try:
                if is_connection(whole := with_variables(text)):
                    connection_of(whole)
            except ConfigError as error:
                wrong[given_name(text) or f"-c {number}"] = error
                texts[number - 1] = ""
        if len(wrong) < len(texts):
            texts[:] = filter(None, texts)
            context.meta[_WRONG] = wrong
        elif wrong:
            context.exit(fail(" ".join(map(str, wrong.values())), Exit.USAGE))
        command(**given)

    return run


@connections.command(short_help="Test a connection step by step.")
@click.argument("names", metavar="[NAME]...", nargs=-1, shell_complete=completion.connections)
@format_option("table", "json")
@_without_wrong
@with_session
async def check(session: Session, names: tuple[str, ...], form: Format | None) -> int:
    """Test connections step by step, and name the step that fails: DNS, TCP, TLS, authentication, advertised hosts,
    management. Without a name, all that are given or configured."""
    checked = list(dict.fromkeys(names or session.names))
    for name in names:
        session.let_in(name)
    wrong: dict[str, ConfigError] = click.get_current_context().meta.get(_WRONG, {})
    failed = set[str](wrong)

    async def steps() -> AsyncIterator[tuple[str, Step]]:
        for name, error in wrong.items():
            yield name, Step("configuration", error=str(error))
        async for each in _all_steps(session, checked):
            yield each

    async for name, tried in steps():
        if tried.error is not None:
            failed.add(name)
            # It may quote what was given as a name, or for a connection.
            tried = msgspec.structs.replace(tried, error=hide_passwords(tried.error))
        name = hide_passwords(name)
        if format_or_default(form) == "json":
            write_json(json_line({"connection": name, "step": tried.name} | _step_record(tried)))
        else:
            what = tried.error or tried.found if tried.tried else "not tried"
            write(f"{tried.sign} {visible(name)}  {visible(tried.name)}  {visible(what)}{tried.took}\n".encode())
    if not names and not session.names:
        raise ConfigError("No connection is given or configured: add -c NAME=URL.")
    return Exit.DONE if not failed else Exit.PARTLY if len(failed) < len(checked) + len(wrong) else Exit.FAILED


@connections.command(short_help="Add a connection to the configuration.")
@click.argument("name")
@click.argument("url", metavar="URL", type=click.UNPROCESSED)
@click.option(
    "--guard",
    type=click.Choice([level.name.lower() for level in Level]),
    default="observe",
    show_default=True,
    help="What is allowed on it.",
)
@click.option("--production", is_flag=True, help="Ask for the connection's name before anything but observing.")
@click.option(
    "--here", is_flag=True, help=f"Write to ./{config_sources.NAME}, for this folder, instead of your own file."
)
@config_option
@click.pass_context
def add(context: click.Context, name: str, url: str, guard: str, production: bool, here: bool) -> None:
    """Add a connection to your configuration, or to the file that --config names.

    Keep passwords out of the URL: write ${VARIABLE}, or set password_command or keyring in the file. Instead of a URL
    you may give your broker's connection string or the .properties file of a client; a password in it is not copied.
    """
    named = named_config()
    if here and named is not None:
        context.exit(fail("--here and --config name two files: choose one.", Exit.USAGE))
    path = config_sources.here_path() if here else named or config_sources.own_path()
    check_text(context)
    try:
        url, left_out = url_of(url)
        config_edit.add(path, name, url, guard, production)
    except ConfigError as error:
        context.exit(fail(str(error), Exit.USAGE))
    option = f"--config {shlex.quote(str(named))} " if named else ""
    say(f"{name} is in {path}. `workbench {option}connections check {name}` tries it.")
    if left_out:
        say("Its password was left out: set password_command or keyring = true, or be asked.")


@connections.command(short_help="Change a connection in the configuration.")
@click.argument("name", shell_complete=completion.connections)
@click.option("--name", "new_name", metavar="NAME", help="Rename it.")
@click.option("--url", metavar="URL", help="Its new URL; … stands for a secret that stays.")
@click.option("--guard", type=click.Choice([level.name.lower() for level in Level]), help="What is allowed on it.")
@click.option("--production/--no-production", default=None, help="Whether it asks for its name before changes.")
@click.option("--here", is_flag=True, help=f"Change ./{config_sources.NAME}, even if it is not trusted.")
@config_option
@click.pass_context
def edit(
    context: click.Context,
    name: str,
    new_name: str | None,
    url: str | None,
    guard: str | None,
    production: bool | None,
    here: bool,
) -> None:
    """Change the connection NAME in the configuration; what no option names stays as it is, comments too."""
    check_text(context)
    try:
        path = _file_of(name, here)
        before = _keyring_connection(path, name)
        left_out = False
        if url is not None:
            url, left_out = url_of(url)
        config_edit.edit(path, name, new_name=new_name, url=url, guard=guard, production=production)
    except ConfigError as error:
        context.exit(fail(str(error), Exit.USAGE))
    renamed = "" if new_name in (None, name) else f" and is now called {new_name}"
    say(f"{name} was changed in {path}{renamed}.")
    if left_out:
        say("Its password was left out: set password_command or keyring = true, or be asked.")
    now = _keyring_connection(path, new_name or name)
    if before is not None and now is not None and keyring_entry(before) != keyring_entry(now):
        say(f"The keyring has its password for {keyring_entry(before)!r}: `{keyring_command('set', now)}` stores it.")


@connections.command(short_help="Remove a connection from the configuration.")
@click.argument("name", shell_complete=completion.connections)
@click.option("--here", is_flag=True, help=f"Remove it from ./{config_sources.NAME}, even if that is not trusted.")
@config_option
@click.pass_context
def remove(context: click.Context, name: str, here: bool) -> None:
    """Remove the connection NAME from the configuration. A password in the system's keyring stays there."""
    check_text(context)
    try:
        path = _file_of(name, here)
        kept = _keyring_connection(path, name)
        config_edit.remove(path, name)
    except ConfigError as error:
        context.exit(fail(str(error), Exit.USAGE))
    say(f"{name} was removed from {path}.")
    if kept is not None:
        say(f"Its password is still in the keyring: `{keyring_command('del', kept)}` deletes it.")


@connections.command(short_help="Let a configuration file run its password commands.")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), required=False)
@config_option
@click.pass_context
def trust(context: click.Context, file: Path | None) -> None:
    """Let FILE, or else the file that --config names, or else ./workbench.toml, run its password commands, see the
    keyring and environment variables, and connect to its hosts, until it is changed. What that allows is printed first,
    and on a terminal you are asked."""
    file = file or named_config() or config_sources.here_path()
    try:
        content, allowed = what_trust_allows(file)
        for need, name in allowed:
            say(f"{visible(name) if name else 'all'}: {need.verb} {visible(need.what)}")
        if sys.stdin.isatty() and not confirm(f"Trust {file}?"):
            say("Nothing was changed.")
            return
        config_sources.trust(file, content)
    except ConfigError as error:
        context.exit(fail(str(error), Exit.USAGE))
    say(f"{file} is trusted as it is now.")


def _standing(config: ConfigFile, name: str) -> str:
    """What else to know of a connection: whether it is production, and that its file is not trusted."""
    production = "production" if config.connections[name].production else ""
    return ", ".join(filter(None, (production, "not trusted" if name in config.strangers else "")))


def _file_of(name: str, here: bool) -> Path:
    """The file that has a connection.

    Raises:
        ConfigError: None has it, or one that is not trusted and was not named.
    """
    named = named_config()
    if here and named is not None:
        raise ConfigError("--here and --config name two files: choose one.")
    config = ConfigFile.read(config_sources.here_path()) if here else current_config()
    return config.file_of(name)


def _keyring_connection(path: Path, name: str) -> Connection | None:
    """A connection in a file whose password is in the keyring; None: it is not, or the URL cannot be read here."""
    config = ConfigFile.read(path)
    try:
        return config.connection(name) if config.connections[name].keyring else None
    except ConfigError:
        return None


def _step_record(step: Step) -> dict[str, object]:
    return {"found": step.found, "error": step.error, "tried": step.tried, "seconds": step.seconds}


async def _all_steps(session: Session, names: Sequence[str]) -> AsyncIterator[tuple[str, Step]]:
    """The steps of each connection, one connection after the other; they are tried at once."""

    async def tried(name: str, steps: "asyncio.Queue[Step | None]") -> None:
        try:
            async for each in _steps(session, name):
                await steps.put(each)
        except WorkbenchError as error:
            if len(names) == 1:
                raise
            await steps.put(Step("configuration", error=str(error)))
        finally:
            await steps.put(None)

    with unwrap_exception_group():
        async with asyncio.TaskGroup() as group:
            queues = {name: asyncio.Queue[Step | None]() for name in names}
            for name, queue in queues.items():
                group.create_task(tried(name, queue))
            for name, queue in queues.items():
                while (each := await queue.get()) is not None:
                    yield name, each


async def _steps(session: Session, name: str) -> AsyncIterator[Step]:
    connector = await session.new_connector(name)
    failed = False
    async for tried in connector.check():
        yield tried
        failed = failed or tried.error is not None
    if failed:
        return

    async def list_connection() -> str:
        async with connector:
            return quantity(len(await connector.endpoints()), "endpoint")

    yield await step("list", list_connection)


def _url_to_list(url: str) -> str:
    """The URL for a listing; a connection string is listed as the URL that it means."""
    try:
        return for_listing(url_of(url, files=False)[0])
    except ConfigError:
        return "…"
