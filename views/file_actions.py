"""What leaves the program into a file: recordings and exports."""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

from views.questions import Questions
from views.widgets.progress_row import Progress
from workbench.model.errors import WorkbenchError
from workbench.model.wording import quantity
from workbench.store.store import Store


class FileActions(Questions):
    """Asks for a file, and writes it while the program goes on."""

    def __init__(self, theme: str | None) -> None:
        """Begin in a theme; nothing is exported yet."""
        super().__init__(theme)
        self._exported: Progress | None = None
        self._stopped = asyncio.Event()

    @property
    def progress(self) -> Progress | None:
        """How far an export is; None: nothing is exported."""
        return self._exported

    def record(self) -> None:
        """Ask where to record this session."""
        self.ask(
            "Record this session",
            "The file to write: all that was read so far, and all that will be.",
            self._record,
            "session.db",
        )

    def _record(self, name: str) -> None:
        if (store := self.context.store) is not None:
            self.run_worker(self._record_into(store, Path(name).expanduser()), group="act")

    async def _record_into(self, store: Store, path: Path) -> None:
        try:
            await store.record(path)
        except WorkbenchError as error:
            self.say(str(error), "error")
        else:
            unmasked = " Nothing is masked in the file itself." if self.context.session.config.masks else ""
            self.say(f"This session is recorded to {path}, from its beginning.{unmasked}")

    def export(self, sequences: Sequence[int], which: str) -> None:
        """Ask for a file and write events into it."""
        if self._exported is not None:
            self.say("Another export is running: one is written at a time.", "warning")
            return

        def export_to(name: str) -> None:
            self.run_worker(self._export(sequences, Path(name).expanduser()), group="act")

        self.ask(
            f"Export {quantity(len(sequences), f'{which} event')}",
            "The file to write, one line per event, as `workbench publish --file` reads it.",
            export_to,
            "events.ndjson",
        )

    async def _export(self, sequences: Sequence[int], path: Path) -> None:
        from views.export import export

        written = left_out = 0
        begun = time.monotonic()
        self._stopped = stopped = asyncio.Event()
        self._show_exported(0, len(sequences), 0.0)
        try:
            async for done in export(self.context.archive, sequences, path, stopped):
                written, left_out = done
                self._show_exported(written + left_out, len(sequences), time.monotonic() - begun)
        except WorkbenchError as error:
            self.say(str(error), "error")
        else:
            but = (
                f"; {left_out:,} left out: damaged, no longer held, or with headers that JSON cannot express"
                if left_out
                else ""
            )
            if written + left_out < len(sequences):
                but += f"; stopped before the other {len(sequences) - written - left_out:,}"
            self.say(f"{quantity(written, 'event')} written to {path}{but}.", "warning" if but else "information")
        finally:
            self._exported = None
            self.show_progress()

    def stop(self) -> None:
        """End the export that is running; its file holds what was written so far."""
        self._stopped.set()

    def _show_exported(self, done: int, total: int, took: float) -> None:
        stop = f"{self.base_screen.key_of('stop')} stops" if self.base_screen is not None else ""
        self._exported = Progress(done, total, took, what="events exported", stop=stop)
        self.show_progress()

    def show_progress(self) -> None:
        """Draw how far what runs is."""
        if self.is_running and (screen := self.base_screen) is not None:
            screen.call_later(screen.show_message)
