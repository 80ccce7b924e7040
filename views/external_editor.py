"""The terminal lent to the user's own editor or pager, while all else goes on: taps, looks, what is published."""

from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from functools import partial
from io import StringIO

from textual.app import App, SuspendNotSupported

from workbench.model.errors import ConfigError
from workbench.operations.edit.external_program import Program, edit_in_program, run_in_front


async def edit_externally(app: App[None], body: bytes, program: Program) -> bytes:
    """What a user makes of a body in a program.

    Until that program ends, the terminal is its own: the app reads no key and draws nothing. The event loop goes on, so
    that no heartbeat is missed and nothing that arrives is lost.

    Args:
        app: Whose terminal is lent.
        body: What is in the file that the program is given.
        program: Which.

    Raises:
        ConfigError: The program cannot be started, what it left cannot be read, or this terminal cannot be lent.
        StoreError: There is no place for the file.
    """
    return await edit_in_program(program, body, partial(_lend_terminal, app))


async def _lend_terminal(app: App[None], command: Sequence[str]) -> None:
    failed: Exception | None = None
    # Textual comes back only if nothing is raised within. Until it has, whatever draws or prints would write into the
    # other program's picture.
    try:
        with app.batch_update(), app.suspend(), redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            try:
                await run_in_front(command)
            except (OSError, ValueError) as error:
                failed = error
    except SuspendNotSupported:
        raise ConfigError("This terminal cannot be handed to another program.") from None
    app.refresh(layout=True)
    if failed is not None:
        raise failed
