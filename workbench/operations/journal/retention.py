"""How long journals are kept: what is not finished, always; what is, within a budget; or until it is forgotten."""

import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from workbench.connecting.state_files import sync_folder
from workbench.model.errors import StoreError
from workbench.operations.journal.journal_file import lock_file, lock_path, remove_left_files, size_of_files
from workbench.operations.journal.records import all_records, records
from workbench.session import PROCESS

BUDGET: Final = 2_147_483_648
"""Bytes that the journals of finished operations may take together; beyond it the oldest are forgotten."""
_LONG: Final = 86_400
"""Seconds for which no process with an embedded broker is expected to run."""


def forget(path: Path) -> None:
    """Delete a journal, with all messages that it holds.

    Raises:
        StoreError: A program works on it, or it cannot be deleted.
    """
    with closing(lock_file(path)):
        _delete(path)


def _delete(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
        # The write-ahead log holds messages too.
        remove_left_files()
        lock_path(path).unlink(missing_ok=True)
        sync_folder(path.parent)
    except OSError as error:
        raise StoreError(f"{path} cannot be deleted: {error.strerror}.") from error


def forget_embedded() -> None:
    """Forget what was done on this process's embedded brokers, which end with it; and on those of processes that died
    at least a day ago."""
    long_ago = (time.time() - _LONG) * 1000
    for record in all_records()[0]:
        of = record.operation
        if of.process == PROCESS or (of.process and record.state != "running" and of.begun < long_ago):
            with suppress(StoreError):
                forget(record.path)


def keep_within(budget: int = BUDGET) -> list[str]:
    """Forget the oldest finished operations, as far as the journals are larger than a budget; what is not finished is
    kept. The ids of those that were forgotten."""
    if size_of_files() <= budget:
        return []
    found, _ = records()
    taken = sum(each.bytes for each in found)
    forgotten = []
    for record in reversed(found):
        if taken <= budget:
            break
        if record.state == "done" and not record.counts.open:
            with suppress(StoreError):
                forget(record.path)
                forgotten.append(record.operation.id)
                taken -= record.bytes
    return forgotten
