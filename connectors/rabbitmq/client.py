"""pika's callbacks as awaitables, and messages in batches with their properties as bytes; nothing else."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Self

from pika import ConnectionParameters, SSLOptions, spec
from pika.channel import Channel as DriverChannel

from connectors.rabbitmq import frames
from connectors.rabbitmq.driver import DriverConnection, Method, NamedCredentials
from connectors.rabbitmq.errors import refusal, translate_errors
from connectors.rabbitmq.frames import Answer, Arrival, Mailbox, Returned
from connectors.rabbitmq.settings import Access
from workbench.connecting.open_files import check_room
from workbench.model.errors import ConnectionLost, ConnectorError, EndpointNotFound, Unsupported

_CLOSING: Final = 5.0
"""Seconds that a broker is given to agree to the end of a connection."""

_BLOCKED: Final = 60.0
"""Seconds after which a broker that blocks its publishers counts as lost, where nobody can be told to wait."""


class Client:
    """One AMQP connection. Its methods raise `ConnectorError`s.

    Attributes:
        place: Host and port, for sentences.
        version: The broker's version, as numbers: (4, 0, 5).
        cluster_name: What the cluster is called: that of its first node and its machine, unless its operator has said
            (https://www.rabbitmq.com/docs/clustering); empty: it does not say.
        blocked: Why the broker reads nothing that is published, in its words, such as "low on memory"; None: it does.
    """

    def __init__(self, connection: DriverConnection, place: str, closed: "asyncio.Future[BaseException]") -> None:
        self._connection = connection
        self._closed = closed
        self.place = place
        self.blocked: str | None = None
        connection.add_on_connection_blocked_callback(lambda _, frame: self._block(str(frame.method.reason)))
        connection.add_on_connection_unblocked_callback(lambda *_: self._block(None))
        properties: Mapping[str, Any] = connection.server_properties or {}
        version = str(properties.get("version", ""))
        self.cluster_name = str(properties.get("cluster_name", ""))
        self.version = tuple(int(part) for part in version.split("-")[0].split("+")[0].split(".") if part.isdecimal())

    @classmethod
    async def open(cls, access: Access, patience: float | None = _BLOCKED) -> Self:
        """Connect to the first of the hosts that answers, and log in.

        Args:
            access: Where, and as whom.
            patience: Seconds after which a broker that blocks its publishers counts as lost; None: it never does.

        Raises:
            ConnectionLost: None does.
            AccessRefused: This user may not enter, or not this virtual host.
        """
        lost: ConnectionLost | None = None
        for host, port in access.hosts:
            try:
                return await cls._open(access, host, port, patience)
            except ConnectionLost as error:
                lost = error
        assert lost is not None
        raise lost

    @classmethod
    async def _open(cls, access: Access, host: str, port: int, patience: float | None) -> Self:
        # pika would tell nobody that it cannot open a socket.
        check_room()
        loop = asyncio.get_running_loop()
        opened: asyncio.Future[None] = loop.create_future()
        closed: asyncio.Future[BaseException] = loop.create_future()
        place = f"{host}:{port}"
        parameters = ConnectionParameters(
            host=host,
            port=port,
            virtual_host=access.vhost,
            credentials=NamedCredentials(access.user, access.password.reveal()),
            ssl_options=SSLOptions(access.tls, host) if access.tls else None,
            client_properties={"connection_name": "event-workbench"},
            blocked_connection_timeout=patience,
            heartbeat=access.heartbeat,
        )

        def end(_: Any, error: BaseException) -> None:
            connection.heard.stop()
            _settle(closed, error)
            if not opened.done():
                opened.set_exception(refusal(error, place))

        connection = DriverConnection(
            parameters,
            on_open_callback=lambda _: _settle(opened, None),
            on_open_error_callback=end,
            on_close_callback=end,
            custom_ioloop=loop,
        )
        try:
            await opened
        except asyncio.CancelledError:
            if not connection.is_closed and not connection.is_closing:
                connection.close()
            await asyncio.wait([closed], timeout=_CLOSING)
            raise
        connection.slicer.largest = frames.LARGEST
        return cls(connection, place, closed)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    async def close(self) -> None:
        """End the connection: the broker takes back what was delivered and not acknowledged."""
        if self.blocked is not None:
            # It would read this no sooner than what was published.
            self._connection.abort()
        elif self._connection.is_open:
            self._connection.close()
        done, _ = await asyncio.wait([self._closed], timeout=_CLOSING)
        if not done:
            self._connection.abort()
            await asyncio.wait([self._closed], timeout=_CLOSING)

    def _block(self, reason: str | None) -> None:
        self.blocked = reason
        for wake in self._connection.wake.values():
            wake()

    @property
    def lost(self) -> bool:
        """Whether the connection has ended."""
        return self._closed.done()

    @property
    def heard(self) -> int:
        """When the broker was last heard, in milliseconds since 1970 UTC."""
        return self._connection.heard.at

    @property
    def frame_max(self) -> int:
        """The size in bytes of the largest frame that the broker takes."""
        return int(self._connection.params.frame_max)

    @property
    def channel_max(self) -> int:
        """How many channels the broker allows at once."""
        return int(self._connection.params.channel_max)

    async def channel(self) -> "Channel":
        """Open a channel."""
        loop = asyncio.get_running_loop()
        opened: asyncio.Future[DriverChannel] = loop.create_future()
        if self.lost:
            raise refusal(self._closed.result(), self.place)
        with translate_errors(self.place):
            driver = self._connection.channel(on_open_callback=lambda channel: _settle(opened, channel))
            channel = Channel(self, self._connection, driver)
            try:
                await channel.outcome(opened)
            except asyncio.CancelledError:
                driver.close()
                raise
        return channel


class Channel:
    """One AMQP channel. Methods that wait raise as a `ConnectorError` what the broker closes the channel for."""

    def __init__(self, client: Client, connection: DriverConnection, driver: DriverChannel) -> None:
        self.number: Final[int] = driver.channel_number
        self._place = client.place
        self._connection = connection
        self._driver = driver
        self._mailbox = connection.slicer.mailboxes[self.number] = Mailbox()
        self._closed: asyncio.Future[ConnectorError] = asyncio.get_running_loop().create_future()
        self._news = asyncio.Event()
        self._cancelled: ConnectorError | None = None
        self._fetched = self._count = 0
        connection.wake[self.number] = self.wake
        driver.add_on_close_callback(self._end)
        driver.add_on_cancel_callback(self._on_cancel)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    def wake(self) -> None:
        """Something is in the mailbox."""
        self._news.set()

    def _end(self, _: Any, error: BaseException) -> None:
        self._connection.slicer.mailboxes.pop(self.number, None)
        self._connection.wake.pop(self.number, None)
        self._closed.set_result(refusal(error, self._place))
        self._news.set()

    @property
    def ended(self) -> ConnectorError | None:
        """Why the channel was closed, once it is."""
        return self._closed.result() if self._closed.done() else None

    async def outcome(self, reply: "asyncio.Future[Any]") -> Any:
        """Wait for a reply, or raise what closed the channel instead."""
        await self._wait(reply)
        if reply.done():
            return reply.result()
        raise self._closed.result()

    async def _wait(self, reply: "asyncio.Future[Any]") -> None:
        await asyncio.wait([reply, self._closed], return_when=asyncio.FIRST_COMPLETED)

    async def _call(self, method: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """Call a method of pika's channel that takes a `callback`; returns the broker's reply method."""
        if self._closed.done():
            raise self._closed.result()
        reply: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        with translate_errors(self._place):
            method(*arguments, callback=lambda answer: _settle(reply, answer.method), **named)
        return await self.outcome(reply)

    async def close(self) -> None:
        """End the channel: the broker takes back what was delivered and not acknowledged, in its order."""
        if self._closed.done():
            return
        with translate_errors(self._place):
            if not self._driver.is_closing:
                self._driver.close()
        await asyncio.wait([self._closed])

    async def count(self, queue: str) -> tuple[int, int]:
        """How many messages of a queue are ready and how many consumers it has, asked by a passive declare.

        Raises:
            EndpointNotFound: There is no such queue; the channel is closed.
        """
        check_name("queue", queue)
        reply = await self._call(self._driver.queue_declare, queue, passive=True)
        return reply.message_count, reply.consumer_count

    async def counts(self, queues: Sequence[str]) -> list[tuple[int, int]]:
        """The same of many queues, all asked before the first answer is awaited. Where there are fewer answers than
        queues, the broker has closed the channel over the first without one: `ended` says why."""
        answers: list[tuple[int, int]] = []
        answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def take(frame: Any) -> None:
            answers.append((frame.method.message_count, frame.method.consumer_count))
            if len(answers) == len(queues):
                _settle(answered, None)

        self._driver.add_callback(take, [spec.Queue.DeclareOk], one_shot=False)
        try:
            self.write([Method(self.number, spec.Queue.Declare(queue=name, passive=True)).marshal() for name in queues])
            await self._wait(answered)
        finally:
            self._driver.callbacks.remove(self.number, spec.Queue.DeclareOk, take)
        return answers

    async def purge(self, queue: str) -> int:
        """Throw away what is ready in a queue of our own; returns how many messages that were."""
        return int((await self._call(self._driver.queue_purge, queue)).message_count)

    async def redeclare(self, queue: str, durable: bool, arguments: Mapping[str, Any]) -> None:
        """Declare a queue as one that is there already.

        Raises:
            Invalid: It differs; the channel is closed.
        """
        await self._call(self._driver.queue_declare, queue, durable=durable, arguments=dict(arguments))

    async def exists(self, exchange: str) -> None:
        """Return if there is such an exchange.

        Raises:
            EndpointNotFound: There is not; the channel is closed.
        """
        check_name("exchange", exchange)
        await self._call(self._driver.exchange_declare, exchange, passive=True)

    async def declare_temporary(self, queue: str, arguments: Mapping[str, Any]) -> None:
        """Make a queue that ends with this connection."""
        await self._call(self._driver.queue_declare, queue, exclusive=True, arguments=dict(arguments))

    def delete(self, queue: str) -> None:
        """Delete a queue of our own, if it is there: before the channel is closed."""
        if self._closed.done():
            raise self._closed.result()
        with translate_errors(self._place):
            self._driver.queue_delete(queue)

    async def bind(self, queue: str, exchange: str, key: str, arguments: Mapping[str, Any]) -> None:
        """Bind a queue to an exchange.

        Raises:
            Unsupported: No key can be like this one.
        """
        if (size := _size(key)) is None or size > _SHORT:
            raise Unsupported(f"{self._place}: a key in RabbitMQ is UTF-8 text of at most {_SHORT} bytes.")
        await self._call(self._driver.queue_bind, queue, exchange, key, arguments=dict(arguments))

    async def qos(self, prefetch: int) -> None:
        """How many unacknowledged messages each consumer started from now on may hold."""
        await self._call(self._driver.basic_qos, prefetch_count=prefetch)

    async def consume(self, queue: str, tag: str, arguments: Mapping[str, Any]) -> None:
        """Start a consumer that acknowledges by hand; what it receives comes from `arrivals`."""
        await self._call(self._driver.basic_consume, queue, _ignore, consumer_tag=tag, arguments=dict(arguments))

    async def cancel(self, tag: str) -> None:
        """End a consumer; what it holds stays held."""
        # pika would not answer for a consumer that the broker has ended.
        if not self._cancelled:
            await self._call(self._driver.basic_cancel, tag)

    def _on_cancel(self, _: Any) -> None:
        self._cancelled = ConnectorError(
            f"{self._place}: the broker ended the consumer: the queue was deleted, or its node went away."
        )
        self._news.set()

    def acknowledge(self, tags: Iterable[int]) -> None:
        """Acknowledge these messages.

        Raises:
            ConnectorError: The channel has ended.
        """
        if data := frames.acknowledgements(self.number, tags):
            self.write([data])

    def acknowledge_until(self, tag: int) -> None:
        """Acknowledge all messages up to this one."""
        if self._closed.done():
            raise self._closed.result()
        with translate_errors(self._place):
            self._driver.basic_ack(tag, multiple=True)

    async def arrivals(self) -> list[Arrival]:
        """All that has arrived and was not yet fetched; waits until there is something. Nothing where it was not kept.

        Raises:
            ConnectorError: The channel or the consumer has ended, and everything was fetched.
        """
        while not self._mailbox.arrivals and not self._mailbox.unkept:
            if self._closed.done():
                raise self._closed.result()
            if self._cancelled:
                raise self._cancelled
            await self.wait_for_news()
        return self.fetch()

    async def arrivals_within(self, seconds: float) -> list[Arrival]:
        """The same, or nothing after so many seconds of silence."""
        try:
            async with asyncio.timeout(seconds):
                return await self.arrivals()
        except TimeoutError:
            return []

    def fetch(self) -> list[Arrival]:
        """All that has arrived and was not yet fetched, maybe nothing."""
        mailbox = self._mailbox
        batch, mailbox.arrivals = mailbox.arrivals, []
        self._count += len(batch)
        self._fetched += mailbox.size
        mailbox.size = 0
        return batch

    @property
    def fetched(self) -> int:
        """Bytes of the messages that were fetched so far, bodies and properties."""
        return self._fetched

    def keep(self, room: int) -> None:
        """Let no more wait to be fetched than so many bytes and a message: what comes then is not kept, so that the
        connection is read and lives on while nobody fetches. `complete` tells of it, and `begin_again` gets it."""
        self._mailbox.room = room

    @property
    def complete(self) -> bool:
        """Whether what can be fetched is followed by what was not kept."""
        return not self._mailbox.unkept or bool(self._mailbox.arrivals)

    async def begin_again(self, queue: str, tag: str, arguments: Mapping[str, Any], most: int, held: int | None) -> int:
        """Consume again from the first message that was not kept, when all that was kept is fetched; returns the
        prefetch.

        Args:
            queue: What is consumed.
            tag: By which consumer.
            arguments: How to consume from there.
            most: The prefetch where messages are small; of large ones no more come than there is room for.
            held: The last message that was kept; those not kept go back behind it. None where nothing can go back,
                because a stream is read by offset.
        """
        mailbox = self._mailbox
        # What comes until the broker answers is not kept either, so that nothing overtakes.
        await self.cancel(tag)
        if held is None:
            self.acknowledge_until(mailbox.unkept)
        else:
            if held:
                self.acknowledge_until(held)
            self.write([frames.requeue_until(self.number, mailbox.unkept)])
        mailbox.unkept = 0
        mean = self._fetched // max(self._count, 1) + 1
        prefetch = max(1, min(most, mailbox.room // mean))
        await self.qos(prefetch)
        await self.consume(queue, tag, arguments)
        return prefetch

    def answers(self) -> list[Answer | Returned]:
        """All confirmations and returns that have come and were not yet fetched; `news` tells of more."""
        batch, self._mailbox.answers = self._mailbox.answers, []
        return batch

    async def wait_for_news(self) -> None:
        """Wait until something more arrives, or the channel ends."""
        self._news.clear()
        if not self._closed.done():
            await self._news.wait()

    async def confirm(self) -> None:
        """Ask for confirmations from now on: see `answers`."""
        await self._call(self._driver.confirm_delivery, _ignore)

    def write(self, pieces: Sequence[bytes]) -> None:
        """Send frames made for this channel.

        Raises:
            ConnectorError: The channel has ended.
        """
        if self._closed.done():
            raise self._closed.result()
        self._connection.write(b"".join(pieces))


_SHORT: Final = 255
"""Bytes of the longest name or key."""


def _size(text: str) -> int | None:
    """Bytes of a text in UTF-8; None where it was bytes that are not."""
    try:
        return len(text.encode())
    except UnicodeEncodeError:
        return None


def check_name(kind: str, name: str) -> None:
    """See that there can be such a name; the broker would close the connection over others, or not answer.

    Raises:
        EndpointNotFound: There cannot.
    """
    size = _size(name)
    if size is None:
        raise EndpointNotFound(f"There is no {kind} {name!r}: RabbitMQ allows nothing but UTF-8 in a name.")
    if size > _SHORT:
        raise EndpointNotFound(f"There is no {kind} of this name: RabbitMQ allows {_SHORT} bytes, and it has {size:,}.")
    if "\n" in name or "\r" in name:
        # The broker answers for the name without them, for which pika would wait in vain.
        raise EndpointNotFound(f"There is no {kind} {name!r}: RabbitMQ allows no line break in a name.")


def _settle(future: "asyncio.Future[Any]", value: object) -> None:
    if not future.done():
        future.set_result(value)


def _ignore(*_: Any) -> None:
    """pika wants a callback for messages, which it never sees here."""
