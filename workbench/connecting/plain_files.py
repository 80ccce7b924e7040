"""Files that are read whole, of which anybody may have put something else in their place.

A pipe in the place of `workbench.toml` would be waited for, and a device read without end.
"""

import errno
import os
import stat
from pathlib import Path
from typing import Final

LARGEST: Final = 1 << 24
"""Bytes of a file that says how the program is to work."""
LARGEST_MESSAGE: Final = 1 << 29
"""Bytes of a file that a user names: RabbitMQ takes no larger message, and Kafka none by default."""


def content_of(path: Path, pipe: bool = False, largest: int = LARGEST) -> bytes:
    """What is in a file.

    Args:
        path: Which.
        pipe: Whether it may be a pipe, as in `--config <(…)`, which is read to its end.
        largest: Bytes that it may have.

    Raises:
        OSError: It cannot be read, is no file, or is too large.
    """
    waits = 0 if pipe and path.is_fifo() else os.O_NONBLOCK
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY | waits), "rb") as file:
        mode = os.fstat(file.fileno()).st_mode
        if stat.S_ISDIR(mode):
            raise OSError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(mode) and not (pipe and stat.S_ISFIFO(mode)):
            raise OSError(errno.EINVAL, "Not a file", str(path))
        content = file.read(largest + 1)
    if len(content) > largest:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
    return content


def named_content(path: Path) -> bytes:
    """What is in a file that the user names for this once, be it a pipe, which is waited for, or `/dev/null`.

    Raises:
        OSError: It cannot be read, or is larger than `LARGEST_MESSAGE`.
    """
    content = bytearray()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            content += chunk
            if len(content) > LARGEST_MESSAGE:
                raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
    return bytes(content)
