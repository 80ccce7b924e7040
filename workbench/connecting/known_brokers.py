"""The brokers of production connections, remembered from one run to the next.

Whoever meets one of them again, by whatever URL, is in production. It is forgotten when the files that said production
of a connection to it, and are the user's own or still trusted, say so of none any more, whatever they call it. A file
that is gone or cannot be read takes nothing back.
"""

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Final

import msgspec
from msgspec.structs import replace

from workbench.connecting.config import Connection
from workbench.connecting.config_file import ConfigFile, Configured, expand
from workbench.connecting.config_sources import is_trusted, leads_to, own_path
from workbench.connecting.connection_formats import connection_of
from workbench.connecting.error_log import log_error
from workbench.connecting.folders import state_path
from workbench.connecting.identity import BrokerIdentity
from workbench.connecting.open_files import check_room
from workbench.connecting.plain_files import content_of
from workbench.connecting.plugins import is_same_broker, leads_within
from workbench.connecting.state_files import locked, write_private
from workbench.model.errors import ConfigError


class Known(msgspec.Struct, frozen=True):
    """A broker that was met as production.

    Attributes:
        id: What it calls itself.
        name: The connection's name.
        file: The configuration file that said so.
        url: Where the connection led, without a login; empty: that was not kept.
    """

    id: str
    name: str
    file: str
    url: str = ""


def meet(
    connection: Connection, identity: BrokerIdentity, file: Path | None, tell: Callable[[str], None] = lambda said: None
) -> str:
    """Remember a broker, or recognise it.

    Args:
        connection: By which it was met.
        identity: What it says of itself.
        file: The trusted file that configures it, or another connection to all its hosts and ports; None: there is
            none.
        tell: Told what its user must know: that a broker of production could not be remembered.

    Returns:
        The name of the production connection that this is the broker of; empty: of none.

    Raises:
        ConfigError: The list of them cannot be read.
    """
    if not identity.id:
        return ""
    ids = dict.fromkeys((identity.id, *identity.also))
    known = [each for each in known_brokers() if each.id in ids]
    holding = [each for each in known if not _is_taken_back(each, file)]
    if file is not None and connection.production:
        ours = [] if (said := _as_said(identity.id, connection, file)) is None else [replace(said, id=id) for id in ids]
        there = {(each.id, each.name, each.file) for each in holding}
        holding += [each for each in ours if (each.id, each.name, each.file) not in there]
    if holding != known:
        try:
            _replace(ids, holding)
        except OSError as error:
            log_error(error, "Remembering which brokers are production")
            if set(holding) - set(known):
                tell(
                    f"{_path()} cannot be written: {error.strerror}. So the broker of {connection.name} is not"
                    " remembered as production: by another URL it is not recognised."
                )
    return holding[0].name if holding else ""


def led_to_production(connection: Connection) -> bool:
    """Whether a production broker was met where a connection leads.

    Raises:
        ConfigError: The list of them cannot be read.
    """
    return any(
        each.url and is_same_broker(connection, Connection.parse(each.url)) and not _is_taken_back(each, None)
        for each in known_brokers()
    )


def known_brokers() -> Sequence[Known]:
    """Those that were met, once for each connection that is configured for one and each of its names.

    Raises:
        ConfigError: The list of them cannot be read.
        ConnectorError: No further file can be opened.
    """
    path = _path()
    try:
        return _READ.decode(content_of(path))
    except FileNotFoundError:
        if not path.is_symlink():
            return ()
        reason = "leads to nothing"
    except OSError as error:
        check_room()
        reason = f"cannot be read: {error.strerror}"
    except msgspec.DecodeError:
        reason = "is damaged"
    raise ConfigError(
        f"{path}, which says which brokers are production, {reason}. Mend it, or remove it to begin anew."
    )


_READ: Final = msgspec.json.Decoder(list[Known])


def _as_said(id: str, connection: Connection, file: Path) -> Known | None:
    """A production broker, by what says so of it: the file that configures its connection or, of one that is production
    for where it leads, the user's own; None: neither does."""
    ours = Known(id, connection.name, str(file.absolute()), _url_of(connection))
    try:
        name = _saying(ours)
    except ConfigError:
        name = connection.name
    if name:
        return replace(ours, name=name)
    try:
        own = ConfigFile.read(own_path()).connections
    except ConfigError:
        return None
    for name, said in own.items():
        # Not by its name, under which the user's own file may have another broker; and not where it has one in common
        # with a connection that may lead to others, too.
        if said.production and (leads := leads_to(said)) is not None and leads_within(connection, leads):
            return replace(ours, name=name, file=str(own_path()))
    return None


def _is_taken_back(known: Known, file: Path | None) -> bool:
    """Whether the file that said production of a connection does not any more, and its user vouches for that."""
    path = Path(known.file)
    if path not in (own_path(), file and file.absolute()) and not is_trusted(path):
        return False
    try:
        return not _saying(known)
    except ConfigError:
        return False


def _saying(known: Known) -> str:
    """The connection that its file calls production and that has its name, or leads where it led; empty: there is none.

    Raises:
        ConfigError: The file cannot be read.
    """
    led = Connection.parse(known.url) if known.url else None
    said = ConfigFile.read(Path(known.file)).connections
    for name in sorted(said, key=lambda name: name != known.name):
        if not said[name].production:
            continue
        if name == known.name or (led is not None and _may_lead(name, said[name], led)):
            return name
    return ""


def _may_lead(name: str, said: Configured, led: Connection) -> bool:
    try:
        return is_same_broker(connection_of(expand(said.url, name), files=False), led)
    except ConfigError:
        # Its variables are not set here.
        return True


def _url_of(connection: Connection) -> str:
    return f"{connection.scheme}://{','.join(connection.places)}"


def _replace(ids: Collection[str], holding: Sequence[Known]) -> None:
    # To lock the list itself would make an empty one.
    with locked(state_path("production-brokers.lock")):
        others = [each for each in known_brokers() if each.id not in ids]
        write_private(_path(), msgspec.json.encode([*others, *holding]), mode=0o600)


def _path() -> Path:
    return state_path("production-brokers.json")
