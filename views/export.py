"""Events on their way out of the program: to the clipboard, to a file."""

import asyncio
import base64
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from workbench.decode import ndjson
from workbench.model.errors import FormatError, StoreError
from workbench.model.event import Damaged, Delivery
from workbench.model.wording import quantity
from workbench.store.archive import Archive
from workbench.store.session_file import new_file

AT_ONCE = 1_000
"""Events read and written in one go."""


def body_text(delivery: Delivery) -> tuple[str, str]:
    """A body as text, and what kind of text that is: itself where it is UTF-8, else Base64."""
    body = delivery.event.body or b""
    try:
        return body.decode(), "The body"
    except UnicodeDecodeError:
        return base64.b64encode(body).decode(), "The body, in Base64 as it is not text,"


def line_text(delivery: Delivery) -> str:
    """An event as the line that `workbench publish --file` reads.

    Raises:
        FormatError: Its headers hold what no JSON can say.
    """
    return ndjson.encode(delivery).decode().rstrip("\n")


async def export(
    archive: Archive, sequences: Sequence[int], path: Path, stopped: asyncio.Event
) -> AsyncIterator[tuple[int, int]]:
    """Write events to a new file, a line each, masked as the configuration says, until it is stopped: the file holds
    what was written by then.

    Yields how many are written so far, and how many could not be: those whose headers hold what no JSON can say, that
    are damaged, or that are gone from the store by now.

    Raises:
        StoreError: There is such a file, or it cannot be written.
    """
    new_file(path)
    written = left_out = 0
    for at in range(0, len(sequences), AT_ONCE):
        lines: list[bytes | None] = []
        for delivery in await archive.rows(sequences[at : at + AT_ONCE]):
            if stopped.is_set():
                break
            if delivery is None or isinstance(delivery, Damaged):
                lines.append(None)
            else:
                lines.append(_line(await archive.reading.mask_off_loop(delivery)))
        try:
            await archive.on_reader(_append, path, b"".join(filter(None, lines)))
        except OSError as error:
            raise StoreError(
                f"Only {quantity(written, 'event')} could be written to {path}: {error.strerror}."
            ) from error
        left_out += lines.count(None)
        written += len(lines) - lines.count(None)
        yield written, left_out
        if stopped.is_set():
            return


def _append(path: Path, lines: bytes) -> None:
    with path.open("ab") as file:
        file.write(lines)


def _line(delivery: Delivery) -> bytes | None:
    try:
        return ndjson.encode(delivery)
    except FormatError:
        return None
