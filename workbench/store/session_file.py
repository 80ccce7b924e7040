"""A file of this session: private, locked while the session lives, and gone when it ends, however it ends."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from workbench.connecting.folders import state_path
from workbench.connecting.state_files import make_private_folder, new_private
from workbench.model.errors import StoreError


def state_folder() -> Path:
    """Where sessions keep their files: the platform's state folder, never one that others share."""
    return state_path("sessions")


@contextmanager
def private_file(folder: Path | None = None, suffix: str = ".db") -> Iterator[Path]:
    """An empty file that only this user may read, deleted on leaving with what other programs made beside it in its
    name; first, sweep what killed sessions left.

    Args:
        folder: Where; made if it is not there. None: `state_folder`.
        suffix: How its name ends.

    Raises:
        StoreError: The folder cannot be written.
    """
    folder = folder or state_folder()
    try:
        make_private_folder(folder)
        sweep(folder)
        path, lock = _lock_new(folder, suffix)
    except OSError as error:
        raise StoreError(f"No events can be stored in {folder}: {error.strerror}.") from error
    try:
        yield path
    finally:
        _delete(path)
        os.close(lock)


def sweep(folder: Path) -> None:
    """Delete the files of sessions that were killed. A lock dies with its process; its file does not."""
    for path in folder.glob("session-*.lock"):
        with suppress(FileNotFoundError):
            lock = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                pass
            else:
                _delete(path)
            finally:
                os.close(lock)


def new_file(path: Path) -> None:
    """Make an empty file that only this user may read, where a user named one.

    Raises:
        StoreError: There is one already, or it cannot be made.
    """
    try:
        new_private(path).close()
    except FileExistsError:
        raise StoreError(f"{path} already exists: choose another name.") from None
    except OSError as error:
        raise StoreError(f"{path} cannot be made: {error.strerror}.") from error


def delete_stored(path: Path) -> None:
    """Delete what a session has stored in its private file; the session itself goes on."""
    for suffix in (".db", ".db-wal", ".db-shm"):
        path.with_suffix(suffix).unlink(missing_ok=True)


def _lock_new(folder: Path, suffix: str) -> tuple[Path, int]:
    while True:
        path = folder / f"session-{uuid4().hex}{suffix}"
        name = path.with_suffix(".lock")
        # `flock` and not `lockf`: a second session in this very process must find it locked too.
        lock = os.open(name, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Another session's sweep may have been faster between these two lines.
            if name.exists():
                new_private(path).close()
                return path, lock
        except BlockingIOError:
            pass
        except OSError:
            os.close(lock)
            raise
        os.close(lock)


def _delete(path: Path) -> None:
    # The lock goes last: without it nobody would know that the others are to be swept.
    lock = path.with_suffix(".lock")
    for each in path.parent.glob(f"*{path.stem}*"):
        if each != lock:
            each.unlink(missing_ok=True)
    lock.unlink(missing_ok=True)
