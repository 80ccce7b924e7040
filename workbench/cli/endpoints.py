"""`workbench ls`: what there is."""

import click
import msgspec

from workbench.cli import completion
from workbench.cli.exit_codes import Exit
from workbench.cli.output import Format, format_option, format_or_default, json_line, table
from workbench.cli.runner import ask_connections, report_gaps, with_session
from workbench.cli.sessions import need_connection
from workbench.cli.stdio import say, write, write_json
from workbench.connecting.guard import Guarded
from workbench.decode.display import visible
from workbench.model.address import Address
from workbench.model.endpoint import Ability, Endpoint
from workbench.session import Session


@click.command()
@click.argument(
    "place", metavar="[CONNECTION|ADDRESS]", required=False, shell_complete=completion.addresses_or_connections
)
@format_option("table", "json")
@with_session
async def ls(session: Session, place: str | None, form: Format | None) -> int:
    """List endpoints with depth, consumers and dead-letter links: for all connections, one connection, or a single
    endpoint."""
    if place is not None:
        session.let_in(place)
    need_connection(session)
    listed: list[Endpoint] = []
    code = Exit.DONE
    if place is None or place in session.names:
        answers, code = await ask_connections(session, [place] if place else session.names, Guarded.endpoints)
        for name, endpoints in answers.items():
            listed += endpoints
            code = report_gaps(name, endpoints.gaps) or code
    else:
        address = session.address(place)
        listed.append(await (await session.connector(address.connection)).endpoint(address))
    if format_or_default(form) == "json":
        write_json(b"".join(json_line(_record(endpoint)) for endpoint in listed))
    elif listed:
        write(table(_TITLES, list(map(_row, listed)), right=frozenset({"depth", "parts", "consumers"})).encode())
    if not listed and code == Exit.DONE:
        say("There are no endpoints, or this user may not see them.")
    return code


_TITLES = ("address", "kind", "depth", "parts", "consumers", "dead letters", "trouble")


def _row(endpoint: Endpoint) -> tuple[str, ...]:
    links = [f"→ {_links(endpoint.dead_letters_to)}"] if endpoint.dead_letters_to else []
    links += [f"← {_links(endpoint.dead_letters_of)}"] if endpoint.dead_letters_of else []
    numbers = (endpoint.depth, endpoint.partitions, endpoint.consumers)
    return (
        visible(str(endpoint.address)),
        endpoint.kind,
        *("" if number is None else f"{number:,}" for number in numbers),
        "  ".join(links),
        visible(endpoint.trouble),
    )


def _links(addresses: tuple[Address, ...]) -> str:
    names = [visible(str(address).partition("/")[2], 30) for address in addresses]
    return ", ".join(names[:2]) + (f" and {len(names) - 2} more" if len(names) > 2 else "")


def _record(endpoint: Endpoint) -> dict[str, object]:
    return {
        "address": str(endpoint.address),
        "kind": endpoint.kind,
        "family": endpoint.family,
        "abilities": [ability.name.lower() for ability in Ability if ability in endpoint.abilities and ability.name],
        "depth": endpoint.depth,
        "partitions": endpoint.partitions,
        "consumers": endpoint.consumers,
        "dead_letters_to": [str(address) for address in endpoint.dead_letters_to],
        "dead_letters_of": [str(address) for address in endpoint.dead_letters_of],
        "price": endpoint.cost.sentence or None,
        "detail": dict(endpoint.detail),
        "trouble": endpoint.trouble or None,
        "readers": [msgspec.structs.asdict(reader) for reader in endpoint.readers],
    }
