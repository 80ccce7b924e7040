"""`workbench` without a command, and `workbench demo`: the full-screen program."""

import os
import sys
import termios
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final

import click

from workbench.cli.ending import INTERRUPTED, before_the_end, end_within
from workbench.cli.exit_codes import Exit
from workbench.cli.option_values import record_path
from workbench.cli.options import cluster_option, config_option, connection_options, record_option
from workbench.cli.runner import fail, run_command
from workbench.cli.sessions import current_config, session_of
from workbench.connecting.config import Connection
from workbench.connecting.plugins import load
from workbench.session import Session

SCREEN: Final = "event_workbench.screen"
"""The entry-point group of the screen, so that no command imports it."""
SHOP: Final = (Connection.parse("rabbit=demo://shop/rabbit"), Connection.parse("kafka=demo://shop/kafka"))
"""The demo's brokers."""
_MAIN_SCREEN: Final = (
    b"\x1b[?1000l\x1b[?1003l\x1b[?1006l\x1b[?1015l\x1b[?2004l\x1b[?2048l\x1b[?1004l\x1b[<u\x1b[?1049l\x1b[?25h"
)
"""What ends all that the screen may have begun: reports of mouse, pastes, sizes, focus and keys, the other screen."""


@click.command("open", hidden=True)
@click.argument("targets", metavar="[ADDRESS|RECORDING]...", nargs=-1, type=click.UNPROCESSED)
@record_option
@cluster_option
@connection_options
def open_screen(targets: tuple[str, ...]) -> None:
    """Open the screen on addresses or on a recording."""
    sys.exit(run_screen(targets))


@click.command()
@click.argument("addresses", metavar="[ADDRESS]...", nargs=-1)
@record_option
@config_option
def demo(addresses: tuple[str, ...]) -> None:
    """Open the workbench on a simulated shop; nothing to install, nothing left behind."""
    sys.exit(run_screen(addresses, demo=True))


def run_screen(targets: Sequence[str], demo: bool = False) -> int:
    """Open the screen, and wait until its user leaves; returns the exit code.

    Args:
        targets: Addresses, or one recording.
        demo: Whether to show the demo's shop, whatever is configured.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return fail("The screen needs a terminal; `workbench --help` lists the commands for scripts.", Exit.FAILED)
    recordings = [target for target in targets if _is_recording(target)]
    if recordings and len(targets) > 1:
        return fail("Open one recording at a time, without addresses.", Exit.USAGE)
    record = record_path(click.get_current_context())
    if recordings and record is not None:
        return fail("A recording is read-only: there is nothing to record.", Exit.USAGE)

    before_the_end(_giver_back())

    async def main() -> None:
        run: Callable[..., Awaitable[None]] = load("run", SCREEN)
        session = Session(SHOP, current_config()) if demo else session_of(click.get_current_context())
        shop = demo or not (session.names or session.untrusted or recordings)
        if shop and not demo:
            session = Session(SHOP, session.config)
        async with session:
            addresses = [] if recordings else [session.address(target) for target in targets]
            await run(
                session,
                addresses=addresses,
                recording=Path(recordings[0]) if recordings else None,
                record=record,
                demo=shop,
            )
            # Whoever has left the screen, and sees the terminal again, waits for no connection and no thread.
            end_within(INTERRUPTED, Exit.DONE)

    return run_command(main)


def _giver_back() -> Callable[[], None]:
    """What gives the terminal back as it is now, from whatever the screen may have made of it."""
    settings = termios.tcgetattr(0)

    def give_back() -> None:
        os.write(1, _MAIN_SCREEN)
        termios.tcsetattr(0, termios.TCSANOW, settings)

    return give_back


def is_target(word: str) -> bool:
    """Whether a word that names no command says what the screen is to open."""
    return "/" in word or _is_recording(word)


def _is_recording(word: str) -> bool:
    return word.endswith(".db") or Path(word).is_file()
