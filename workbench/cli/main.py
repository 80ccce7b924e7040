"""The command `workbench`: its commands and options. Nothing of a command is imported before it is called."""

from importlib import import_module
from typing import Final, NamedTuple

import click

from workbench import __version__
from workbench.cli.options import cluster_option, connection_options, record_option


class Entry(NamedTuple):
    """Where a command is, and what the list of commands says of it.

    Attributes:
        module: The module of this package that has it, under the command's name.
        short_help: One line.
        aliases: Other names of the command.
    """

    module: str
    short_help: str
    aliases: tuple[str, ...] = ()


COMMANDS: Final = {
    "ls": Entry("endpoints", "List endpoints: queues, exchanges, streams, topics."),
    "groups": Entry("groups", "List consumer groups with their lag."),
    "publish": Entry("publish", "Publish events; each is confirmed by the broker."),
    "replay": Entry("replay", "Publish the events of a recording, a file or another endpoint again."),
    "browse": Entry("browse", "Print the messages in a queue, topic or stream without consuming them."),
    "tail": Entry("browse", "Print messages as they arrive, without consuming them."),
    "find": Entry("find", "Search the topics and streams of all connections."),
    "trace": Entry("trace", "Follow one correlation id across all connections."),
    "sagas": Entry("sagas", "List the flows that are stuck, the worst first."),
    "dead": Entry("dead", "Group dead letters by why they failed.", ("dlq",)),
    "move": Entry("move", "Move messages, or send dead letters back to where they came from.", ("redrive",)),
    "delete": Entry("move", "Delete messages of a queue; each is journalled first."),
    "journal": Entry("journal", "List what was moved and deleted; resume, undo or forget it."),
    "explain": Entry("explain", "Show which convention each fact of one event came from."),
    "expect": Entry("expect", "Wait for matching events, for use in tests and CI."),
    "connections": Entry("connections", "List, check, add, edit, remove and trust configured connections."),
    "demo": Entry("screen", "Open the workbench on a simulated shop; nothing to install."),
}
"""The commands, in the order of the help."""

_NAMES: Final = {name: name for name in COMMANDS} | {
    alias: name for name, entry in COMMANDS.items() for alias in entry.aliases
}
"""The name of a command by each name that it may be called by."""


class Commands(click.Group):
    """Imports a command's module when it is called, so that no command waits for what another needs.

    Its first word may also be an address or a recording, which the screen then opens.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_NAMES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if (name := _NAMES.get(cmd_name)) is None:
            return None
        entry = COMMANDS[name]
        command: click.Command = getattr(import_module(f"workbench.cli.{entry.module}"), name)
        command.short_help = entry.short_help
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(
                [(", ".join((name, *entry.aliases)), entry.short_help) for name, entry in COMMANDS.items()]
            )

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in _NAMES:
            from workbench.cli import screen

            if screen.is_target(args[0]):
                return screen.open_screen.name, screen.open_screen, args
        return super().resolve_command(ctx, args)


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    invoke_without_command=True,
    subcommand_metavar="[ADDRESS|RECORDING]... | COMMAND [ARGS]...",
)
@click.version_option(__version__, prog_name="workbench")
@record_option
@cluster_option
@connection_options
@click.pass_context
def workbench(context: click.Context) -> None:
    """Publish, browse, tail and move the events of RabbitMQ and Kafka.

    Without a command it opens the screen: on addresses, on a recording, or on all connections; where there are none,
    on the demo.

    An ADDRESS is connection/name, or connection/exchange:name for an exchange. -c gives a connection:
    -c rabbit=amqp://user@host/vhost or -c kafka://host:9092, which is then named by its host. With a single
    connection its name may be left out of addresses.
    """
    if context.invoked_subcommand is None:
        from workbench.cli import screen

        context.exit(screen.run_screen(()))
