"""A session: the connections that a command or a screen holds, by the name that addresses use."""

import asyncio
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Self

from workbench.connecting.config import Connection
from workbench.connecting.config_file import ConfigFile
from workbench.connecting.guard import Confirm, Guarded, nobody
from workbench.connecting.plugins import connect
from workbench.model.address import Address
from workbench.model.errors import AddressError, ConfigError, lone_error
from workbench.reading.codec import queried
from workbench.reading.conventions import Conventions
from workbench.reading.masking import Masking
from workbench.reading.query import Query, Reading, compile


class Session:
    """Connections, each opened behind its guard when it is first needed, and closed with the session."""

    def __init__(
        self,
        given: Sequence[Connection | str] = (),
        config: ConfigFile | None = None,
        confirm: Confirm = nobody,
        complete: Callable[[Connection], Connection] = lambda connection: connection,
    ) -> None:
        """Keep what to connect to; nothing is opened yet.

        Args:
            given: Connections, or names of configured ones; none: the configuration's default ones, else all of its.
            config: Where names are looked up.
            confirm: Asks for a production connection's name.
            complete: Asks for what a connection lacks, such as its password, before it is opened.

        Raises:
            ConfigError: Two connections have one name, or a name is not configured.
        """
        self.config = config or ConfigFile()
        """What the user has settled."""
        self.confirm = confirm
        """Asks for a production connection's name."""
        self._complete = complete
        self._given: dict[str, Connection] = {}
        self._completed: dict[str, Connection] = {}
        self.names: list[str] = []
        """The connections of the session, in their order; the configuration may have more."""
        for each in given or self.config.default or tuple(self.config.connections):
            name = each if isinstance(each, str) else each.name
            if name in self.names:
                raise ConfigError(f"Two connections are called {name!r}: name one of them, -c NAME=URL.")
            if isinstance(each, Connection):
                self._given[name] = each
            elif each not in self.config.connections:
                self.config.connection(each)
            self.names.append(name)
        self._open: dict[str, asyncio.Future[Guarded]] = {}
        self._tasks = asyncio.TaskGroup()
        self._closing = asyncio.Event()

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        return self

    async def __aexit__(self, *exception: object) -> None:
        self._closing.set()
        for opening in self._open.values():
            opening.cancel()
        with lone_error():
            await self._tasks.__aexit__(None, None, None)

    async def connector(self, name: str) -> Guarded:
        """The open connector of a connection.

        Raises:
            AddressError: No connection has this name.
            ConfigError: What the configuration says of it cannot be used.
            ConnectorError: It cannot be opened.
        """
        if name not in self._open:
            connector = self.unopened(name)
            opened = self._open[name] = asyncio.get_running_loop().create_future()
            keeper = self._tasks.create_task(self._keep(name, connector, opened))
            opened.add_done_callback(lambda opened: keeper.cancel() if opened.cancelled() else None)
        return await asyncio.shield(self._open[name])

    def unopened(self, name: str) -> Guarded:
        """A connector of its own for a connection, behind its guard and not yet entered.

        Raises:
            AddressError: No connection has this name.
            ConfigError: What the configuration says of it cannot be used.
        """
        connection = self.connection(name)
        return Guarded(connect(connection), connection, lambda which, level: self.confirm(which, level))

    def connection(self, name: str) -> Connection:
        """A connection with all that it needs; what it lacks is asked for once.

        Raises:
            AddressError: No connection has this name.
            ConfigError: What the configuration says of it cannot be used.
        """
        if name not in self._completed:
            self._completed[name] = self._complete(self._connection(name))
        return self._completed[name]

    def add(self, connection: Connection) -> None:
        """Take one more connection into the session.

        Raises:
            ConfigError: The session has one of this name.
        """
        if connection.name in self.names:
            raise ConfigError(f"There is a connection {connection.name!r} already: choose another name.")
        self._given[connection.name] = connection
        self.names.append(connection.name)

    def remove(self, name: str) -> None:
        """Take a connection that was not opened out of the session."""
        del self._given[name]
        self._completed.pop(name, None)
        self.names.remove(name)

    @cached_property
    def reading(self) -> Reading:
        """How this session understands events: the conventions, codecs and masks of its configuration.

        Raises:
            ConfigError: The configuration has a convention or a mask that cannot be used.
        """
        config = self.config
        conventions = Conventions.load(config.conventions) if config.conventions else Conventions.builtin()
        masked = Masking(config.masks).apply if config.masks else None
        return Reading(facts=conventions.facts, body=queried, masked=masked)

    def query(self, text: str | None) -> Query:
        """A query, read as this session understands events; None or an empty one matches everything.

        Raises:
            QueryError: It is no query.
        """
        return compile(text or "", reading=self.reading)

    def address(self, text: str) -> Address:
        """Read an address; where the session has only one connection, its name may be left out.

        Raises:
            AddressError: It is no address, or its connection is not known.
        """
        if len(self.names) == 1 and text.partition("/")[0] not in (*self.names, *self.config.connections):
            text = f"{self.names[0]}/{text}"
        address = Address.parse(text)
        if address.connection not in self.names and address.connection not in self.config.connections:
            raise AddressError(self._unknown(address.connection))
        return address

    async def _keep(self, name: str, connector: Guarded, opened: "asyncio.Future[Guarded]") -> None:
        """Enter and leave a connector in one task, whoever asked for it first."""
        try:
            async with connector:
                opened.set_result(connector)
                await self._closing.wait()
        except Exception as error:
            if opened.done() and not opened.cancelled():
                raise
            del self._open[name]
            if not opened.cancelled():
                opened.set_exception(error)
                # Whoever waited may have gone; then it is no loss.
                opened.exception()

    def _connection(self, name: str) -> Connection:
        if name in self._given:
            return self._given[name]
        if name in self.config.connections:
            return self.config.connection(name)
        raise AddressError(self._unknown(name))

    def _unknown(self, name: str) -> str:
        names = dict.fromkeys((*self.names, *self.config.connections))
        known = f"the connections are {', '.join(names)}" if names else "none is given"
        return f"There is no connection {name!r}: {known}; -c NAME=URL gives one."
