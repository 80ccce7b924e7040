"""What can go wrong, as one tree. `str(error)` is one sentence that a user can act on and never holds a credential.

WorkbenchError
├── ConfigError             a URL, an option or an installation that cannot be used
│   └── NotTrusted          what a file asks for that its user does not trust
├── AddressError            a text that is not `connection/name`, or names no open connection
├── FormatError             bytes or a line that are not what they claim to be
├── GuardRefused            more than the connection's guard allows
├── QueryError              a query that cannot be read; says at which column
├── StoreError              a file of stored events that cannot be written, or is no recording
└── ConnectorError          what a broker answered, or did not
    ├── ConnectionLost      nobody listens there, or the connection broke
    ├── AccessRefused       no permission for this
    │   └── LoginRefused    an unknown user, or a wrong password
    ├── EndpointNotFound    no such queue, exchange, stream or topic
    ├── PublishRejected     an event that the broker did not take
    └── Unsupported         what this kind of endpoint cannot do, with the reason
        └── LookRefused     a look that could cost a message its life, unless it is forced
"""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def unwrap_exception_group() -> Iterator[None]:
    """Around a task group: raise what went wrong in it as it was raised, and not in a group of one."""
    try:
        yield
    except BaseExceptionGroup as group:
        error: BaseException = group
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        raise error from error.__cause__


class WorkbenchError(Exception):
    """The root of all errors that are told to the user as one sentence, without a traceback."""


class ConfigError(WorkbenchError):
    """A URL, an option or an installation that cannot be used."""


class NotTrusted(ConfigError):
    """What a file in the working directory asks for before its user trusts it."""


class AddressError(WorkbenchError):
    """A text that is not an address, or an address whose connection is not open."""


class FormatError(WorkbenchError):
    """Bytes or a line that are not what they claim to be."""


class GuardRefused(WorkbenchError):
    """More than the connection's guard allows."""


class QueryError(WorkbenchError):
    """A query that cannot be read.

    Attributes:
        message: What is wrong and what to write, in sentences, without the place.
        column: Where in the text, from 0; the sentence counts from 1, as editors do.
    """

    def __init__(self, message: str, column: int) -> None:
        super().__init__(message, column)
        self.message = message
        self.column = column

    def __str__(self) -> str:
        return f"Query error at column {self.column + 1}: {self.message}"


class StoreError(WorkbenchError):
    """A file of stored events that cannot be written, or that is no recording."""


class ConnectorError(WorkbenchError):
    """What a broker answered, or did not answer."""


class ConnectionLost(ConnectorError):
    """Nobody listens there, or the connection broke."""


class AccessRefused(ConnectorError):
    """No permission for what was asked."""


class LoginRefused(AccessRefused):
    """The user is unknown, or the password is wrong: to try it again may lock the user out."""


class EndpointNotFound(ConnectorError):
    """There is no such queue, exchange, stream or topic."""


class PublishRejected(ConnectorError):
    """An event that the broker did not take."""


class Unsupported(ConnectorError):
    """What this kind of endpoint cannot do."""


class LookRefused(Unsupported):
    """A look that could make the broker dead-letter or delete a message, unless it is forced."""
