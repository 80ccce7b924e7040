"""`workbench expect`: the assertion for a CI job."""

import asyncio
import os
import re
import shlex
import signal
import sys
import uuid
from collections.abc import Awaitable, Callable
from contextlib import suppress

import click

from workbench.cli.browse import addresses_argument, tell
from workbench.cli.event_output import EventOutput, EventPrinter, event_output_option
from workbench.cli.exit_codes import Exit
from workbench.cli.runner import fail, with_session
from workbench.cli.stdio import say
from workbench.connecting.environment import child_environment
from workbench.decode.display import visible
from workbench.operations import expect as expecting
from workbench.session import Session

CORRELATION = "WORKBENCH_CORRELATION"
"""The environment variable in which the command finds a fresh id."""

_COMMAND = "workbench.command"
_GRACE = 2.0
"""Seconds that a command has to end in good order."""
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "": 1.0}


class _DurationType(click.ParamType[float]):
    name = "DURATION"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if match := re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h|)", str(value)):
            return float(match[1]) * _UNITS[match[2]]
        self.fail(f"{value!r} is not a duration: write 30s, 500ms or 2m.", param, ctx)


class _WithCommand(click.Command):
    """Keeps what stands behind `--` apart, where click would take it for more addresses."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if "--" in args:
            at = args.index("--")
            ctx.meta[_COMMAND] = args[at + 1 :]
            args = args[:at]
        return super().parse_args(ctx, args)


@click.command(cls=_WithCommand)
@addresses_argument
@click.option(
    "-w", "--where", metavar="QUERY", required=True, help=f"What to wait for; ${CORRELATION} may stand in it."
)
@click.option(
    "--count", type=click.IntRange(1), default=1, show_default=True, help="Number of matching events to wait for."
)
@click.option("--none", "unwanted", is_flag=True, help="Fail if a matching event arrives before the timeout.")
@click.option("--timeout", "seconds", type=_DurationType(), default="30s", show_default=True, help="How long to wait.")
@event_output_option
@with_session
async def expect(
    session: Session,
    addresses: tuple[str, ...],
    where: str,
    count: int,
    unwanted: bool,
    seconds: float,
    output: EventOutput,
) -> int:
    """Subscribe to the addresses, run the COMMAND after -- if there is one, and wait for matching events.

    workbench expect rabbit/orders kafka/payments -w 'correlation = $WORKBENCH_CORRELATION' -- ./place-order.sh

    The command gets a fresh id in WORKBENCH_CORRELATION. Exit codes: 0 all expected events arrived; 4 they did not;
    1 the command or a connection failed, or an event arrived despite --none; 3 they may have arrived where they could
    not be read. Events that arrived but did not match are printed on stderr.
    """
    command: tuple[str, ...] = tuple(click.get_current_context().meta.get(_COMMAND, ()))
    correlation = str(uuid.uuid4())
    query = session.query(where.replace(f"${{{CORRELATION}}}", correlation).replace(f"${CORRELATION}", correlation))
    streams = {address: session.tail(address) for address in map(session.address, addresses)}
    run = _running(command, correlation) if command else None
    found = await expecting.expect(streams, query, count, seconds, run)
    await EventPrinter(output, session.reading, streams).write([session.reading.mask(match) for match in found.matches])
    tell(found.coverage)
    for address, error in found.errors.items():
        fail(f"{address}: {error}", Exit.FAILED)
    if command and found.exit_code != 0:
        ended = "was still running" if found.exit_code is None else f"ended with exit code {found.exit_code}"
        return fail(f"the command {visible(shlex.join(command), 60)} {ended}.", Exit.FAILED)
    if found.errors:
        return Exit.FAILED
    complete = all(covered.complete for covered in found.coverage.values())
    if unwanted:
        if found.matches:
            return fail("an event arrived that should not have.", Exit.FAILED)
        return Exit.DONE if complete else fail("none arrived, but not everything could be read.", Exit.PARTLY)
    if len(found.matches) == count:
        return Exit.DONE
    came = f"{len(found.matches)} of {count} came within {seconds:g} s"
    say(f"{came}; {found.arrived - len(found.matches)} others did:")
    printer = EventPrinter(EventOutput("table", output.columns), session.reading, streams, sys.stderr)
    await printer.write([session.reading.mask(other) for other in found.others])
    return fail(f"{came}.", Exit.NOT_FOUND if complete else Exit.PARTLY)


def _running(command: tuple[str, ...], correlation: str) -> Callable[[], Awaitable[int]]:
    async def run() -> int:
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                env={**child_environment(), CORRELATION: correlation},
                # In a group of its own, so that what it has started ends with it.
                start_new_session=True,
            )
        except OSError as error:
            fail(f"{command[0]!r} cannot be run: {error.strerror}.", Exit.FAILED)
            return 127
        try:
            return await process.wait()
        finally:
            for how in (signal.SIGTERM, signal.SIGKILL):
                if process.returncode is None:
                    with suppress(ProcessLookupError):
                        os.killpg(process.pid, how)
                    with suppress(TimeoutError):
                        await asyncio.wait_for(process.wait(), _GRACE)

    return run
