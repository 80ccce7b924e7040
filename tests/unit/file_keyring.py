"""A keyring in a file, which is found by a variable."""

import json
import os
from pathlib import Path
from typing import Final

from keyring.backend import KeyringBackend

VARIABLE: Final = "TESTS_KEYRING"
"""Names the file."""
TELLS: Final = "tells"
"""An entry whose password is whether who asks could open a terminal of the program's."""


class FileKeyring(KeyringBackend):
    """Entries as JSON."""

    priority = 1

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    @property
    def file(self) -> Path:
        """Where they are."""
        return Path(os.environ[VARIABLE])

    def get_password(self, service: str, username: str) -> str | None:
        """The password of an entry."""
        found = self._entries().get(f"{service} {username}")
        if found == TELLS:
            return "no terminal" if os.getsid(0) == os.getpid() else "the terminal"
        return None if found is None else str(found)

    def set_password(self, service: str, username: str, password: str) -> None:
        """Put one there."""
        self.file.write_text(json.dumps({**self._entries(), f"{service} {username}": password}))

    def _entries(self) -> dict[str, str]:
        entries: dict[str, str] = json.loads(self.file.read_text()) if self.file.exists() else {}
        return entries
