"""What every test may use."""

import itertools
import signal
from pathlib import Path
from typing import Final

import pytest
from hypothesis import settings

from workbench.connecting.config import Secret
from workbench.connecting.config_sources import own_path

pytest_plugins = ["tests.brokers.fixtures", "tests.contract.selection", "tests.hangs"]

# A deadline for each example would be a timed assertion: the machine may be busy with something else.
settings.register_profile("workbench", deadline=None)
settings.load_profile("workbench")


def pytest_make_parametrize_id(val: object) -> str | None:
    """Workers have to agree on the names of tests: bytes that are packed may hold the time at which they were."""
    return f"{len(val)} bytes" if isinstance(val, bytes) and not val.isascii() else None


# What a shell starts in the background ignores Ctrl+C, and so would the programs under test.
signal.signal(signal.SIGINT, signal.default_int_handler)
# What `nohup` starts ignores the end of its terminal.
signal.signal(signal.SIGHUP, signal.SIG_DFL)

_NUMBERS: Final = itertools.count()


@pytest.fixture(scope="session")
def all_folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where each test has its folders."""
    return tmp_path_factory.mktemp("folders")


@pytest.fixture(autouse=True)
def own_folders(all_folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep a test, and all programs that it starts, out of the folders of whoever runs it: what they configure does not
    matter to it, and it leaves no draft among theirs. The home folder stays, for brokers are installed below it."""
    folder = all_folders / str(next(_NUMBERS))
    for kind in ("CONFIG", "STATE", "DATA", "CACHE"):
        monkeypatch.setenv(f"XDG_{kind}_HOME", str(folder / kind.lower()))


@pytest.fixture
def own_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The configuration file of a user who has nothing configured yet, and works in an empty folder."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return own_path()


@pytest.fixture(autouse=True)
def own_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide in a test's texts only the passwords of that test, not those of all tests before it."""
    monkeypatch.setattr(Secret, "_texts", set(Secret._texts))
