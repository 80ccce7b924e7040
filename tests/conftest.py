"""What every test may use."""

import signal

import pytest
from hypothesis import settings

from workbench.connecting.config import Secret

pytest_plugins = ["tests.brokers.fixtures", "tests.contract.selection", "tests.hangs"]

# A deadline for each example would be a timed assertion: the machine may be busy with something else.
settings.register_profile("workbench", deadline=None)
settings.load_profile("workbench")

# What a shell starts in the background ignores Ctrl+C, and so would the programs under test.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def own_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide in a test's texts only the passwords of that test, not those of all tests before it."""
    monkeypatch.setattr(Secret, "_texts", set(Secret._texts))
