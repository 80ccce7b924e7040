"""Checking a connection step by step, so that the user sees which step fails and why."""

import asyncio
import socket
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

import msgspec

from workbench.connecting.tls import tls_failure
from workbench.model.errors import ConnectorError

PATIENCE = 5.0
"""Seconds that each step may take."""
_OBJECTION = 0.3
"""Seconds in which a server that objects to a certificate says so."""


class Step(msgspec.Struct, frozen=True):
    """One step towards a broker.

    Attributes:
        name: What was tried, such as `TCP localhost:5672`.
        found: What came of it, such as an address or a version; empty where it failed.
        error: Why it failed, in one sentence; None where it did not.
        seconds: How long it took; None where nobody has counted.
        tried: Whether it was tried: not where a step before it failed.
    """

    name: str
    found: str = ""
    error: str | None = None
    seconds: float | None = None
    tried: bool = True

    @property
    def sign(self) -> str:
        """One character for how it went."""
        return "·" if not self.tried else "✖" if self.error else "✔"

    @property
    def took(self) -> str:
        """How long it took, to be put behind what came of it; empty where nobody has counted."""
        return "" if self.seconds is None else f"  {duration(self.seconds)}"


def duration(seconds: float) -> str:
    """A time as people read it: `0.4 ms`, `3 ms`, `1.2 s`."""
    if seconds < 0.001:
        return f"{seconds * 1000:.1f} ms"
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def not_tried(name: str) -> Step:
    """A step that one before it has made pointless."""
    return Step(name, tried=False)


async def network(host: str, port: int, tls: ssl.SSLContext | None = None) -> AsyncIterator[Step]:
    """The steps that come before a broker's own protocol: the name, the port and, with `tls`, the handshake.

    Ends behind the first step that fails.
    """
    name = await step(f"DNS {host}", lambda: _resolve(host, port))
    yield name
    if name.error:
        return
    reached = await step(f"TCP {host}:{port}", lambda: _reach(host, port, None))
    yield reached
    if reached.error is None and tls is not None:
        yield await step(f"TLS {host}:{port}", lambda: _reach(host, port, tls))


async def step(name: str, attempt: Callable[[], Awaitable[str]]) -> Step:
    """Try one thing and say what came of it, and how long it took."""
    begun = time.monotonic()
    found, error = "", None
    try:
        async with asyncio.timeout(PATIENCE):
            found = await attempt()
    except (OSError, ConnectorError) as failed:
        error = _why(failed)
    return Step(name, found, error, time.monotonic() - begun)


def _why(error: OSError | ConnectorError) -> str:
    """What is wrong, in a sentence. A timeout is an OSError too, and so is all that TLS raises."""
    match error:
        case TimeoutError():
            return f"no answer within {PATIENCE:g} s: a firewall, or the wrong address?"
        case ssl.SSLError():
            return f"no TLS with it: {tls_failure(error)}."
        case socket.gaierror():
            return "no such host: is the name right, and does this machine's DNS know it?"
        case ConnectionRefusedError():
            return "connection refused: is the broker running, and is that its port?"
        case OSError():
            return f"{(error.strerror or type(error).__name__).rstrip('.')}."
    return str(error)


async def _resolve(host: str, port: int) -> str:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return ", ".join(dict.fromkeys(str(address[0]) for *_, address in found))


async def _reach(host: str, port: int, tls: ssl.SSLContext | None) -> str:
    reader, writer = await asyncio.open_connection(host, port, ssl=tls, server_hostname=host if tls else None)
    try:
        if tls is not None:
            # In TLS 1.3 a server says what it has against its client's certificate after the handshake.
            with suppress(TimeoutError):
                await asyncio.wait_for(reader.read(1), _OBJECTION)
        secured = writer.get_extra_info("ssl_object")
        return f"{secured.version()} {secured.cipher()[0]}" if secured else "open"
    finally:
        writer.close()
