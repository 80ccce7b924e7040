"""What there is on a broker, as its management API tells it, page by page.

https://www.rabbitmq.com/docs/management and the API's own page, `/api/index.html` of any broker. Its counts lag by up
to six seconds, so depths that matter are asked for by AMQP.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from typing import Any, Final, Self, TypeVar
from urllib.parse import quote

import msgspec

from connectors.rabbitmq.errors import translate_errors
from connectors.rabbitmq.http import ENCODINGS, TooLarge, httpx, read_bounded
from connectors.rabbitmq.settings import Access
from workbench.connecting.open_files import check_room
from workbench.model.errors import AccessRefused, ConnectionLost, ConnectorError, EndpointNotFound, LoginRefused
from workbench.model.listing import Listing
from workbench.model.look import Gap

_PAGE: Final = 500
"""Entries a page; the API takes no more."""

_FEW: Final = 4
"""Pages that are asked for one by one. For each the broker sorts all there is: ten thousand queues took it 2.2 s of
processor time in 20 pages, and 1.1 s at once (RabbitMQ 4.0)."""

_CONNECT: Final = 5.0
"""Seconds for a node to take the connection: then it counts as away."""

_NAMED: Final = 20
"""Things told of oddly that are named, of a kind."""

MOST_BYTES: Final = 67_108_864
"""Bytes of the longest answer that is read; 100,000 queues with their settings take half of it."""
MOST_VALUES: Final = 4_000_000
"""Values in it at most, as its commas count them: a short one takes thirty times its bytes in memory."""

Arguments = Mapping[str, Any]

T = TypeVar("T", bound=msgspec.Struct)
Read = TypeVar("Read")


def _mapping(value: object) -> Arguments:
    # Erlang's empty property list arrives as [].
    return value if isinstance(value, dict) else {}


def _count(stats: object, name: str) -> int | None:
    number = _mapping(stats).get(name)
    return number if isinstance(number, int) else None


class Subscription(msgspec.Struct, frozen=True):
    """A consumer of a queue."""

    consumer_tag: str
    channel_details: Any = None
    prefetch_count: int = 0
    active: bool = True
    ack_required: bool = True

    @property
    def channel(self) -> str:
        """The channel's name; empty while the API does not know the channel."""
        return str(_mapping(self.channel_details).get("name", ""))


class Queue(msgspec.Struct, frozen=True):
    """A queue or stream; its consumers are told only of a queue that is asked for alone."""

    name: str
    type: str = "classic"
    arguments: Any = None
    policy: str | None = None
    effective_policy_definition: Any = None
    messages: int | None = None
    messages_ready: int | None = None
    messages_unacknowledged: int | None = None
    consumers: int | None = None
    durable: bool = True
    auto_delete: bool = False
    exclusive: bool = False
    state: str | None = None
    message_stats: Any = None
    consumer_details: tuple[Subscription, ...] = ()

    @property
    def acknowledged(self) -> float | None:
        """Messages acknowledged a second, as the API last measured it; None where nothing ever was delivered."""
        rate = _mapping(_mapping(self.message_stats).get("ack_details")).get("rate")
        return float(rate) if isinstance(rate, int | float) else None

    @property
    def published(self) -> int | None:
        """Messages that were ever routed to it; None where the API has counted none."""
        return _count(self.message_stats, "publish")

    def setting(self, name: str) -> Any:
        """What an `x-` argument or the policy says for a key such as `dead-letter-exchange`; the argument wins."""
        arguments, policy = _mapping(self.arguments), _mapping(self.effective_policy_definition)
        return arguments.get(f"x-{name}", policy.get(name))

    def settings(self, name: str) -> tuple[Any, ...]:
        """Both of them, where there are two: of limits the smaller one counts."""
        arguments, policy = _mapping(self.arguments), _mapping(self.effective_policy_definition)
        return tuple(value for value in (arguments.get(f"x-{name}"), policy.get(name)) if value is not None)


