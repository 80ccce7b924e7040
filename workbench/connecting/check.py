"""Checking a connection step by step, so that the user sees which step fails and why."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable

import msgspec

from workbench.model.errors import ConnectorError

PATIENCE = 5.0
"""Seconds that each step may take."""


class Step(msgspec.Struct, frozen=True):
    """One step towards a broker.

    Attributes:
        name: What was tried, such as `TCP localhost:5672`.
        found: What came of it, such as an address or a version; empty where it failed.
        error: Why it failed, in one sentence; None where it did not.
    """

    name: str
    found: str = ""
    error: str | None = None


async def network(host: str, port: int, tls: ssl.SSLContext | None = None) -> AsyncIterator[Step]:
    """The steps that come before a broker's own protocol: the name, the port and, with `tls`, the handshake.

    Ends behind the first step that fails.
    """
    name = await step(f"DNS {host}", lambda: _resolved(host, port))
    yield name
    if name.error:
        return
    reached = await step(f"TCP {host}:{port}", lambda: _reached(host, port, None))
    yield reached
    if reached.error is None and tls is not None:
        yield await step(f"TLS {host}:{port}", lambda: _reached(host, port, tls))


async def step(name: str, attempt: Callable[[], Awaitable[str]]) -> Step:
    """Try one thing and say what came of it."""
    try:
        async with asyncio.timeout(PATIENCE):
            return Step(name, await attempt())
    except TimeoutError:
        return Step(name, error=f"no answer within {PATIENCE:g} s: a firewall, or the wrong address?")
    except ssl.SSLCertVerificationError as error:
        return Step(name, error=f"the certificate is not trusted: {error.verify_message}; ca=FILE names its authority.")
    except ssl.SSLError as error:
        return Step(name, error=f"no TLS there ({error.reason or error}): the wrong port, or a broker without TLS?")
    except socket.gaierror:
        return Step(name, error="no such host: is the name right, and does this machine's DNS know it?")
    except ConnectionRefusedError:
        return Step(name, error="connection refused: is the broker running, and is that its port?")
    except OSError as error:
        return Step(name, error=f"{error.strerror or error}.")
    except ConnectorError as error:
        return Step(name, error=str(error))


async def _resolved(host: str, port: int) -> str:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return ", ".join(dict.fromkeys(str(address[0]) for *_, address in found))


async def _reached(host: str, port: int, tls: ssl.SSLContext | None) -> str:
    _, writer = await asyncio.open_connection(host, port, ssl=tls, server_hostname=host if tls else None)
    try:
        secured = writer.get_extra_info("ssl_object")
        return f"{secured.version()} {secured.cipher()[0]}" if secured else "open"
    finally:
        writer.close()
