"""Connecting to a Dask scheduler, and why that fails, in a sentence.

What Dask needs for `tls://` it reads from its own configuration, `distributed.comm.tls`: see
https://distributed.dask.org/en/stable/tls.html.
"""

import asyncio
import logging
import os
import re
import ssl
import warnings
from collections.abc import Iterator
from typing import Any, Final

from workbench.connecting.error_log import log_error
from workbench.model.errors import ConfigError, ConnectionLost

DEADLINE: Final = 10.0
"""Seconds in which a scheduler must answer."""


async def connect(address: str) -> Any:
    """A client of the scheduler, connected.

    Args:
        address: `tcp://HOST:PORT`, or `tls://` where it is spoken to over TLS.

    Raises:
        ConfigError: Dask is not installed, its TLS is not configured, or this is no address.
        ConnectionLost: Nobody answers there.
    """
    host, port = _parse(address)
    try:
        make = await asyncio.to_thread(_import_client)
    except ImportError:
        raise ConfigError(
            "A cluster needs Dask, which is not installed: pip install 'event-workbench[cluster]'."
        ) from None
    nobody = f"No Dask scheduler answers at {address}"
    if address.startswith("tls:"):
        _check_certificates(address)
    else:
        try:
            # Dask tries again and again where nobody listens, and does not say why it gives up.
            async with asyncio.timeout(DEADLINE):
                _, writer = await asyncio.open_connection(host, port)
                writer.close()
        except OSError as error:
            reason = f": {os.strerror(error.errno)}" if error.errno is not None and error.errno > 0 else ""
            raise ConnectionLost(f"{nobody}{reason}.") from error
    try:
        async with asyncio.timeout(DEADLINE + 1):
            return await make(address, asynchronous=True, timeout=DEADLINE, set_as_default=False)
    except (OSError, ValueError, RuntimeError) as error:
        log_error(error, f"Connecting to {address}")
        failed = next((each for each in _causes(error) if isinstance(each, ssl.SSLError)), None)
        if isinstance(failed, ssl.SSLCertVerificationError):
            raise ConnectionLost(f"{nobody}: its certificate is not accepted, {failed.verify_message}.") from error
        if address.startswith("tls:"):
            raise ConnectionLost(f"{nobody}.") from error
        raise ConnectionLost(f"{nobody}: what listens there is none, or wants tls://.") from error


def _parse(address: str) -> tuple[str, int]:
    match = re.fullmatch(r"(?:tcp|tls)://(\[[0-9A-Fa-f:.%]+\]|[^:/?#@\s\[\]]+):([0-9]{1,5})", address)
    if match is None or int(match[2]) not in range(1, 65536):
        raise ConfigError("A cluster is named by its scheduler's address: tcp://HOST:8786, or tls://HOST:8786.")
    return match[1].strip("[]"), int(match[2])


def _check_certificates(address: str) -> None:
    """See that Dask's configuration has what it needs for TLS.

    Raises:
        ConfigError: It has not.
    """
    from distributed.security import Security

    try:
        there = Security().get_connection_args("client")["ssl_context"] is not None
    except (OSError, ValueError, TypeError) as error:
        text = getattr(error, "strerror", None) or str(error)
        raise ConfigError(f"Dask's configuration names certificates that cannot be used: {text}.") from error
    if not there:
        raise ConfigError(f"{address} needs certificates: name them in Dask's configuration, distributed.comm.tls.")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _import_client() -> Any:
    """Dask's client, which neither logs to the terminal nor warns of versions there: `Cluster` tells of them."""
    from distributed import Client
    from distributed.versions import VersionMismatchWarning

    for name in ("distributed", "distributed.client", "bokeh", "tornado", "tornado.application"):
        logger = logging.getLogger(name)
        logger.handlers[:] = [logging.NullHandler()]
        logger.propagate = False
    warnings.simplefilter("ignore", VersionMismatchWarning)
    return Client
