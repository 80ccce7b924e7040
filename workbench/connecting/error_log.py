"""The log of what nobody expected: tracebacks in a private file, without local variables and without secrets.

A sentence that goes with one names the file and the kind of the exception, never its text: that may hold what a mask
hides, or a credential.
"""

import fcntl
import os
import re
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from workbench.connecting.config import without_secrets
from workbench.connecting.folders import state_path
from workbench.connecting.state_files import make_private_folder

LIMIT: Final = 1_000_000
"""Bytes that the file may have; beyond, the older half of it goes."""
ENTRY: Final = 50_000
"""Characters kept of one error: an exception's text may be a whole message."""


def error_log() -> Path:
    """The file: in the platform's state folder, never one that others share."""
    return state_path("errors.log")


def log_error(error: BaseException, what: str = "") -> Path:
    """Add an error and its traceback to the log; what cannot be written is given up.

    Args:
        error: What was raised.
        what: What was being done.

    Returns:
        The file.
    """
    _log(error, what)
    return error_log()


def log_unexpected(error: BaseException, what: str) -> str:
    """Log an error and say so in a sentence.

    Args:
        error: What was raised.
        what: What failed, as the beginning of a sentence.
    """
    where = "are in" if _log(error, what) else "could not be written to"
    return f"{what} failed with an unexpected {type(error).__name__}; the details {where} {error_log()}."


def _log(error: BaseException, what: str) -> bool:
    try:
        _append(error_log(), _entry(error, what))
    except OSError:
        return False
    return True


def _entry(error: BaseException, what: str) -> bytes:
    """The lines of an entry: nothing in them moves the terminal on which they are read."""
    text = "".join(traceback.format_exception(error))
    # Cut twice: what the first cut leaves of a password that it went through, the second takes away.
    text = _cut(without_secrets(_cut(text, 4 * ENTRY)), ENTRY)
    head = f"{datetime.now(UTC).isoformat(timespec='seconds')} {os.getpid()} {without_secrets(what)}"
    return _UNUSUAL.sub(lambda match: ascii(match[0])[1:-1], f"{head}\n{text.rstrip()}\n\n").encode()


def _cut(text: str, size: int) -> str:
    return text if len(text) <= size else f"{text[: size // 2]}\n… cut here …\n{text[-size // 2 :]}"


_UNUSUAL: Final = re.compile("[^\n -~…]")


def _append(path: Path, entry: bytes) -> None:
    make_private_folder(path.parent)
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        os.fchmod(descriptor, 0o600)
        if file.seek(0, os.SEEK_END) + len(entry) > LIMIT:
            file.seek(-min(LIMIT // 2, file.tell()), os.SEEK_END)
            newer = file.read()
            file.truncate(0)
            file.write(newer[newer.find(b"\n") + 1 :])
        file.write(entry)
