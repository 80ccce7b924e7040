"""`workbench demo`: a tour of the command line on the embedded broker."""

import shlex
import sys
from contextlib import suppress

import click

TOUR = (
    ("A shop runs on the embedded broker. This is what there is:", "ls shop"),
    ("Dead letters, oldest first. Looking gives them back in their places:", "browse shop/orders.dead -n 3"),
    ("The newest payments of a topic, partitions merged by time:", "browse shop/payments --from end-2"),
    ("An event of our own, confirmed by the broker:", """publish shop/payments '{"id":2001,"total":9.5}' -k 2001"""),
    (
        "It is there, as one line that `publish --file` reads, for any broker:",
        "browse shop/payments --from -1s --json",
    ),
    ("What cannot be done is said in one sentence:", "browse shop/exchange:orders"),
)
"""What is said before a command, and the command."""


@click.command(short_help="A tour of these commands on the embedded broker.")
@click.pass_context
def demo(context: click.Context) -> None:
    """A tour of these commands on the embedded broker; nothing else is needed, and nothing is left behind."""
    group = context.find_root().command
    for sentence, line in TOUR:
        click.secho(f"\n# {sentence}", dim=True)
        click.secho(f"$ workbench {line}", bold=True)
        sys.stdout.flush()
        with suppress(SystemExit):
            group.main(["-c", "shop=demo://shop", *shlex.split(line)], prog_name="workbench", standalone_mode=False)
    click.echo(
        "\nYour own brokers: workbench ls -c amqp://user@host/vhost, or -c kafka://host:9092."
        "\nAll commands: workbench --help."
    )
