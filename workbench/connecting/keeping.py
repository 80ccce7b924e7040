"""Keeping on disk what for a moment is safe nowhere else: messages that their broker would give up if given back.

What a killed program leaves behind can be published again: `workbench publish ADDRESS --file FILE`.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

import platformdirs

from workbench.model import ndjson
from workbench.model.errors import StoreError
from workbench.model.event import Delivery


def kept_folder() -> Path:
    """Where the files are: the platform's state folder, never one that others share."""
    return platformdirs.user_state_path("event-workbench") / "kept"


@contextmanager
def kept(deliveries: Sequence[Delivery]) -> Iterator[Path]:
    """Within, these are in a file, a line each; it is deleted on leaving without an error, and stays after one.

    Leave without an error only when a broker has them again: their copies confirmed, the originals acknowledged.
    A program that is killed within leaves the file there, to be published again with `workbench publish --file`.

    Raises:
        StoreError: On entering: the folder cannot be written. Then let go of nothing.
    """
    path = keep(deliveries)
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
    folder = kept_folder()
    path = folder / f"{uuid4().hex}.ndjson"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.writelines(map(ndjson.encode, deliveries))
                file.flush()
                os.fsync(file.fileno())
            _to_disk(folder)
        except OSError:
            path.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise StoreError(f"Nothing can be kept in {folder}: {error.strerror}.") from error
    return path


def _to_disk(folder: Path) -> None:
    """Make the names in a folder last: they are data of its own."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
