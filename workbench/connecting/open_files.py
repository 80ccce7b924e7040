"""How many files and connections this process may have open: as many as it is allowed, and a sentence where that is too
few. What a driver makes of it is one that nobody listens, or silence."""

import errno
import os
import resource
from contextlib import suppress

from workbench.model.errors import ConnectorError


def allow_all() -> None:
    """Let this process open as many as it may allow itself (setrlimit(2)): shells often begin with fewer."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def check_room() -> None:
    """Nothing, where one more can be opened.

    Raises:
        ConnectorError: None can.
    """
    try:
        os.close(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
    except OSError as error:
        if error.errno not in (errno.EMFILE, errno.ENFILE):
            return
        most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        raise ConnectorError(
            f"This program may have no more than {most:,} files and connections open: allow more with ulimit -n, or"
            " name fewer endpoints at once."
        ) from None