class Exchange(msgspec.Struct, frozen=True):
    """An exchange."""

    name: str
    type: str
    arguments: Any = None
    policy: str | None = None
    internal: bool = False
    durable: bool = True
    auto_delete: bool = False
    message_stats: Any = None

    @property
    def published(self) -> int | None:
        """Messages that were ever published to it; None where the API has counted none."""
        return _count(self.message_stats, "publish_in")

    @property
    def alternate(self) -> str | None:
        """Its alternate exchange, where an argument names it; a policy may name one, too."""
        name = _mapping(self.arguments).get("alternate-exchange")
        return name if isinstance(name, str) else None


class Binding(msgspec.Struct, frozen=True):
    """What an exchange routes where. The default exchange has one for every queue."""

    source: str
    destination: str
    destination_type: str
    routing_key: str = ""
    arguments: Any = None

    @property
    def table(self) -> Arguments:
        """The binding's arguments."""
        return _mapping(self.arguments)


class Policy(msgspec.Struct, frozen=True):
    """A policy, which gives settings to the queues and exchanges whose names match."""

    name: str
    definition: Any = None


class _Overview(msgspec.Struct):
    node: str = ""
    cluster_name: str = ""


class _Node(msgspec.Struct, frozen=True):
    name: str


class _Vhost(msgspec.Struct, frozen=True):
    tracing: bool = False


class _Page(msgspec.Struct, frozen=True):
    items: list[msgspec.Raw]
    page: int = 1
    page_count: int = 1


def _columns(kind: type[msgspec.Struct], stats: str, *left_out: str) -> str:
    """What to ask for in a list: of the statistics, which take the broker the most work, no more than is read."""
    fields = (stats if field == "message_stats" else field for field in kind.__struct_fields__)
    return ",".join(field for field in fields if field not in left_out)


_QUEUE_COLUMNS: Final = _columns(Queue, "message_stats.ack_details.rate,message_stats.publish", "consumer_details")
_EXCHANGE_COLUMNS: Final = _columns(Exchange, "message_stats.publish_in")


class Shovel(msgspec.Struct):
    """A shovel: https://www.rabbitmq.com/docs/shovel-dynamic#status"""

    name: str
    state: str | None = None
    reason: Any = None


