"""Writing a trace into a file, in the format that its name asks for."""

import asyncio
from pathlib import Path

from workbench.decode import ndjson
from workbench.model.errors import FormatError, StoreError
from workbench.operations.export.mermaid import mermaid
from workbench.operations.export.otlp import otlp
from workbench.operations.trace.forest import Trace
from workbench.store.session_file import new_file


async def write_trace(found: Trace, path: Path) -> int:
    """Write a trace to a new file: `.mmd` is a Mermaid diagram, `.json` OTLP spans, anything else NDJSON.

    Returns:
        How many events are left out, which NDJSON cannot write: a text in them holds half a character.

    Raises:
        StoreError: There is such a file, or it cannot be written.
    """
    data, left_out = await asyncio.to_thread(_encode, found, path.suffix)
    new_file(path)
    try:
        await asyncio.to_thread(path.write_bytes, data)
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror}.") from error
    return left_out


def _encode(found: Trace, suffix: str) -> tuple[bytes, int]:
    match suffix:
        case ".mmd":
            return mermaid(found).encode("utf-8", "replace"), 0
        case ".json":
            return otlp(found), 0
        case _:
            lines = [_line(found, number) for number in range(len(found.steps))]
            return b"".join(filter(None, lines)), lines.count(None)


def _line(found: Trace, number: int) -> bytes | None:
    try:
        return ndjson.encode(found.steps[number].delivery)
    except FormatError:
        return None
