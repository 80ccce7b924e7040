"""Keeping on disk what for a moment is safe nowhere else: messages that their broker would give up if given back.

What a killed program leaves behind can be published again: `workbench publish ADDRESS --file FILE`.
"""

import fcntl
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final
from uuid import uuid4

from workbench.connecting.folders import state_path
from workbench.connecting.plain_files import content_of
from workbench.connecting.state_files import make_private_folder, new_on_disk, sync_folder
from workbench.decode import ndjson
from workbench.model.errors import StoreError
from workbench.model.event import Delivery

_NAME: Final = "[0-9a-f]" * 32 + ".ndjson"
"""How a file here is called, as a pattern; what else somebody put there is theirs."""


def spool_folder() -> Path:
    """Where the files are: the platform's state folder, never one that others share."""
    return state_path("kept")


@contextmanager
def spool(deliveries: Sequence[Delivery]) -> Iterator[Path]:
    """Within, these are in a file, a line each; it is deleted on leaving without an error, and stays after one.

    Leave without an error only when a broker has them again: their copies confirmed, the originals acknowledged.
    A program that is killed within leaves the file there, to be published again with `workbench publish --file`.

    Raises:
        StoreError: On entering: the folder cannot be written. Then let go of nothing.
    """
    path, file = _write(deliveries)
    # Open and locked, so that no other program takes it for left behind.
    with file:
        yield path
        # The file says too much rather than too little: what is there twice can be told, what is gone cannot.
        with suppress(OSError):
            path.unlink()


def keep(deliveries: Sequence[Delivery]) -> Path:
    """Write these into a new file that only this user may read, and return when it is on the disk.

    Returns:
        The file: NDJSON, a delivery a line, which stays until somebody deletes it.

    Raises:
        StoreError: The folder cannot be written; no file is left.
    """
    path, file = _write(deliveries)
    file.close()
    return path


def keep_unpublished(deliveries: Sequence[Delivery], lines: Iterable[bytes] = ()) -> Path:
    """Write events that were not published, or of which that is not known, into a new file that only this user may
    read.

    Args:
        deliveries: Events.
        lines: More of them, each as a line of NDJSON with its end.

    Returns:
        The file, for `workbench publish --file`; it stays until somebody deletes it.

    Raises:
        StoreError: It cannot be written; no file is left.
    """
    path, file = _write(deliveries, state_path("unpublished"), lines)
    file.close()
    return path


def find_leftovers() -> Sequence[Path]:
    """The files that programs which have ended left, each told once; none where the folder cannot be read."""
    told_in = spool_folder() / "told"
    try:
        told = set(content_of(told_in).decode(errors="replace").splitlines()) if told_in.exists() else set()
        files = {path.name: path for path in spool_folder().glob(_NAME)}
        found = [path for name, path in sorted(files.items()) if name not in told and not _in_use(path)]
        if found:
            names = [*sorted(told & files.keys()), *(path.name for path in found)]
            told_in.write_text("".join(f"{name}\n" for name in names))
    except OSError:
        return ()
    return found


def describe_leftover(path: Path) -> str:
    """What a user is told of a file that was left behind."""
    return (
        f"{path} holds messages that a broker was about to give up, and the program ended before they were back:"
        " publish them again with `workbench publish ADDRESS --file`. This is said only once."
    )


def _in_use(path: Path) -> bool:
    """Whether a program is about to put back what is in a file, or has done so."""
    try:
        # A pipe would be waited for.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except (BlockingIOError, FileNotFoundError):
        return True
    return False


def _write(
    deliveries: Sequence[Delivery], folder: Path | None = None, lines: Iterable[bytes] = ()
) -> tuple[Path, IO[bytes]]:
    folder = folder or spool_folder()
    path = folder / f"{uuid4().hex}.ndjson"  # as _NAME has it
    try:
        make_private_folder(folder)
        with new_on_disk(path) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.writelines(map(ndjson.encode, deliveries))
            file.writelines(lines)
            sync_folder(folder)
    except OSError as error:
        raise StoreError(f"Nothing can be kept in {folder}: {error.strerror}.") from error
    return path, file
