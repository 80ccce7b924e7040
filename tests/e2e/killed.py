"""`workbench`, killed at a step of a move: `python -m tests.e2e.killed STEP WHEN WINDOW …`, where the rest is its own.

It ends as by SIGKILL, at once and with nothing said, when the step is taken in the window of this number (from 1). That
window has a hundred messages, so that few are enough for many.
"""

import os
import signal
import sys
from collections.abc import Callable
from typing import Any, Final

from workbench.__main__ import main
from workbench.connecting.connector_boundary import BoundedClaims
from workbench.operations.journal.journal import Journal
from workbench.operations.move import passes, windows
from workbench.operations.move.outbox import Answers, Outbox

WINDOW: Final = 100
"""Messages of a window."""

STEPS: Final[dict[str, tuple[type[Any], str]]] = {
    "journal": (Journal, "add"),
    "publish": (Outbox, "send"),
    "confirm": (Answers, "all"),
    "settle": (BoundedClaims, "settle"),
}
"""What is done to a window, in this order."""


def kill_at(step: str, when: str, window: int) -> None:
    """Arrange for this process's end, "before" or "after" a step of a window."""
    owner, name = STEPS[step]
    done: Callable[..., Any] = getattr(owner, name)
    left = window

    def end(now: str) -> None:
        if left == 0 and now == when:
            os.kill(os.getpid(), signal.SIGKILL)

    def count() -> None:
        nonlocal left
        left -= 1
        end("before")

    async def awaited(*args: Any) -> Any:
        count()
        result = await done(*args)
        end("after")
        return result

    def called(*args: Any) -> Any:
        count()
        result = done(*args)
        end("after")
        return result

    setattr(owner, name, called if step == "journal" else awaited)


if __name__ == "__main__":
    # They are final for all but this; a broker on this machine notices at once that a program is gone.
    windows.WINDOW = WINDOW  # type: ignore[misc]
    passes.RETURN = 1.0  # type: ignore[misc]
    kill_at(sys.argv[1], sys.argv[2], int(sys.argv[3]))
    del sys.argv[1:4]
    main()
