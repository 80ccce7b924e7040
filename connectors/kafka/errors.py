"""What went wrong, in one sentence: the errors of sockets, TLS, aiokafka and brokers as `ConnectorError`s.

No other module of this package knows an exception of the driver. aiokafka's log says what these sentences say, less
clearly, and at its finest level holds the bytes of a login: it is kept silent.
"""

import logging
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum

import aiokafka.errors as driver

from workbench.connecting.tls import tls_failure
from workbench.model.errors import (
    AccessRefused,
    ConnectionLost,
    ConnectorError,
    EndpointNotFound,
    LoginRefused,
    Unsupported,
)

logging.getLogger("aiokafka").setLevel(logging.CRITICAL + 1)


class Code(IntEnum):
    """The error codes of brokers that mean something here (https://kafka.apache.org/protocol#protocol_error_codes)."""

    UNKNOWN_SERVER_ERROR = -1
    NONE = 0
    OFFSET_OUT_OF_RANGE = 1
    CORRUPT_MESSAGE = 2
    UNKNOWN_TOPIC_OR_PARTITION = 3
    LEADER_NOT_AVAILABLE = 5
    NOT_LEADER_OR_FOLLOWER = 6
    REQUEST_TIMED_OUT = 7
    BROKER_NOT_AVAILABLE = 8
    REPLICA_NOT_AVAILABLE = 9
    MESSAGE_TOO_LARGE = 10
    NETWORK_EXCEPTION = 13
    COORDINATOR_LOAD_IN_PROGRESS = 14
    COORDINATOR_NOT_AVAILABLE = 15
    NOT_COORDINATOR = 16
    INVALID_TOPIC = 17
    RECORD_LIST_TOO_LARGE = 18
    NOT_ENOUGH_REPLICAS = 19
    NOT_ENOUGH_REPLICAS_AFTER_APPEND = 20
    ILLEGAL_GENERATION = 22
    UNKNOWN_MEMBER_ID = 25
    TOPIC_AUTHORIZATION_FAILED = 29
    GROUP_AUTHORIZATION_FAILED = 30
    CLUSTER_AUTHORIZATION_FAILED = 31
    INVALID_TIMESTAMP = 32
    UNSUPPORTED_VERSION = 35
    UNSUPPORTED_FOR_MESSAGE_FORMAT = 43
    POLICY_VIOLATION = 44
    OUT_OF_ORDER_SEQUENCE_NUMBER = 45
    DUPLICATE_SEQUENCE_NUMBER = 46
    INVALID_PRODUCER_EPOCH = 47
    INVALID_TXN_STATE = 48
    CONCURRENT_TRANSACTIONS = 51
    TRANSACTIONAL_ID_AUTHORIZATION_FAILED = 53
    KAFKA_STORAGE_ERROR = 56
    UNKNOWN_PRODUCER_ID = 59
    NON_EMPTY_GROUP = 68
    GROUP_ID_NOT_FOUND = 69
    FETCH_SESSION_ID_NOT_FOUND = 70
    INVALID_FETCH_SESSION_EPOCH = 71
    FENCED_LEADER_EPOCH = 74
    UNKNOWN_LEADER_EPOCH = 75
    UNSUPPORTED_COMPRESSION_TYPE = 76
    OFFSET_NOT_AVAILABLE = 78
    GROUP_SUBSCRIBED_TO_TOPIC = 86
    INVALID_RECORD = 87
    UNSTABLE_OFFSET_COMMIT = 88
    PRODUCER_FENCED = 90
    UNKNOWN_TOPIC_ID = 100


PASSING = frozenset(
    {
        Code.UNKNOWN_TOPIC_OR_PARTITION,  # a broker that has just started learns of its topics a little later
        Code.LEADER_NOT_AVAILABLE,
        Code.NOT_LEADER_OR_FOLLOWER,
        Code.REQUEST_TIMED_OUT,
        Code.BROKER_NOT_AVAILABLE,
        Code.REPLICA_NOT_AVAILABLE,
        Code.NETWORK_EXCEPTION,
        Code.COORDINATOR_LOAD_IN_PROGRESS,
        Code.COORDINATOR_NOT_AVAILABLE,
        Code.NOT_COORDINATOR,
        Code.NOT_ENOUGH_REPLICAS,
        Code.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
        Code.CONCURRENT_TRANSACTIONS,
        Code.KAFKA_STORAGE_ERROR,
        Code.FENCED_LEADER_EPOCH,
        Code.UNKNOWN_LEADER_EPOCH,
        Code.OFFSET_NOT_AVAILABLE,
        Code.UNSTABLE_OFFSET_COMMIT,
        Code.UNKNOWN_TOPIC_ID,
    }
)
"""Codes that asking again, perhaps another broker, gets over."""

