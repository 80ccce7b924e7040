"""The command `workbench`: its options, and how every command runs and fails."""

import click

from workbench import __version__
from workbench.cli import connections, endpoints, expect, groups, publish, reading, screen
from workbench.cli.running import connection_options


@click.group(
    cls=screen.Screen,
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
        context.exit(screen.opened(()))


workbench.add_command(endpoints.ls)
workbench.add_command(groups.groups)
workbench.add_command(publish.publish)
workbench.add_command(publish.replay)
workbench.add_command(reading.browse)
workbench.add_command(reading.tail)
workbench.add_command(expect.expect)
workbench.add_command(connections.connections)
workbench.add_command(screen.demo)
