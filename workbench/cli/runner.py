"""How a command runs: one event loop, errors as one sentence, exit codes."""

import asyncio
import errno
import functools
import gc
import io
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import IO, Any, Concatenate, Final, ParamSpec, TypeVar

import click

from workbench.cli.ending import end_on_signals
from workbench.cli.exit_codes import Exit
from workbench.cli.options import connection_options
from workbench.cli.sessions import session_of
from workbench.cli.stdio import drain_all, hide_passwords, say, why_ended, write
from workbench.connecting.config_file import ConfigFile
from workbench.connecting.error_log import log_error, log_unexpected
from workbench.connecting.guard import Guarded
from workbench.connecting.spool import describe_leftover, find_leftovers
from workbench.model.address import is_text
from workbench.model.errors import AddressError, ConfigError, QueryError, WorkbenchError
from workbench.model.look import Gap
from workbench.session import Session

P = ParamSpec("P")
Item = TypeVar("Item")


STARTING: Final = 2.0
"""Seconds after which a command has started, and looks for cycles among what it makes from then on."""
_GRACE: Final = 1.0
"""Seconds in which the reader of a command that was stopped may take what was printed."""


def with_session(
    command: Callable[Concatenate[Session, P], Awaitable[int | None]],
) -> Callable[P, None]:
    """Make a click command of a coroutine: it is given a session, and what it returns is the exit code."""

    @connection_options
    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        context = click.get_current_context()
        check_text(context)

        async def main() -> int | None:
            async with session_of(context) as session:
                warn_of(session.config)
                return await command(session, *args, **kwargs)

        _tell_left_behind()
        sys.exit(run_command(main))

    return run


def warn_of(config: ConfigFile) -> None:
    """Tell on stderr what a user must know of a file in the working directory."""
    if config.warning:
        say(f"workbench: {config.warning}")


def check_text(context: click.Context) -> None:
    """Refuse what is not UTF-8 where text is asked for: everywhere but in the names of files and in events' bytes.

    Raises:
        click.ClickException: An argument of the command is no text.
    """
    for parameter in context.command.params:
        if isinstance(parameter.type, click.types.StringParamType):
            given = context.params.get(parameter.name or "")
            for value in given if isinstance(given, tuple) else (given,):
                if isinstance(value, str) and not is_text(value):
                    # An option as it was written, and not as its variable is called.
                    named = isinstance(parameter, click.Option)
                    raise NotText(parameter.opts[0] if named else parameter.human_readable_name)


class NotText(click.ClickException):
    """An argument whose bytes are not UTF-8."""

    exit_code = Exit.USAGE

    def __init__(self, name: str) -> None:
        # The argument itself is not said: it may hold a password.
        super().__init__(f"{name} is not UTF-8.")

    def show(self, file: IO[Any] | None = None) -> None:
        """Say it as all is said that is wrong."""
        fail(self.message, Exit.USAGE)


def _tell_left_behind() -> None:
    for path in find_leftovers():
        say(f"workbench: {describe_leftover(path)}")


def run_command(main: Callable[[], Awaitable[int | None]]) -> int:
    """Run to the end on an event loop; returns the exit code, with what went wrong said on stderr."""
    # Without a handler Python prints what drivers log.
    logging.getLogger().addHandler(logging.NullHandler())

    async def await_result() -> int | None:
        if (task := asyncio.current_task()) is not None:
            end_on_signals(task.cancel)
            # Where a thousand keys wait to be read, Python would tell of each change of the terminal's size that the
            # event loop is not woken once more; it is awake.
            signal.set_wakeup_fd(signal.set_wakeup_fd(-1), warn_on_full_buffer=False)
        asyncio.get_running_loop().set_exception_handler(_log)
        asyncio.get_running_loop().call_later(STARTING, _collect)
        try:
            code = await main()
        except BaseException as error:
            # Whoever reads the output may stand still for ever, or have gone: neither hides what went wrong.
            with suppress(OSError):
                await drain_all(_GRACE if isinstance(error, asyncio.CancelledError) else None)
            if isinstance(error, asyncio.CancelledError) and (reason := why_ended()) is not None:
                raise reason from None
            raise
        try:
            await drain_all(None)
        except BrokenPipeError:
            give_up_stdout()
        return code

    interrupt = signal.getsignal(signal.SIGINT) or signal.SIG_DFL
    try:
        return asyncio.run(await_result()) or Exit.DONE
    except BaseException as error:
        return report_error(error)
    finally:
        signal.signal(signal.SIGINT, interrupt)


def _collect() -> None:
    gc.freeze()
    gc.enable()


def _log(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """What nobody waits for any more, and asyncio would print."""
    log_error(context.get("exception") or RuntimeError(context["message"]), str(context["message"]))


def report_error(error: BaseException) -> Exit:
    """Say on stderr why a command ended, whatever it was; returns the exit code."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    match error:
        case ConfigError() | AddressError() | QueryError():
            return fail(str(error), Exit.USAGE)
        case WorkbenchError():
            return fail(str(error), Exit.FAILED)
        case click.ClickException():
            told = io.StringIO()
            error.show(told)
            with suppress(OSError):
                write(hide_passwords(told.getvalue()).encode(errors="backslashreplace"), sys.stderr)
            return Exit(error.exit_code)
        case KeyboardInterrupt() | asyncio.CancelledError() | click.Abort():
            return Exit.STOPPED
        case BrokenPipeError():
            # As with other tools: whoever reads the output has seen enough.
            give_up_stdout()
            return Exit.DONE
        case OSError(errno=errno.EBADF):
            give_up_stdout()
            return fail("Standard input or output is closed.", Exit.FAILED)
        case OSError():
            give_up_stdout()
            where = f"{_name_of(error.filename)}: " if error.filename else "Reading or writing failed: "
            return fail(f"{where}{error.strerror or error}.", Exit.FAILED)
    return fail(log_unexpected(error, "The command"), Exit.FAILED)


def give_up_stdout() -> None:
    """Give up what stdout did not take: Python would complain again when it flushes at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _name_of(filename: object) -> str:
    return os.fsdecode(filename) if isinstance(filename, str | bytes) else str(filename)


async def ask_connections(
    session: Session, names: Sequence[str], question: Callable[[Guarded], Awaitable[Item]]
) -> tuple[dict[str, Item], Exit]:
    """What connections answer, and the exit code; what is wrong with the others is said on stderr.

    Raises:
        WorkbenchError: Only one is asked, and something is wrong with it.
    """
    answers: dict[str, Item] = {}
    code = Exit.DONE
    for name, answer in (await session.ask(names, question)).items():
        if not isinstance(answer, WorkbenchError):
            answers[name] = answer
        elif len(names) == 1:
            raise answer
        else:
            code = fail(str(answer) if name in str(answer) else f"{name}: {answer}", Exit.PARTLY)
    return answers, code if answers else Exit.FAILED


def report_gaps(name: str, gaps: Sequence[Gap]) -> Exit:
    """Say on stderr what a listing lacks; returns the exit code."""
    for gap in gaps:
        fail(f"{name}: {gap.what} cannot be listed: {gap.reason}", Exit.PARTLY)
    return Exit.PARTLY if gaps else Exit.DONE


def fail(sentence: str, code: Exit) -> Exit:
    """Tell the user on stderr what is wrong, in one line of visible characters; returns `code`."""
    say(f"workbench: {sentence}")
    return code
