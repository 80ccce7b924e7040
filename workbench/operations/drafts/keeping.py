"""Keeping drafts over a restart."""

from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from workbench.connecting.folders import state_path
from workbench.connecting.plain_files import content_of
from workbench.connecting.state_files import write_private
from workbench.decode import ndjson
from workbench.model.errors import FormatError, StoreError
from workbench.operations.drafts.model import Draft

KEPT: Final = 4 * 1024 * 1024
"""The largest draft that is kept, in bytes."""
DRAFTS: Final = 50
"""How many drafts are kept."""


def drafts_folder() -> Path:
    """Where drafts are kept: the platform's state folder, never one that others share."""
    return state_path("drafts")


def keep(draft: Draft, folder: Path | None = None) -> None:
    """Keep a draft as the one left last, in a file that only this user may read; the oldest go.

    Raises:
        StoreError: It cannot be written, or is larger than `KEPT`; what was kept before is untouched.
    """
    folder = folder or drafts_folder()
    written = msgspec.json.encode(draft)
    if len(written) > KEPT:
        raise StoreError(f"This draft has {len(written):,} bytes: it is not kept when the program ends.")
    try:
        write_private(folder / f"{draft.id}.json", written)
        for path in _newest_first(folder)[DRAFTS:]:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(f"No draft can be kept in {folder}: {error.strerror}.") from error


def load_drafts(folder: Path | None = None) -> tuple[list[Draft], list[str]]:
    """The drafts that are kept, the one left last first; and a sentence for each file that had to be set aside."""
    folder = folder or drafts_folder()
    drafts, sentences = [], []
    for path in _newest_first(folder):
        try:
            drafts.append(_read(content_of(path), path.stem))
        except FileNotFoundError:
            continue
        except (OSError, msgspec.MsgspecError, ValueError, FormatError) as error:
            aside = path.with_suffix(".damaged")
            with suppress(OSError):
                path.replace(aside)
            reason = error.strerror if isinstance(error, OSError) else str(error).rstrip(".")
            sentences.append(f"A draft could not be read and lies in {aside} now: {reason}.")
    return drafts, sentences


def _read(written: bytes, id: str) -> Draft:
    draft = msgspec.json.decode(written, type=Draft)
    if draft.original:
        ndjson.decode(draft.original.encode())
    # The file's name counts: whatever it says inside must not lead to another file.
    return msgspec.structs.replace(draft, id=id)


def _newest_first(folder: Path) -> list[Path]:
    times = {}
    for path in folder.glob("*.json"):
        with suppress(OSError):
            times[path] = path.stat().st_mtime_ns
    return sorted(times, key=lambda path: times[path], reverse=True)


def belongs_to(draft: Draft, identities: Collection[str]) -> bool:
    """Whether a draft is one of a session: all connections that it was written with are the session's.

    Of a draft by an earlier version only the name of its target's connection is known.

    Args:
        draft: Which.
        identities: The session's connections, by `Connection.identity`.
    """
    if draft.connections:
        return set(draft.connections) <= set(identities)
    names = {identity.partition("=")[0] for identity in identities}
    return not draft.target or "/" not in draft.target or draft.target.partition("/")[0] in names
