"""The brokers of production connections, remembered from one run to the next.

Whoever meets one of them again, by whatever URL, is in production. It is forgotten when the files that said production
of a connection to it, and are the user's own or still trusted, do not say so any more. A file that is gone or cannot be
read takes nothing back.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from workbench.connecting.config import Connection
from workbench.connecting.config_file import ConfigFile
from workbench.connecting.config_sources import is_trusted, own_path
from workbench.connecting.error_log import log_error
from workbench.connecting.folders import state_path
from workbench.connecting.identity import BrokerIdentity
from workbench.connecting.plain_files import content_of
from workbench.connecting.state_files import locked, write_private
from workbench.model.errors import ConfigError


class Known(msgspec.Struct, frozen=True):
    """A broker that was met as production.

    Attributes:
        id: What it calls itself.
        name: The connection's name.
        file: The configuration file that said so.
    """

    id: str
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

    Raises:
        ConfigError: The list of them cannot be read.
    """
    if not identity.id:
        return ""
    known = [each for each in known_brokers() if each.id == identity.id]
    holding = [each for each in known if not _is_taken_back(each, file)]
    if file is not None and connection.production:
        ours = Known(identity.id, connection.name, str(file.absolute()))
        holding += [ours] if ours not in holding else []
    if holding != known:
        _replace(identity.id, holding)
    return holding[0].name if holding else ""


def known_brokers() -> Sequence[Known]:
    """Those that were met, once for each connection that is configured for one.

    Raises:
        ConfigError: The list of them cannot be read.
    """
    try:
        return _READ.decode(content_of(_path()) or b"[]")
    except FileNotFoundError:
        return ()
    except OSError as error:
        reason = f"cannot be read: {error.strerror}"
    except msgspec.DecodeError:
        reason = "is damaged"
    raise ConfigError(
        f"{_path()}, which says which brokers are production, {reason}. Mend it, or remove it to begin anew."
    )


_READ: Final = msgspec.json.Decoder(list[Known])


def _is_taken_back(known: Known, file: Path | None) -> bool:
    """Whether the file that said production of a connection does not any more, and its user vouches for that."""
    path = Path(known.file)
    if path not in (own_path(), file and file.absolute()) and not is_trusted(path):
        return False
    try:
        said = ConfigFile.read(path).connections.get(known.name)
    except ConfigError:
        return False
    return said is None or not said.production


def _replace(id: str, holding: Sequence[Known]) -> None:
    try:
        with locked(_path()):
            others = [each for each in known_brokers() if each.id != id]
            write_private(_path(), msgspec.json.encode([*others, *holding]), mode=0o600)
    except OSError as error:
        log_error(error, "Remembering which brokers are production")


def _path() -> Path:
    return state_path("production-brokers.json")
