"""How long to put up with what may pass: a lost connection, a leader that moves."""

import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from connectors.kafka.errors import RetriableError
from workbench.connecting.retry import Backoff
from workbench.model.errors import ConnectionLost, ConnectorError, EndpointNotFound
from workbench.model.look import Interruption

T = TypeVar("T")

_SECONDS = 30.0
_ABSENT_SECONDS = 5.0
_PAUSES = (0.05, 0.1, 0.2, 0.4, 0.8, 1.0)


class Patience:
    """Counts how long something has been failing, and gives up when it has been too long.

    Attributes:
        interruption: Since when nothing was heard, why at last, and when it is tried again; None while all is well.
        interruptions: How often it failed and came back.
    """

    def __init__(self) -> None:
        self.interruption: Interruption | None = None
        self.interruptions = 0
        self._backoff = Backoff(_PAUSES)
        self._heard = _now()
        self._failing: float | None = None

    @property
    def failing(self) -> bool:
        """Whether it has failed, and has not worked since."""
        return self._failing is not None or self.interruption is not None

    def note(self, heard: int) -> None:
        """What is asked was heard then, in milliseconds since 1970 UTC, though it had nothing to bring."""
        if not self.failing:
            self._heard = max(self._heard, heard)

    def calm(self, heard: int | None = None) -> None:
        """It works, and was heard then, in milliseconds since 1970 UTC; None: now."""
        if self.interruption:
            self.interruptions += 1
        self.interruption, self._failing, self._heard = None, None, _now() if heard is None else heard
        self._backoff.reset()

    async def wait(self, error: ConnectorError) -> None:
        """It failed: return when it may be tried again, a little later each time.

        Raises:
            ConnectorError: It is not worth another attempt. One made nevertheless is the first again.
        """
        now = time.monotonic()
        final = error.final if isinstance(error, RetriableError) else error
        if self._failing is None:
            self._failing = now
        if now - self._failing > (_ABSENT_SECONDS if isinstance(final, EndpointNotFound) else _SECONDS):
            self.interruption, self._failing = Interruption(str(final), self._heard, _now()), None
            self._backoff.reset()
            raise final
        self.interruption = self._backoff.fail(str(final), self._heard)
        await self._backoff.wait()


def _now() -> int:
    return time.time_ns() // 1_000_000


async def patiently(attempt: Callable[[], Awaitable[T]]) -> T:
    """Do something that may be done twice until it works, or has been failing too long.

    Raises:
        ConnectorError: It is not worth another attempt.
    """
    patience = Patience()
    while True:
        try:
            return await attempt()
        except (ConnectionLost, RetriableError) as error:
            await patience.wait(error)
