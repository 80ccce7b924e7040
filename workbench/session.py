"""A session: the connections that a command or a screen holds, by the name that addresses use."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Self, TypeVar
from uuid import uuid4

import msgspec

from workbench.connecting.config import Connection, Secret, without_secrets
from workbench.connecting.config_file import ConfigFile, Configured
from workbench.connecting.connection_formats import connection_of
from workbench.connecting.connector import Action, Stream, TellingConnector
from workbench.connecting.environment import Variables, keep_from_children, password_variable
from workbench.connecting.error_log import log_unexpected
from workbench.connecting.guard import Confirm, Guarded, confirm_nothing, level_of
from workbench.connecting.identity import BrokerIdentity
from workbench.connecting.known_brokers import meet
from workbench.connecting.level import Level
from workbench.connecting.logins import exposure, exposure_to_cluster
from workbench.connecting.passwords import AskPassword, ask_nobody, password
from workbench.connecting.plugins import connect, is_embedded, is_own, is_same_broker, leads_within
from workbench.model.address import Address
from workbench.model.dead_letter_names import DeadLetterNames
from workbench.model.errors import (
    AddressError,
    ConfigError,
    ConnectorError,
    NotTrusted,
    WorkbenchError,
    unwrap_exception_group,
)
from workbench.model.start import Start

if TYPE_CHECKING:
    from workbench.cluster.dask_cluster import Cluster
    from workbench.facts.conventions import Conventions
    from workbench.query.query import Query, Reading

Item = TypeVar("Item")

PROCESS: Final = uuid4().hex
"""This process, among all that ever were."""


class Session:
    """Connections, each opened behind its guard when it is first needed, and closed with the session."""

    def __init__(
        self,
        given: Sequence[Connection | str] = (),
        config: ConfigFile | None = None,
        confirm: Confirm = confirm_nothing,
        ask_password: AskPassword = ask_nobody,
        cluster: str | None = None,
    ) -> None:
        """Keep what to connect to; nothing is opened yet.

        Args:
            given: Connections, or names of configured ones; none: the configuration's default ones, else all of its.
            config: Where names are looked up.
            confirm: Asks for a production connection's name.
            ask_password: Asks for a password that neither the URL nor the configuration has.
            cluster: The address of a Dask scheduler, whose workers search; None: this machine does.

        Raises:
            ConfigError: Two connections have one name, or a name is not configured.
        """
        self.config = config or ConfigFile()
        """What the user has settled."""
        self.confirm = confirm
        """Asks for a production connection's name."""
        self.ask_password = ask_password
        """Asks for a password that neither the URL nor the configuration has."""
        self.cluster_address = cluster
        """The address of the Dask scheduler whose workers search; None: this machine does."""
        self.has_terminal = True
        """Whether a `password_command` or the keyring may ask its user on the terminal; not where a screen is drawn."""
        self.tell: Callable[[str], None] = lambda sentence: None
        """Tells the user something in passing."""
        self.variables = Variables()
        """What templates may read of the environment."""
        self.naming_lets_in = True
        """Whether to name a connection in an address is to say that it may be opened, though its file is not trusted;
        not on a screen, where addresses come from elsewhere, too."""
        self.search_rates: dict[str, float] = {}
        """Events a second that the last large search by bytes came to, by the connection's name."""
        self._given: dict[str, Connection] = {}
        self._added: set[str] = set()
        self._told_production: set[str] = set()
        self._told_cluster: set[str] = set()
        self._complete: dict[str, asyncio.Future[Connection]] = {}
        self.names: list[str] = []
        """The connections of the session, in their order; the configuration may have more."""
        trusted = tuple(name for name in self.config.connections if name not in self.config.strangers)
        keep_from_children(self.config.connections[name].url for name in trusted)
        for each in given or self.config.default or trusted:
            name = each if isinstance(each, str) else each.name
            if name in self.names:
                raise ConfigError(f"Two connections are called {name!r}: name one of them, -c NAME=URL.")
            if isinstance(each, Connection):
                self._given[name] = self._limited(each)
            elif each not in self.config.connections:
                self.config.connection(each)
            self.names.append(name)
        self._open: dict[str, asyncio.Future[Guarded]] = {}
        self._keepers: dict[str, asyncio.Task[None]] = {}
        self._cluster: asyncio.Future[Cluster] | None = None
        self._tasks = asyncio.TaskGroup()
        self._not_closed: list[Exception] = []
        self._closing = asyncio.Event()

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        return self

    async def __aexit__(self, *exception: object) -> None:
        self._closing.set()
        waiting: list[asyncio.Future[Any]] = [*self._open.values(), *self._complete.values()]
        waiting += [self._cluster] if self._cluster is not None else []
        for promised in waiting:
            promised.cancel()
        with unwrap_exception_group():
            await self._tasks.__aexit__(None, None, None)
        if self._not_closed:
            raise self._not_closed[0]

    @property
    def untrusted(self) -> list[str]:
        """The connections of a file that is not trusted, as far as their user has not said that they may be opened."""
        return [name for name in self.config.connections if name in self.config.strangers and name not in self.names]

    def let_in(self, name: str) -> None:
        """Take it that its user wants a connection to be opened, though its file is not trusted; it gets no secrets for
        that. Of others, nothing changes."""
        if name in self.untrusted:
            self.names.append(name)

    def _check_let_in(self, name: str) -> None:
        if name in self.untrusted:
            raise NotTrusted(f"{name} is in {self.config.stranger}, which is not trusted: it was not opened.")

    async def connector(self, name: str) -> Guarded:
        """The open connector of a connection.

        Raises:
            AddressError: No connection has this name.
            NotTrusted: Its user has not said yet that it may be opened.
            ConfigError: What the configuration says of it cannot be used.
            ConnectorError: It cannot be opened.
        """
        self._check_let_in(name)
        if name not in self._open:
            self.describe(name)
            opened = self._open[name] = asyncio.get_running_loop().create_future()
            self._keepers[name] = self._begin(self._keep(name, opened), opened)
        return await asyncio.shield(self._open[name])

    async def cluster(self) -> "Cluster | None":
        """The cluster that searches, connected once for the session; None: this machine does.

        Raises:
            ConfigError: Its address is none, Dask is not installed here, or this program is not there.
            ConnectorError: It cannot be reached, or has no workers.
        """
        if self.cluster_address is None:
            return None
        if self._cluster is not None and self._cluster.done() and self._cluster.result().closed:
            self._cluster = None
        if self._cluster is None:
            self._cluster = asyncio.get_running_loop().create_future()
            self._begin(self._keep_cluster(self.cluster_address, self._cluster), self._cluster)
        return await asyncio.shield(self._cluster)

    async def ask(
        self, names: Iterable[str], question: Callable[[Guarded], Awaitable[Item]]
    ) -> dict[str, Item | WorkbenchError]:
        """What connections answer, or why one does not; all are asked at once, so that none waits for another."""

        async def answer(name: str) -> Item | WorkbenchError:
            try:
                return await question(await self.connector(name))
            except WorkbenchError as error:
                return error

        async with asyncio.TaskGroup() as group:
            asked = {name: group.create_task(answer(name)) for name in names}
        return {name: task.result() for name, task in asked.items()}

    def actions(self) -> Sequence[Action]:
        """What the connections that are open offer besides the protocol."""
        opened = filter(None, map(self._opened, self._open))
        return [action for each in opened for action in each.actions()]

    @asynccontextmanager
    async def browse(
        self, address: Address, start: Start | None = None, limit: int | None = None, force: bool = False
    ) -> AsyncIterator[Stream]:
        """What is in an endpoint of the session; its connection is opened on entering."""
        connector = await self.connector(address.connection)
        async with connector.browse(address, start, limit, force) as stream:
            yield stream

    @asynccontextmanager
    async def tail(
        self, address: Address, start: Start | None = None, pattern: str | None = None
    ) -> AsyncIterator[Stream]:
        """What arrives at an address of the session; its connection is opened on entering."""
        connector = await self.connector(address.connection)
        async with connector.tail(address, start, pattern) as stream:
            yield stream

    async def new_connector(self, name: str) -> Guarded:
        """A connector of its own for a connection, behind its guard and not yet entered.

        Raises:
            AddressError: No connection has this name.
            ConfigError: What the configuration says of it cannot be used, or its password cannot be had.
        """
        return self.connector_for(await self.complete(name))

    def connector_for(self, connection: Connection) -> Guarded:
        """A connector for a connection, which need not be the session's, behind its guard and not yet entered.

        Raises:
            ConfigError: It cannot be used.
        """
        connector = connect(connection)
        if isinstance(connector, TellingConnector):
            # A plugin may repeat its password.
            own = is_own(connection.scheme)
            connector.tell = lambda said: self.tell(f"{connection.name}: {said if own else without_secrets(said)}")
        return Guarded(
            connector,
            connection,
            lambda which, level: self.confirm(which, level),
            self._dead_letter_names,
            self._meet,
        )

    def _meet(self, connection: Connection, identity: BrokerIdentity) -> str:
        """Recognise a broker of production; its user is told once."""
        name = connection.name
        file = self.config.path if self._is_vouched_for(connection) else None
        found = meet(connection, identity, file, lambda said: self._tell_once(name, said))
        if found and not connection.production:
            self._tell_once(name, f"{name} leads to the broker of {found}, which is production: so it is, too.")
        return found

    def _tell_once(self, name: str, sentence: str) -> None:
        """Tell something of a connection's broker, which is asked for again and again."""
        if name not in self._told_production:
            self._told_production.add(name)
            self.tell(sentence)

    def _is_vouched_for(self, connection: Connection) -> bool:
        """Whether a trusted file has a connection, or calls another one production that leads wherever it may lead."""
        trusted = {name: said for name, said in self.config.connections.items() if name not in self.config.strangers}
        return (connection.name in trusted and connection.name not in self._given) or any(
            said.production and leads_within(connection, self._described(name, said)) for name, said in trusted.items()
        )

    def _limited(self, connection: Connection) -> Connection:
        """A connection that is given by URL: what is configured of its broker, or under its name, holds for it."""
        for name, said in self.config.connections.items():
            if name == connection.name or is_same_broker(connection, self._described(name, said)):
                limit = min(connection.limit, Level[said.guard.upper()])
                production = connection.production or said.production
                connection = msgspec.structs.replace(connection, limit=limit, production=production)
        return connection

    def _described(self, name: str, said: Configured) -> Connection:
        try:
            return self.config.connection(name)
        except ConfigError:
            # One without its variables, or of a stranger: as far as it is written.
            try:
                return connection_of(f"{name}={said.url}", files=False)
            except ConfigError:
                return Connection(name, "", ())

    async def complete(self, name: str) -> Connection:
        """A connection with its password, which is looked up or asked for once, whoever waits for it.

        What failed is remembered until `retry`: no command is run and nobody is asked again and again.

        Raises:
            AddressError: No connection has this name.
            NotTrusted: Its user has not said yet that it may be opened.
            ConfigError: What the configuration says of it cannot be used, or its password cannot be had.
        """
        self._check_let_in(name)
        if name not in self._complete:
            self.describe(name)
            waiting = self._complete[name] = asyncio.get_running_loop().create_future()
            self._begin(self._look_up(name, waiting), waiting)
        return await asyncio.shield(self._complete[name])

    def known_connection(self, name: str) -> Connection | None:
        """A connection with its password, if that was looked up or given before."""
        waiting = self._complete.get(name)
        if waiting is not None and waiting.done() and not waiting.cancelled() and waiting.exception() is None:
            return waiting.result()
        return self._given.get(name)

    def retry(self, name: str, refused: bool = False) -> None:
        """Forget that the password of a connection could not be had; or, where it was `refused`, forget it too."""
        waiting = self._complete.get(name)
        if waiting is None or not waiting.done():
            return
        if refused or waiting.cancelled() or waiting.exception():
            del self._complete[name]
            if (opened := self._open.pop(name, None)) is not None:
                opened.cancel()
                self._keepers[name].cancel()

    async def with_password(self, connection: Connection, said: Configured | None = None) -> Connection:
        """A connection, which need not be the session's, with a password if it takes one.

        Args:
            connection: As its URL has it.
            said: What is configured of it.

        Raises:
            ConfigError: Its password cannot be had.
        """
        found, reason = connection.password or self._password_in_variable(connection), None
        if found is None and said is not None:
            try:
                found = await password(connection, said, self.has_terminal)
            except ConfigError as error:
                reason = error
        if found is None and (reason is not None or connection.user is not None):
            # Whoever asks says where it goes; options may have logins of their own.
            self._tell_exposure(connection)
            return msgspec.structs.replace(connection, password=await self.ask_password(connection, reason))
        complete = msgspec.structs.replace(connection, password=found)
        self._tell_exposure(complete)
        return complete

    def _tell_exposure(self, connection: Connection) -> None:
        if (sentence := exposure(connection)) is not None:
            self.tell(sentence)

    def tell_of_cluster(self, connection: Connection) -> None:
        """Tell, once, that a password is about to go to the cluster in clear."""
        if self.cluster_address is None or connection.name in self._told_cluster:
            return
        if (sentence := exposure_to_cluster(connection, self.cluster_address)) is not None:
            self._told_cluster.add(connection.name)
            self.tell(sentence)

    def _password_in_variable(self, connection: Connection) -> Secret | None:
        """A password by `WORKBENCH_PASSWORD_<NAME>`, for connections that its user has vouched for."""
        value = os.environ.get(password_variable(connection.name))
        trusted = connection.name in self._given or connection.name not in self.config.strangers
        return Secret(value) if value and trusted and connection.user is not None else None

    def describe(self, name: str) -> Connection:
        """A connection as its URL and its configuration have it: no password is looked up.

        Raises:
            AddressError: No connection has this name.
            ConfigError: What the configuration says of it cannot be used.
        """
        if name in self._given:
            return self._given[name]
        if name in self.config.connections:
            return self.config.connection(name)
        raise AddressError(self._unknown(name))

    def broker_identity(self, name: str) -> str:
        """`Connection.identity`, which for a broker inside this process ends with the process.

        Raises:
            AddressError: No connection has this name.
            ConfigError: What the configuration says of it cannot be used.
        """
        identity = self.describe(name).identity
        return f"{identity}#{PROCESS}" if self.is_embedded(name) else identity

    async def broker_id(self, name: str) -> str:
        """What the broker of a connection calls itself, where no other broker is called so and no node of it otherwise.

        Raises:
            WorkbenchError: It cannot be opened or asked.
        """
        broker = await (await self.connector(name)).broker()
        return broker.id if broker.sure else ""

    def level(self, name: str) -> Level:
        """What is allowed through a connection, as far as is known of its broker; known without its password.

        Raises:
            AddressError: No connection has this name.
            ConfigError: What the configuration says of it cannot be used.
        """
        if (opened := self._opened(name)) is not None:
            return opened.level
        return level_of(self.describe(name))

    def tunnel_to(self, name: str) -> str:
        """The host where the broker of a connection says that it lives, though it is reached on this machine; empty: it
        does not, or is not open."""
        opened = self._opened(name)
        return "" if opened is None else opened.tunnel_to

    def _opened(self, name: str) -> Guarded | None:
        """The connector of a connection that is open."""
        opened = self._open.get(name)
        if opened is None or not opened.done() or opened.cancelled() or opened.exception() is not None:
            return None
        return opened.result()

    def is_embedded(self, name: str) -> bool:
        """Whether a connection's broker lives in this process, and ends with it; of one that cannot be used, it does
        not.

        Raises:
            AddressError: No connection has this name.
        """
        try:
            return is_embedded(self.describe(name).scheme)
        except ConfigError:
            return False

    @property
    def identities(self) -> tuple[str, ...]:
        """Which connections these are, sorted: see `Connection.identity`."""
        return tuple(sorted(self._identity(name) for name in self.names))

    def _identity(self, name: str) -> str:
        try:
            return self.describe(name).identity
        except ConfigError:
            return name

    def is_production(self, name: str) -> bool:
        """Whether a connection is production; known of each, also of one that cannot be opened."""
        if (opened := self._opened(name)) is not None and opened.is_production:
            return True
        if name in self._given:
            return self._given[name].production
        said = self.config.connections.get(name)
        return said is not None and said.production

    def add(self, connection: Connection, place: int | None = None) -> None:
        """Take one more connection into the session, with all that it needs.

        Args:
            connection: One that the configuration has too is what the configuration says, and this is what it comes to.
                Without its password, that is looked up or asked for when it is needed.
            place: Among the connections; None: behind them.

        Raises:
            ConfigError: The session has one of this name.
        """
        name = connection.name
        if name in self.names:
            raise ConfigError(f"There is a connection {name!r} already: choose another name.")
        self._complete.pop(name, None)
        if name not in self.config.connections:
            self._given[name] = self._limited(connection)
            self._added.add(name)
        elif connection.password is not None:
            self._complete[name] = asyncio.get_running_loop().create_future()
            self._complete[name].set_result(connection)
        self.names.insert(len(self.names) if place is None else place, name)

    def remove(self, name: str) -> None:
        """Let go of a connection: it is closed, and whoever waits for it gets an error."""
        self.names.remove(name)
        self._given.pop(name, None)
        self._added.discard(name)
        if (waiting := self._complete.pop(name, None)) is not None:
            waiting.cancel()
        if (opened := self._open.pop(name, None)) is not None:
            _fail(opened, AddressError(f"The connection {name!r} was removed."))
            self._keepers.pop(name).cancel()

    def origin(self, name: str) -> Path | Literal["session", "start"]:
        """Where a connection comes from: the file that configures it; `session`: it was added for as long as this
        session lasts; `start`: the session began with it."""
        if name in self._added:
            return "session"
        path = self.config.stranger if name in self.config.strangers else self.config.path
        return "start" if name in self._given or path is None else path

    @cached_property
    def reading(self) -> "Reading":
        """How this session understands events: the conventions, codecs and masks of its configuration.

        Raises:
            ConfigError: The configuration has a convention or a mask that cannot be used.
        """
        # What only moves events, as `publish` does, reads none of them.
        from workbench.decode.codec import query_value
        from workbench.facts.conventions import builtin_facts
        from workbench.facts.masking import Masking
        from workbench.query.query import Reading

        masked = Masking(self.config.masks).apply if self.config.masks else None
        # Those that ship hold no mistake that a user would have to know of, and the first picture would wait for them.
        facts = self.conventions.facts if self.config.conventions else builtin_facts
        return Reading(facts=facts, body=query_value, masked=masked)

    @cached_property
    def _dead_letter_names(self) -> DeadLetterNames:
        return DeadLetterNames(self.config.dead_letters)

    @cached_property
    def conventions(self) -> "Conventions":
        """The conventions of this session: its configuration's, and those that ship.

        Raises:
            ConfigError: The configuration has one that cannot be used.
        """
        from workbench.facts.conventions import Conventions

        try:
            return Conventions.load(self.config.conventions)
        except ConfigError as error:
            raise ConfigError(f"{self.config.path}: {error}" if self.config.path else str(error)) from None

    def query(self, text: str | None) -> "Query":
        """A query, read as this session understands events; None or an empty one matches everything.

        Raises:
            QueryError: It is no query.
        """
        from workbench.query.query import compile

        return compile(text or "", reading=self.reading)

    def address(self, text: str) -> Address:
        """Read an address; where the session has only one connection, its name may be left out.

        Raises:
            AddressError: It is no address, or its connection is not known.
        """
        if len(self.names) == 1 and text.partition("/")[0] not in (*self.names, *self.config.connections):
            text = f"{self.names[0]}/{text}"
        address = Address.parse(text)
        if self.naming_lets_in:
            self.let_in(address.connection)
        if address.connection not in self.names and address.connection not in self.config.connections:
            raise AddressError(self._unknown(address.connection))
        return address

    def _begin(self, work: Coroutine[None, None, None], promised: "asyncio.Future[Any]") -> asyncio.Task[None]:
        """Do in a task of the session's own what several may wait for; it ends when its promise is cancelled."""
        task = self._tasks.create_task(work)
        promised.add_done_callback(lambda promised: task.cancel() if promised.cancelled() else None)
        return task

    async def _look_up(self, name: str, waiting: "asyncio.Future[Connection]") -> None:
        said = None if name in self._given else self.config.connections.get(name)
        try:
            complete = await self.with_password(self.describe(name), said)
        except Exception as error:
            _fail(waiting, error)
        else:
            if not waiting.done():
                waiting.set_result(complete)

    async def _keep(self, name: str, opened: "asyncio.Future[Guarded]") -> None:
        """Enter and leave a connector in one task, whoever asked for it first."""
        try:
            connector = await self.new_connector(name)
            async with connector:
                opened.set_result(connector)
                await self._closing.wait()
        except Exception as error:
            if self._open.get(name) is not opened:
                # Given up for another try, so that nobody is left to be told.
                return
            if opened.done() and not opened.cancelled():
                # To raise it here would cancel those that are still being closed.
                self._not_closed.append(error)
                return
            del self._open[name]
            _fail(opened, error)
        except asyncio.CancelledError as error:
            # A driver may raise one though nobody cancels it.
            task = asyncio.current_task()
            if opened.done() or (task is not None and task.cancelling()):
                raise
            del self._open[name]
            _fail(opened, ConnectorError(log_unexpected(error, f"Opening {name}")))

    async def _keep_cluster(self, address: str, opened: "asyncio.Future[Cluster]") -> None:
        # Most sessions have none, and Dask takes half a second to import.
        from workbench.cluster.dask_cluster import Cluster

        try:
            async with Cluster.open(address) as cluster:
                opened.set_result(cluster)
                await self._closing.wait()
        except Exception as error:
            if opened.done():
                self._not_closed.append(error)
                return
            # The next search tries again.
            self._cluster = None
            _fail(opened, error)

    def _unknown(self, name: str) -> str:
        names = dict.fromkeys((*self.names, *self.config.connections))
        known = f"the connections are {', '.join(names)}" if names else "none is given"
        return f"There is no connection {name!r}: {known}; give one with -c NAME=URL."


def _fail(promised: "asyncio.Future[Any]", error: Exception) -> None:
    if not promised.done():
        promised.set_exception(error)
        # Whoever waited may have gone; then it is no loss.
        promised.exception()
