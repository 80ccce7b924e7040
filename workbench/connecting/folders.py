"""Where the user's own files are: what is configured, and what is kept. Never in a folder that others share."""

import os
import sys
from pathlib import Path
from typing import Final

_NAME: Final = "event-workbench"


def config_path(name: str) -> Path:
    """A file or folder of what the user has settled, which may not be there."""
    return _xdg_folder("XDG_CONFIG_HOME", ".config") / name


def state_path(name: str) -> Path:
    """A file or folder of what is kept from one run to the next, which may not be there."""
    return _xdg_folder("XDG_STATE_HOME", ".local/state") / name


def _xdg_folder(variable: str, usual: str) -> Path:
    # Importing platformdirs takes a short command more time than its broker does: it brings archives and random numbers
    # along. It would give the same; a test compares.
    if sys.platform == "linux":
        given, home = Path(os.environ.get(variable, "")), Path(os.environ.get("HOME", ""))
        if given.is_absolute():
            return given / _NAME
        if home.is_absolute():
            return home / usual / _NAME
    import platformdirs

    folders = platformdirs.PlatformDirs(_NAME)
    return folders.user_config_path if variable == "XDG_CONFIG_HOME" else folders.user_state_path
