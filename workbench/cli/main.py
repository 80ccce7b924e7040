"""The command `workbench`: its options, and how every command runs and fails."""

from importlib import import_module

import click

from workbench import __version__
from workbench.cli import screen
from workbench.cli.options import connection_options

COMMANDS = {
    "ls": "endpoints",
    "groups": "groups",
    "publish": "publish",
    "replay": "replay",
    "browse": "browse",
    "tail": "browse",
    "expect": "expect",
    "connections": "connections",
    "demo": "screen",
}
"""The commands, in the order of the help, and the modules of this package that have them."""


class Commands(screen.Screen):
    """Imports a command's module when it is called, so that no command waits for what another needs."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"workbench.cli.{COMMANDS[cmd_name]}"), cmd_name)
        return command


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    invoke_without_command=True,
    subcommand_metavar="[ADDRESS|RECORDING]... | COMMAND [ARGS]...",
)
@click.version_option(__version__, prog_name="workbench")
@screen.record_option
@connection_options
@click.pass_context
def workbench(context: click.Context) -> None:
    """Publish, look at, follow and move the events of RabbitMQ and Kafka.

    Without a command it opens the screen: on addresses, on a recording, or on all connections; where there are none,
    on the demo.

    An ADDRESS is connection/name, or connection/exchange:name for an exchange. -c gives a connection:
    -c rabbit=amqp://user@host/vhost or -c kafka://host:9092, which is then named by its host. With a single
    connection its name may be left out of addresses.
    """
    if context.invoked_subcommand is None:
        context.exit(screen.run_screen(()))
