"""How a command runs on its event loop."""

import asyncio
import signal
import sys

import pytest

from workbench.cli.runner import run_command


def test_a_signal_while_the_event_loop_has_much_to_do_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    complaints: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: complaints.append(unraisable.exc_value))
    before = signal.signal(signal.SIGWINCH, lambda *_: None)

    async def main() -> None:
        # As many as fill the pipe by which the loop is woken.
        for _ in range(10_000):
            asyncio.get_running_loop().call_soon_threadsafe(lambda: None)
        signal.raise_signal(signal.SIGWINCH)

    try:
        run_command(main)
    finally:
        signal.signal(signal.SIGWINCH, before)
    assert complaints == []
