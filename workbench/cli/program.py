"""The program around the commands: its standard streams, and where errors end that no command has dealt with.

Nothing that Python would print by itself reaches the terminal: tracebacks, also those of threads, of tasks and at exit,
go into the log, warnings nowhere. What only an error needs is imported where there is one: `--version` and `--help` are
to be there at once.
"""

import os
import sys
import threading
import warnings
from contextlib import suppress
from typing import Any, Final

import click

from workbench.cli.exit_codes import Exit
from workbench.cli.main import workbench
from workbench.connecting.open_files import allow_all

COMPLETE: Final = "_WORKBENCH_COMPLETE"
"""The environment variable with which a shell asks for completions."""


def run() -> int:
    """Run the command line; returns the exit code."""
    _hold_standard_streams()
    _quieten()
    allow_all()
    arguments = sys.argv[1:]
    if instruction := os.environ.get(COMPLETE):
        return _complete(arguments, instruction)
    try:
        try:
            code = _run(arguments)
        except SystemExit as error:
            # `sys.exit` of a command; whatever is no number was a sentence.
            code = error.code if isinstance(error.code, int) else Exit.DONE if error.code is None else Exit.FAILED
        sys.stdout.flush()
    except BaseException as error:
        from workbench.cli.runner import report_error

        code = report_error(error)
    # What is still there could not be written, and Python would try again.
    with suppress(OSError, ValueError):
        sys.stderr.flush()
    return code


def _run(arguments: list[str]) -> int:
    try:
        with workbench.make_context("workbench", arguments) as context:
            workbench.invoke(context)
    except click.exceptions.Exit as error:
        return error.exit_code
    return Exit.DONE


def _complete(arguments: list[str], instruction: str) -> int:
    """Answer a shell; whatever goes wrong, nothing is said, for it would stand in the line being written."""
    from click.shell_completion import shell_complete

    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    try:
        code = shell_complete(workbench, {}, "workbench", COMPLETE, instruction)
        sys.stdout.flush()
    except BaseException:
        from workbench.cli.runner import give_up_stdout

        give_up_stdout()
        return Exit.DONE
    return code


def _hold_standard_streams() -> None:
    """Where a standard stream is closed, put something in its place on which every use fails.

    Otherwise the next file or connection would be opened as stdout, and be written to.
    """
    # Read-only or write-only the wrong way round; no two of them are the same file.
    for descriptor, instead, flags, name, mode in (
        (0, os.devnull, os.O_WRONLY, "stdin", "r"),
        (1, "/dev/zero", os.O_RDONLY, "stdout", "w"),
        (2, os.devnull, os.O_WRONLY, "stderr", "w"),
    ):
        try:
            os.fstat(descriptor)
        except OSError:
            opened = os.open(instead, flags)
            if opened != descriptor:
                os.dup2(opened, descriptor)
                os.close(opened)
        if getattr(sys, name) is None:
            stream = open(descriptor, mode, encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
            setattr(sys, name, stream)


def _quieten() -> None:
    if not sys.warnoptions:
        warnings.simplefilter("ignore")

    def log_unraisable(raised: Any) -> None:
        if raised.exc_value is not None:
            _log(raised.exc_value, raised.err_msg or "Where nothing can be raised")

    def in_thread(raised: Any) -> None:
        if raised.exc_value is not None:
            _log(raised.exc_value, f"Thread {raised.thread.name if raised.thread else ''}")

    sys.unraisablehook = log_unraisable
    threading.excepthook = in_thread
    sys.excepthook = lambda kind, error, trace: _log(error, "At the end of the program")


def _log(error: BaseException, what: str) -> None:
    from workbench.connecting.error_log import log_error

    log_error(error, what)
