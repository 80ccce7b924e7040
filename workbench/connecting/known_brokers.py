"""The brokers of production connections, remembered from one run to the next.

Whoever meets one of them again, by whatever URL, is in production. It is forgotten when the file that said production
of the connection does not say so any more.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from workbench.connecting.config import Connection
from workbench.connecting.error_log import log_error
from workbench.connecting.folders import state_path
from workbench.connecting.identity import BrokerIdentity
from workbench.connecting.state_files import locked, write_private


class Known(msgspec.Struct, frozen=True):
    """A broker that was met as production.

    Attributes:
        name: The connection's name.
        file: The configuration file that said so.
    """

    name: str
    file: str


def meet(connection: Connection, identity: BrokerIdentity, file: Path | None) -> str:
    """Remember a broker, or recognise it.

    Args:
        connection: By which it was met.
        identity: What it says of itself.
        file: The trusted file that configures the connection; None: it is in none.

    Returns:
        The name of the production connection that this is the broker of; empty: of none.
    """
    if not identity.id:
        return ""
    known = known_brokers().get(identity.id)
    ours = None if file is None else Known(connection.name, str(file.absolute()))
    if ours is not None and connection.production and known is None:
        _change(identity.id, ours)
        return connection.name
    if ours is not None and not connection.production and known == ours:
        _change(identity.id, None)
        return ""
    return known.name if known is not None else ""


def known_brokers() -> Mapping[str, Known]:
    """Those that were met, by their ids."""
    try:
        return _READ.decode(_path().read_bytes() or b"{}")
    except FileNotFoundError:
        return {}
    except (OSError, msgspec.DecodeError) as error:
        log_error(error, "Reading which brokers are production")
        return {}


_READ: Final = msgspec.json.Decoder(dict[str, Known])


def _change(id: str, known: Known | None) -> None:
    try:
        with locked(_path()):
            found = {name: each for name, each in known_brokers().items() if name != id}
            write_private(_path(), msgspec.json.encode(found if known is None else found | {id: known}), mode=0o600)
    except OSError as error:
        log_error(error, "Remembering which brokers are production")


def _path() -> Path:
    return state_path("production-brokers.json")
