"""Connections that tails share: each tail is a channel, so that many endpoints do not take many connections."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from connectors.rabbitmq.client import Client
from workbench.model.errors import ConnectionLost, WorkbenchError


class Opener(NamedTuple):
    """How one broker is reached, and no other.

    Attributes:
        open: Connects; raises `ConnectorError` where that is not possible, or leads to another broker.
        check: Refuses a connection to another broker, by `WorkbenchError`.
    """

    open: Callable[[], Awaitable[Client]]
    check: Callable[[Client], None]

    def accepts(self, client: Client) -> bool:
        """Whether a connection leads to that broker."""
        try:
            self.check(client)
        except WorkbenchError:
            return False
        return True


class SharedClients:
    """Connections, each opened for the first who needs it and closed by the last."""

    def __init__(self) -> None:
        self._users: dict[Client, int] = {}
        self._opening = asyncio.Lock()
        self._failures = 0
        self._failure = ""

    async def acquire(self, opener: Opener, alone: bool = False) -> Client:
        """A connection with room for one more channel, to be released.

        Args:
            opener: How to connect.
            alone: Whether nobody else may use it.

        Raises:
            ConnectorError: There is none, and none can be opened.
        """
        failures = self._failures
        async with self._opening:
            for client, users in () if alone else self._users.items():
                if not client.lost and users < client.channel_max and opener.accepts(client):
                    self._users[client] = users + 1
                    return client
            if self._failures != failures:
                # One attempt answers all who waited for it, for whom a silent broker would be tried one by one.
                raise ConnectionLost(self._failure)
            try:
                client = await opener.open()
            except ConnectionLost as error:
                self._failures += 1
                self._failure = str(error)
                raise
            if not alone:
                self._users[client] = 1
            return client

    async def release(self, client: Client) -> None:
        """Let go of a connection, on which its user has left nothing open."""
        if (others := self._users.get(client, 1) - 1) > 0:
            self._users[client] = others
        else:
            self._users.pop(client, None)
            await client.close()
