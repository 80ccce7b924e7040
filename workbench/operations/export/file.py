"""Writing a trace into a file, in the format that its name asks for."""

import asyncio
from pathlib import Path

from workbench.decode import ndjson
from workbench.model.errors import FormatError, StoreError
from workbench.operations.export.mermaid import mermaid
from workbench.operations.export.otlp import otlp
from workbench.operations.trace.forest import Trace
from workbench.store.session_file import new_file


async def write_trace(found: Trace, path: Path) -> None:
    """Write a trace to a new file: `.mmd` is a Mermaid diagram, `.json` OTLP spans, anything else NDJSON.

    Raises:
        StoreError: There is such a file, or it cannot be written.
    """
    match path.suffix:
        case ".mmd":
            data = mermaid(found).encode("utf-8", "replace")
        case ".json":
            data = otlp(found)
        case _:
            data = b"".join(filter(None, (_line(found, number) for number in range(len(found.steps)))))
    new_file(path)
    try:
        await asyncio.to_thread(path.write_bytes, data)
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror}.") from error


def _line(found: Trace, number: int) -> bytes | None:
    try:
        return ndjson.encode(found.steps[number].delivery)
    except FormatError:
        return None