class Topology:
    """The management API of one virtual host. Its methods raise `ConnectorError`s."""

    def __init__(self, access: Access) -> None:
        self._user = access.management_user
        self._vhost = quote(access.vhost, safe="")
        self._places = access.management
        self._place = access.management[0]
        self._http = httpx.AsyncClient(
            auth=(access.management_user, access.management_password.reveal()),
            verify=access.management_tls or False,
            timeout=httpx.Timeout(30, connect=_CONNECT),
            trust_env=False,
            headers={"accept-encoding": ENCODINGS},
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self._http.aclose()

    async def queues(self) -> Listing[Queue]:
        """All queues and streams, but for those that are told of oddly."""
        return await self._pages(f"queues/{self._vhost}", _QUEUE_COLUMNS, Queue)

    async def settings(self) -> Listing[Queue]:
        """All queues, with no more than their settings: a tenth of the work of `queues`."""
        return await self._list(f"queues/{self._vhost}?columns=name,type,arguments,effective_policy_definition", Queue)

    async def queue(self, name: str) -> Queue:
        """One queue or stream."""
        return await self._get(f"queues/{self._vhost}/{quote(name, safe='')}", Queue, f"queue {name!r}")

    async def exchanges(self) -> Listing[Exchange]:
        """All exchanges, but for those that are told of oddly."""
        return await self._pages(f"exchanges/{self._vhost}", _EXCHANGE_COLUMNS, Exchange)

    async def exchange(self, name: str) -> Exchange:
        """One exchange."""
        return await self._get(f"exchanges/{self._vhost}/{_exchange(name)}", Exchange, f"exchange {name!r}")

    async def bindings(self) -> Listing[Binding]:
        """All bindings."""
        return await self._list(f"bindings/{self._vhost}", Binding)

    async def bindings_to(self, queue: str) -> Listing[Binding]:
        """What is routed to a queue."""
        path = f"queues/{self._vhost}/{quote(queue, safe='')}/bindings"
        return await self._list(path, Binding, f"queue {queue!r}")

    async def bindings_from(self, exchange: str) -> Listing[Binding]:
        """What an exchange routes."""
        path = f"exchanges/{self._vhost}/{_exchange(exchange)}/bindings/source"
        return await self._list(path, Binding, f"exchange {exchange!r}")

    async def alternate(self, exchange: Exchange) -> bool:
        """Whether an exchange has an alternate exchange, as far as this user may know; in doubt it has."""
        if "alternate-exchange" in _mapping(exchange.arguments):
            return True
        if exchange.policy is None:
            return False
        try:
            policies = await self.policies()
        except ConnectorError:
            return True
        return any(
            "alternate-exchange" in _mapping(policy.definition) for policy in policies if policy.name == exchange.policy
        )

    async def tracing(self) -> bool:
        """Whether the firehose is on, as far as this user may know."""
        try:
            return (await self._get(f"vhosts/{self._vhost}", _Vhost)).tracing
        except ConnectorError:
            return False

    async def node(self) -> str:
        """The node that answers, as far as this user may know."""
        return (await self._overview()).node

    async def cluster_name(self) -> str:
        """What the cluster is called that answers, as far as this user may know."""
        return (await self._overview()).cluster_name

    async def nodes(self) -> frozenset[str]:
        """The nodes of the cluster, running or not, as far as this user may know; none: they are not told."""
        try:
            return frozenset(each.name for each in await self._list("nodes", _Node))
        except ConnectorError:
            return frozenset()

    async def _overview(self) -> _Overview:
        try:
            return await self._get("overview", _Overview)
        except ConnectorError:
            return _Overview()

    async def shovels(self) -> Listing[Shovel]:
        """All shovels that run or have failed; without their plugin nobody knows any."""
        return await self._list(f"shovels/{self._vhost}", Shovel, "shovels: its plugin rabbitmq_shovel_management")

    async def start_shovel(self, name: str, value: Mapping[str, object]) -> None:
        """Start a shovel, which takes the right to set policies.

        Args:
            name: Its own.
            value: As https://www.rabbitmq.com/docs/shovel-dynamic has it.
        """
        path = f"parameters/shovel/{self._vhost}/{quote(name, safe='')}"
        await self._fetch(path, "shovels", "PUT", msgspec.json.encode({"value": value}))

    async def end_shovel(self, name: str) -> None:
        """End a shovel, if it has not ended by itself."""
        with suppress(EndpointNotFound):
            await self._fetch(f"parameters/shovel/{self._vhost}/{quote(name, safe='')}", "shovel", "DELETE")

    async def policies(self) -> Listing[Policy]:
        """All policies; not every user may see them."""
        return await self._list(f"policies/{self._vhost}", Policy)

    async def _pages(self, path: str, columns: str, kind: type[T]) -> Listing[T]:
        query = f"?page_size={_PAGE}&columns={columns}&page="
        items: list[msgspec.Raw] = []
        gaps: tuple[Gap, ...] = ()
        number, count = 1, 1
        while number <= count:
            try:
                page = self._read(await self._fetch(f"{path}{query}{number}"), _Page)
            except ConnectorError as error:
                if number == 1:
                    raise
                gaps = (Gap(f"pages {number} to {count} of the {kind.__name__.lower()}s", str(error).rstrip(".")),)
                break
            if not page.items:
                break
            if page.page_count > _FEW and number == 1:
                with suppress(ConnectorError):
                    return await self._list(f"{path}?columns={columns}", kind)
            items += page.items
            number, count = number + 1, page.page_count
        entries = self._entries(items, kind)
        return Listing(entries, (*entries.gaps, *gaps))

    async def _list(self, path: str, kind: type[T], subject: str = "") -> Listing[T]:
        return self._entries(self._read(await self._fetch(path, subject), list[msgspec.Raw]), kind)

    async def _get(self, path: str, kind: type[T], subject: str = "") -> T:
        data = await self._fetch(path, subject)
        if (entry := _entry(data, kind)) is None:
            raise self._no_api()
        return entry

    async def _fetch(self, path: str, subject: str = "", method: str = "GET", content: bytes = b"") -> bytes:
        first: ConnectionLost | None = None
        for _ in self._places:
            try:
                reply, data = await self._exchange(path, method, content)
                break
            except ConnectionLost as error:
                check_room()
                first = first or error
                self._go_on()
            except asyncio.CancelledError:
                # Whoever asked may have waited long enough: the next question goes to a node that may not stand still.
                self._go_on()
                raise
        else:
            assert first is not None
            raise first
        match reply.status_code:
            case 200 | 201 | 204:
                return data
            case 401 if path.startswith(("shovels/", "parameters/shovel/")):
                # What anybody may read has been read before with the same password.
                raise AccessRefused(
                    f"The management API at {self._place} does not let user {self._user!r} start and watch shovels:"
                    " that takes the tags policymaker and monitoring."
                )
            case 401:
                raise LoginRefused(
                    f"The management API at {self._place} does not accept user {self._user!r}:"
                    " wrong password, or the user has no management tag."
                )
            case 403:
                raise AccessRefused(f"The management API at {self._place} does not let user {self._user!r} see this.")
            case 404 if subject:
                raise EndpointNotFound(f"The management API at {self._place} knows no {subject}.")
            case 404:
                raise ConnectorError(f"There is no management API at {self._place}: name it with ?management=URL.")
        raise ConnectorError(f"The management API at {self._place} answered with HTTP status {reply.status_code}.")

    async def _exchange(self, path: str, method: str, content: bytes) -> tuple[httpx.Response, bytes]:
        """An answer of the node that answered last, and its body."""
        data = b""
        headers = {"content-type": "application/json"} if content else None
        url = f"{self._place}/api/{path}"
        with translate_errors(f"the management API at {self._place}"):
            async with self._http.stream(method, url, content=content or None, headers=headers) as reply:
                if reply.is_success:
                    data = await self._body(reply)
        return reply, data

    def _go_on(self) -> None:
        """Ask the next node from now on."""
        self._place = self._places[(self._places.index(self._place) + 1) % len(self._places)]

    async def _body(self, reply: httpx.Response) -> bytes:
        try:
            data = await read_bounded(reply, MOST_BYTES)
        except TooLarge:
            raise ConnectorError(
                f"The management API at {self._place} answers with more than {MOST_BYTES // 1_048_576} MB, which is not"
                " read."
            ) from None
        if data.count(b",") > MOST_VALUES:
            raise ConnectorError(
                f"The management API at {self._place} answers with more than {MOST_VALUES:,} values, which are not"
                " read."
            )
        return data

    def _read(self, data: bytes, kind: type[Read]) -> Read:
        try:
            return msgspec.json.decode(data, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise self._no_api() from None

    def _no_api(self) -> ConnectorError:
        return ConnectorError(
            f"What answers at {self._place} is no RabbitMQ management API: name it with ?management=URL."
        )

    def _entries(self, items: Sequence[msgspec.Raw], kind: type[T]) -> Listing[T]:
        """What each of the items is; one that is no such thing hides no other."""
        read = [_entry(item, kind) for item in items]
        gaps = [
            Gap(_odd(item, kind), f"the management API at {self._place} sent an odd answer for it")
            for item, entry in zip(items, read, strict=True)
            if entry is None
        ]
        if len(gaps) > _NAMED:
            gaps[_NAMED:] = [Gap(f"{len(gaps) - _NAMED:,} more", "the answer for them is odd, too")]
        return Listing([entry for entry in read if entry is not None], gaps)


def _entry(data: bytes | msgspec.Raw, kind: type[T]) -> T | None:
    """One thing as the API tells of it; without the fields that it tells in another way than it should, and None
    where that leaves nothing to name it by, or where what a look costs hangs on the field."""
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    try:
        told = json.loads(bytes(data).decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None
    if not isinstance(told, dict):
        return None
    fields = {}
    try:
        for field in msgspec.structs.fields(kind):
            if field.encode_name in told:
                with nullcontext() if field.name == "type" else suppress(msgspec.ValidationError):
                    fields[field.name] = msgspec.convert(told[field.encode_name], field.type, strict=False)
        return kind(**fields)
    except (TypeError, msgspec.ValidationError):
        return None


def _odd(item: msgspec.Raw, kind: type[Any]) -> str:
    try:
        name = _mapping(msgspec.json.decode(item)).get("name") or ""
    except (msgspec.DecodeError, UnicodeDecodeError):
        name = ""
    return f"{kind.__name__.lower()} {name}".rstrip()


def _exchange(name: str) -> str:
    return quote(name, safe="") or "amq.default"