_REFUSED = frozenset(
    {
        Code.TOPIC_AUTHORIZATION_FAILED,
        Code.GROUP_AUTHORIZATION_FAILED,
        Code.CLUSTER_AUTHORIZATION_FAILED,
        Code.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    }
)
_MEANINGS = {
    Code.LEADER_NOT_AVAILABLE: "no broker leads it at the moment",
    Code.NOT_ENOUGH_REPLICAS: "fewer of its replicas are in sync than min.insync.replicas asks for",
    Code.INVALID_TIMESTAMP: (
        "the event's time is further from the broker's clock than the topic's message.timestamp.before.max.ms and"
        " message.timestamp.after.max.ms allow"
    ),
}
"""What a user cannot know by the name alone."""
_ABSENT = frozenset({Code.UNKNOWN_TOPIC_OR_PARTITION, Code.INVALID_TOPIC, Code.UNKNOWN_TOPIC_ID})


class RetriableError(ConnectorError):
    """A refusal that asking again may get over, after the leaders were asked for anew.

    Attributes:
        final: What to raise instead when it does not pass.
    """

    def __init__(self, final: ConnectorError) -> None:
        super().__init__(str(final))
        self.final = final


def reason_of(error: Exception) -> str:
    """What an error says, without the full stop: the reason of a gap."""
    return str(error).removesuffix(".")


def refusal(code: int, doing: str) -> ConnectorError:
    """The error for a broker's answer.

    Args:
        code: Not 0.
        doing: What was asked, to put behind "Kafka refuses to": `read topic orders`.
    """
    if code in _REFUSED:
        return AccessRefused(
            f"This user has no permission to {doing}: an ACL of the cluster has to allow it, or, on Event Hubs, a claim"
            " of its policy."
        )
    said = Code(code).name if code in Code._value2member_map_ else driver.for_code(code).__name__
    if code in _ABSENT:
        return EndpointNotFound(f"Kafka cannot {doing}: there is no such topic or partition.")
    if code == Code.UNSUPPORTED_VERSION:
        return Unsupported(f"This Kafka is too old to {doing}.")
    if code in _MEANINGS:
        return ConnectorError(f"Kafka refuses to {doing}: {_MEANINGS[Code(code)]} ({said}).")
    return ConnectorError(f"Kafka refuses to {doing}: {said}.")


def check(code: int, doing: str) -> None:
    """Nothing for code 0.

    Raises:
        RetriableError: Asking again may help.
        ConnectorError: It will not.
    """
    if code == Code.NONE:
        return
    if code in PASSING:
        raise RetriableError(refusal(code, doing))
    raise refusal(code, doing)


@contextmanager
def translate_errors(
    place: str, *, tls: bool = False, user: str | None = None, advertised: bool = False, first: bool = False
) -> Iterator[None]:
    """Turn what sockets, TLS and aiokafka raise into `ConnectorError`s.

    Args:
        place: `host:port` that is talked to.
        tls: Whether TLS is spoken.
        user: Who logs in; None: nobody.
        advertised: Whether the place is one that the cluster named, and not the user.
        first: Whether these are the first words that are exchanged with it.
    """
    try:
        yield
    except driver.UnsupportedSaslMechanismError as error:
        offered = ", ".join(error.args[0]) if error.args and isinstance(error.args[0], list) else "others"
        raise AccessRefused(
            f"{place} does not log in users this way, but by {offered.lower()}: choose with sasl=."
        ) from None
    except driver.IllegalSaslStateError:
        raise AccessRefused(f"{place} has no authentication: leave user {user!r} out of the URL.") from None
    except (driver.SaslAuthenticationFailed, driver.AuthenticationFailedError):
        raise LoginRefused(f"{place} does not let user {user!r} in: the name or the password is wrong.") from None
    except ssl.SSLError as error:
        raise ConnectionLost(f"No TLS with {place}: {tls_failure(error)}.") from None
    except socket.gaierror:
        raise ConnectionLost(_unreachable_sentence(place, "there is no host of that name", advertised)) from None
    except ConnectionRefusedError:
        raise ConnectionLost(_unreachable_sentence(place, "nobody listens there", advertised)) from None
    except TimeoutError:
        raise ConnectionLost(_unreachable_sentence(place, "it does not answer", advertised)) from None
    except (driver.KafkaConnectionError, EOFError, ConnectionError):
        wants = ["no TLS (then leave out ?tls)" if tls else "TLS (then add ?tls)"]
        wants += [] if user is not None else ["a login (then write kafka://USER:PASSWORD@HOST)"]
        hint = f" at the start: it may expect {' or '.join(wants)}" if first else ""
        raise ConnectionLost(f"{place} closed the connection{hint}.") from None
    except OSError as error:
        raise ConnectionLost(
            _unreachable_sentence(place, (error.strerror or type(error).__name__).lower(), advertised)
        ) from None
    except driver.IncompatibleBrokerVersion as error:
        raise Unsupported(f"The Kafka at {place} is too old for this: {error}.") from None
    except (driver.KafkaError, NotImplementedError) as error:
        raise ConnectorError(f"{place} sent an unexpected answer: {error}.") from None


def _unreachable_sentence(place: str, why: str, advertised: bool) -> str:
    if advertised:
        return (
            f"The cluster names a broker at {place} that cannot be reached from here ({why}): its advertised.listeners"
            " must name what this machine can reach."
        )
    return f"Kafka cannot be reached at {place}: {why}."
