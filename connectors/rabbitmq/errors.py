"""What the drivers raise, as one sentence a user can act on. The only place that knows their exceptions."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from pika import exceptions

from connectors.rabbitmq import driver
from connectors.rabbitmq.frames import FrameTooLarge
from connectors.rabbitmq.http import httpx
from workbench.connecting.config import without_passwords
from workbench.connecting.tls import tls_failure
from workbench.model.errors import (
    AccessRefused,
    ConnectionLost,
    ConnectorError,
    EndpointNotFound,
    FormatError,
    LoginRefused,
    Unsupported,
)

DRIVER: Final = (exceptions.AMQPError, driver.AMQPConnectorException, httpx.HTTPError, httpx.InvalidURL, OSError)
"""The roots of all that the drivers raise."""


_AWAY: Final = re.compile("is down or inaccessible|does not have a running replica on the local node")
"""What a broker says of a queue, or of a stream, that it cannot read at the moment."""


class Invalid(ConnectorError):
    """What the broker finds wrong with a request, such as a property of a message (AMQP code 406)."""


class Blocked(ConnectionLost):
    """A broker that lets nobody publish for the moment."""


@contextmanager
def translate_errors(place: str) -> Iterator[None]:
    """Turn what a driver raises inside into a `ConnectorError`.

    Args:
        place: What was spoken to, such as `localhost:5672`, for the sentence.
    """
    try:
        yield
    except DRIVER as error:
        raise refusal(error, place) from error


def refusal(error: BaseException, place: str) -> ConnectorError:
    """The sentence for what a driver raised."""
    error = _cause(error)
    if not isinstance(error, ConnectorError) and (failure := tls_failure(error)):
        return ConnectionLost(f"No TLS with {place}: {failure}.")
    match error:
        case ConnectorError():
            return error
        case exceptions.ChannelClosedByBroker() | exceptions.ConnectionClosedByBroker():
            return _refusal_of(error.reply_code, error.reply_text, place)
        case exceptions.ProbableAuthenticationError():
            return _handshake(str(error), place, LoginRefused(f"{place} refuses this user or password."))
        case exceptions.ProbableAccessDeniedError():
            without_reason = f"{place} ended the connection while it was opened, and gave no reason:"
            return _handshake(str(error), place, AccessRefused(f"{without_reason} is the virtual host right?"))
        case exceptions.MethodNotImplemented():
            return Unsupported(f"{place} does not support publisher confirms.")
        case exceptions.AuthenticationError():
            offered = str(error.args[0]) if error.args else ""
            instead = f" It offers {offered}." if offered else ""
            return AccessRefused(f"{place} lets nobody in by user name and password (PLAIN).{instead}")
        case exceptions.AMQPHeartbeatTimeout():
            return ConnectionLost(f"{place} has gone silent: no heartbeat came.")
        case exceptions.ConnectionBlockedTimeout():
            return Blocked(
                f"{place} blocks publishers: free its memory or disk (an alarm is on). It may take what it has received"
                " when the alarm is over."
            )
        case FrameTooLarge():
            return ConnectorError(f"{place} {error}.")
        case exceptions.IncompatibleProtocolError() | FormatError():
            return ConnectionLost(
                f"What answers at {place} does not speak AMQP 0-9-1: is it the right port, and does it expect"
                " TLS (amqps://)?"
            )
        case ConnectionRefusedError() | httpx.ConnectError():
            return _unreachable_error(error, place)
        case driver.AMQPConnectorStackTimeout() | TimeoutError() | httpx.TimeoutException():
            return ConnectionLost(f"{place} did not answer in time.")
        case httpx.DecodingError():
            return ConnectorError(f"{place} sends what cannot be decompressed: {str(error).rstrip('.')}.")
        case httpx.InvalidURL():
            return ConnectorError(f"{place} is not a URL that can be asked.")
        case OSError() if error.strerror:
            return ConnectionLost(f"{place} cannot be reached: {error.strerror}.")
    if isinstance(error, DRIVER) and not isinstance(error, exceptions.ProtocolSyntaxError):
        return ConnectionLost(f"The connection to {place} broke.")
    return ConnectionLost(f"{place} sent something that is not AMQP 0-9-1.")


def _cause(error: BaseException) -> BaseException:
    """pika wraps what went wrong while connecting in up to three layers."""
    while True:
        match error:
            case driver.AMQPConnectionWorkflowFailed():
                inner: object = error.exceptions[-1]
            case driver.AMQPConnectorPhaseErrorBase():
                inner = error.exception
            case exceptions.AMQPConnectionError() if error.args:
                inner = error.args[0]
            case _:
                inner = None
        if not isinstance(inner, BaseException):
            return error
        error = inner


def _unreachable_error(error: BaseException, place: str) -> ConnectorError:
    if "SSL" in str(error):
        return ConnectionLost(f"No TLS with {place}: it answered something else.")
    return ConnectionLost(f"Nobody listens at {place}: is the broker running, and is that its port?")


def _handshake(text: str, place: str, otherwise: ConnectorError) -> ConnectorError:
    if found := re.search(r"vhost '?(.+?)'? not found", text):
        return EndpointNotFound(f"{place} has no virtual host {found[1]!r}: the URL's path names it.")
    if found := re.search(r"access to vhost '(.+?)' refused for user '(.*?)'", text):
        return AccessRefused(f"{place} does not let user {found[2]!r} into the virtual host {found[1]!r}.")
    if found := re.search(r"user '(.*?)' can only connect via localhost", text):
        return AccessRefused(f"{place} lets user {found[1]!r} in from its own machine only: name another user.")
    if "NOT_ALLOWED" in text:
        return AccessRefused(f"{place} refuses this connection: {_reason(text)}.")
    if (found := re.search(r"\((\d+)\) (['\"])(.*)\2", text)) and int(found[1]) not in (403, 530):
        return _refusal_of(int(found[1]), found[3], place)
    return otherwise


def _reason(text: str) -> str:
    """The broker's own words, without its code word in front, and without a password that it repeats."""
    return without_passwords(re.sub(r"^.*?[A-Z_]+ - ", "", text).strip().rstrip("."))


def _refusal_of(code: int, text: str, place: str) -> ConnectorError:
    """What an AMQP reply code means (AMQP 0-9-1 specification, 1.2)."""
    reason = _reason(text)
    if _AWAY.search(reason):
        # It is there; the node that keeps it is not, or is still starting.
        return ConnectionLost(f"{place}: {reason}.")
    match code:
        case 404:
            return EndpointNotFound(f"{place}: {reason}.")
        case 403:
            return AccessRefused(f"{place}: {reason}.")
        case 405 | 540:
            return Unsupported(f"{place}: {reason}.")
        case 406:
            return Invalid(f"{place}: {reason}.")
        case 320:
            return ConnectionLost(f"{place} closed the connection: {reason}.")
        case 541:
            return ConnectorError(f"{place} failed over it, and its log says why (AMQP code 541, {reason}).")
    return ConnectorError(f"{place}: {reason} (AMQP code {code}).")
