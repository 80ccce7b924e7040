"""`workbench groups`: who reads the logs, and how far they have got."""

import time
from typing import TYPE_CHECKING

import click

from workbench.cli import completion
from workbench.cli.confirmation import declined
from workbench.cli.exit_codes import Exit
from workbench.cli.output import Format, format_option, format_or_default, json_line, table
from workbench.cli.runner import ask_connections, fail, report_gaps, with_session
from workbench.cli.search_options import StartType
from workbench.cli.seek import print_seek
from workbench.cli.sessions import need_connection
from workbench.cli.stdio import say, write, write_json
from workbench.connecting.guard import Guarded
from workbench.decode.display import visible
from workbench.model.address import Address
from workbench.model.errors import ConnectorError, EndpointNotFound, Unsupported
from workbench.model.groups import Group, GroupPartition
from workbench.model.listing import Listing
from workbench.model.start import Start
from workbench.model.wording import age
from workbench.operations.seek import carry_out, plan_seek
from workbench.session import Session

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


class _Groups(click.Group):
    """Without one of its commands, groups are listed: what follows is told to `list`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, args if args[:1] == ["seek"] else ["list", *args])


@click.group(cls=_Groups)
def groups() -> None:
    """List groups that read logs, or move one."""


def _places(context: click.Context, parameter: click.Parameter, incomplete: str) -> list["CompletionItem[str]"]:
    from click.shell_completion import CompletionItem

    found = completion.addresses_or_connections(context, parameter, incomplete)
    return [*found, CompletionItem("seek")] if "seek".startswith(incomplete) else found


@groups.command("list")
@click.argument("place", metavar="[CONNECTION|ADDRESS]", required=False, shell_complete=_places)
@click.option("-g", "--group", "name", help="Show one group, partition by partition.")
@format_option("table", "json")
@with_session
async def list_groups(session: Session, place: str | None, name: str | None, form: Format | None) -> int:
    """List groups that read logs: kind, state, members and lag.

    With an ADDRESS, its partitions with the offsets that each group has committed; with -g, those of one group, and the
    age of the oldest event that it has not read, for which that event is looked at.
    `workbench groups seek` moves a group elsewhere.
    """
    if place is not None:
        session.let_in(place)
    address = None if place is None or place in session.names else session.address(place)
    connections = [address.connection] if address else [place] if place else session.names
    need_connection(session, place)
    found: list[tuple[str, Group]] = []
    none: list[ConnectorError] = []

    async def ask(connector: Guarded) -> Listing[Group]:
        if address is not None:
            await connector.endpoint(address)
        try:
            return Listing([await connector.group(name)]) if name else await connector.groups()
        except (Unsupported, EndpointNotFound) as error:
            none.append(error)
            return Listing()

    answers, code = await ask_connections(session, connections, ask)
    for connection, some in answers.items():
        found += [(connection, group) for group in some if address is None or _reads(group, address)]
        code = report_gaps(connection, some.gaps) or code
    if none and not found:
        if code == Exit.DONE:
            raise none[0]
        fail(str(none[0]), Exit.FAILED)
    now = round(time.time() * 1000)
    if format_or_default(form) == "json":
        write_json(b"".join(json_line(_record(connection, group, address)) for connection, group in found))
    elif found and (name or address):
        partitions = [(group, each) for _, group in found for each in _of(group, address)]
        rows = [_partition_row(group, each, now) for group, each in partitions]
        columns = ("group", "address", "partition", "committed", "end", "lag", "oldest unread", "member")
        write(table(columns, rows, right=frozenset({"partition", "committed", "end", "lag", "oldest unread"})).encode())
    elif found:
        summaries = [_row(connection, group, now) for connection, group in found]
        titles = ("group", "connection", "kind", "state", "members", "lag", "oldest unread")
        write(table(titles, summaries, right=frozenset({"members", "lag", "oldest unread"})).encode())
    if not found and code == Exit.DONE:
        say("There are no consumer groups, or this user may not see them.")
    for connection, group in found:
        for gap in group.gaps:
            say(f"{connection}: not seen of group {group.name}: {gap.what} ({gap.reason})")
    return code


@groups.command(short_help="Let a group go on elsewhere.")
@click.argument("group")
@click.argument("address", shell_complete=completion.addresses)
@click.option(
    "--to",
    "start",
    type=StartType(),
    required=True,
    help="beginning, latest, -10m, 2026-11-23T10:00, 3:1200 (partition:offset, the others stay), end-500, group:NAME.",
)
@click.option("--dry-run", is_flag=True, help="Print what would change and change nothing.")
@click.option("-y", "--yes", is_flag=True, help="Go on without asking. Never lifts a guard.")
@format_option("table", "json")
@with_session
async def seek(
    session: Session, group: str, address: str, start: Start, dry_run: bool, yes: bool, form: Format | None
) -> int:
    """Let GROUP go on elsewhere in the log at ADDRESS: what it would read next, from and to, is printed first.

    It is refused while the group has members, who would commit over it. `workbench journal undo` puts it back.
    """
    plan = await plan_seek(session, group, session.address(address), start)
    print_seek(plan, form)
    if not plan.shifts:
        say("Nothing to change.")
        return Exit.DONE
    if dry_run:
        return Exit.DONE
    if (code := await declined(f"Move group {visible(group)}?", yes)) is not None:
        return code
    id = await carry_out(session, plan)
    say(f"Group {visible(group)} is moved; `workbench journal undo {id}` puts it back.")
    return Exit.DONE


def _reads(group: Group, address: Address) -> bool:
    return any(partition.address == address for partition in group.partitions)


def _of(group: Group, address: Address | None) -> list[GroupPartition]:
    return [partition for partition in group.partitions if address is None or partition.address == address]


def _row(connection: str, group: Group, now: int) -> tuple[str, ...]:
    texts = (group.name, connection, group.kind, group.state)
    return (*map(visible, texts), f"{len(group.members):,}", f"{group.lag:,}", _age(group.oldest_unread, now))


def _partition_row(group: Group, partition: GroupPartition, now: int) -> tuple[str, ...]:
    return (
        visible(group.name),
        visible(str(partition.address)),
        partition.partition,
        partition.committed or "none",
        partition.end,
        f"{partition.lag:,}",
        _age(partition.oldest_unread, now),
        visible(partition.member or "", 40),
    )


def _age(moment: int | None, now: int) -> str:
    return "" if moment is None else age((now - moment) / 1000)


def _record(connection: str, group: Group, address: Address | None) -> dict[str, object]:
    return {
        "connection": connection,
        "group": group.name,
        "kind": group.kind,
        "state": group.state,
        "lag": group.lag,
        "oldest_unread": group.oldest_unread,
        "members": [{"name": each.name, "client": each.client, "host": each.host} for each in group.members],
        "partitions": [
            {
                "address": str(each.address),
                "partition": each.partition,
                "committed": each.committed,
                "end": each.end,
                "lag": each.lag,
                "oldest_unread": each.oldest_unread,
                "member": each.member,
            }
            for each in _of(group, address)
        ],
        "gaps": [{"what": gap.what, "reason": gap.reason} for gap in group.gaps],
    }
