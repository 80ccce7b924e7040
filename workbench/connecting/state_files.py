"""Files of a user's own on the disk: private, written as a whole or not at all, and there after a power cut."""

import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO
from uuid import uuid4


def write_private(path: Path, content: bytes, mode: int | None = None) -> None:
    """Put a file in the place of what was there: a program that is killed leaves the old one or the new one.

    A new file may be read by its user alone; one that is there keeps its owner and its mode. A symbolic link stays one:
    what it leads to is written.

    Args:
        path: Which.
        content: What is to be in it.
        mode: Its mode from now on, also of one that is there; None: see above.

    Raises:
        OSError: It cannot be written; what was there is untouched.
    """
    path = _resolved(path)
    make_private_folder(path.parent)
    try:
        before = path.stat()
    except FileNotFoundError:
        before = None
    wanted = mode if mode is not None else 0o600 if before is None else stat.S_IMODE(before.st_mode)
    # A name of its own for each writing: two programs may write at once.
    new = path.with_name(f"{path.name}.{uuid4().hex}.new")
    try:
        with new_on_disk(new) as file:
            file.write(content)
            if before is not None and _owner(before) != _owner(os.fstat(file.fileno())):
                os.fchown(file.fileno(), *_owner(before))
            os.fchmod(file.fileno(), wanted)
        file.close()
        new.replace(path)
        sync_folder(path.parent)
    except OSError:
        with suppress(OSError):
            new.unlink(missing_ok=True)
        raise


def make_private_folder(folder: Path) -> None:
    """Make a folder that only its user may enter, and those above it that there are not.

    Raises:
        OSError: It cannot be made.
    """
    for each in reversed([each for each in (folder, *folder.parents) if not each.exists()]):
        each.mkdir(mode=0o700, exist_ok=True)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Let nobody else who asks for it change a file meanwhile: other programs wait. Where there is none, it is made,
    empty, and its user's alone.

    Where a file system knows no locks, nobody waits.

    Raises:
        OSError: It cannot be read or made.
    """
    path = _resolved(path)
    make_private_folder(path.parent)
    descriptor = _open_locked(path)
    try:
        yield
    finally:
        os.close(descriptor)


def try_lock(path: Path, make: bool = True) -> IO[bytes] | None:
    """A file that is locked until it is closed, or its program ends; None: another has it.

    Args:
        path: The file, whose content is of no matter.
        make: Whether to make it where there is none.

    Raises:
        FileNotFoundError: There is none.
        OSError: It cannot be opened.
    """
    flags = os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if make else 0)
    file = os.fdopen(os.open(path, flags, 0o600), "rb+", buffering=0)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if make and not os.path.samestat(os.fstat(file.fileno()), path.stat()):
            # It was deleted by who had it.
            file.close()
            return try_lock(path)
    except BlockingIOError:
        file.close()
        return None
    except FileNotFoundError:
        file.close()
        return try_lock(path)
    return file


def _open_locked(path: Path) -> int:
    while True:
        descriptor = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o600)
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        with suppress(FileNotFoundError):
            # Whoever had it may have put another file in its place.
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor
        os.close(descriptor)


def _owner(file: os.stat_result) -> tuple[int, int]:
    return file.st_uid, file.st_gid


def _resolved(path: Path) -> Path:
    try:
        return path.resolve()
    except RuntimeError:
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path)) from None


@contextmanager
def new_on_disk(path: Path) -> Iterator[IO[bytes]]:
    """A file that only its user may read, to be written within: on leaving it is on the disk, and still open.

    After an error there is no file. Its name lasts once its folder is synced too, which may be done within.

    Raises:
        FileExistsError: There is one, or a link.
        OSError: It cannot be made or written.
    """
    file = new_private(path)
    try:
        yield file
        file.flush()
        os.fsync(file.fileno())
    except BaseException:
        with suppress(OSError):
            path.unlink()
        # Closing would try to write again what the disk has no room for.
        with suppress(OSError):
            file.close()
        raise


def new_private(path: Path) -> IO[bytes]:
    """Make a file that only its user may read, and open it to be written.

    Raises:
        FileExistsError: There is one, or a link.
        OSError: It cannot be made.
    """
    return os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600), "wb")


def sync_folder(folder: Path) -> None:
    """Make the names in a folder last: they are data of its own."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
