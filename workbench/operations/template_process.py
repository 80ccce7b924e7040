"""Templates filled in by a process of their own, which ends where one of them runs for ever or takes all memory.

Nothing inside a process can bound what a template does there: one operator may count for hours without giving up
Python's lock. So the process has its bounds from its operating system, and whoever waits for it only sees it end. It
goes ahead of its reader by what a pipe holds: events are made while those before them are sent.

Requests and answers are MessagePack, each behind its length in four bytes.
"""

import asyncio
import os
import signal
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import IO, TYPE_CHECKING, Any, Final, Self

import msgspec

from workbench.connecting.environment import Variables, child_environment, child_python
from workbench.model.content import Content
from workbench.model.errors import FormatError
from workbench.model.event import Event
from workbench.operations.template import Given, Template

if TYPE_CHECKING:
    from workbench.operations.renderer import Renderer

SECONDS: Final = 2.0
"""Processor time that one event may take."""
PATIENCE: Final = 30.0
"""Seconds after which an answer counts as lost, where no operating system counts processor time."""
MEMORY: Final = 1 << 30
"""Bytes that the process may take."""
_BATCH: Final = 200
"""Events of an answer at most."""
_FLUSH: Final = 0.05
"""Seconds after which an answer goes out, however few events it has."""


_NONE: Final = Variables()


class _Job(msgspec.Struct, frozen=True):
    template: Template
    values: dict[str, str]
    seed: str
    """In decimal, for it may be larger than MessagePack's numbers; empty: none."""
    count: int
    given: Given | None = None
    """The event that is edited; then it is one that is made."""
    variables: dict[str, str] = {}
    """Those of the environment that the template may read."""
    any_variable: bool = False
    """Whether one that is not among them is not set, rather than forbidden."""


class _Filled(msgspec.Struct, frozen=True, array_like=True):
    """What was made of one event's texts."""

    key: bytes | None
    body: bytes | None
    headers: tuple[tuple[str, Any], ...]
    properties: Mapping[str, Any]


class TemplateProcess:
    """Fills in templates, in a process that is started when it is first needed and ends with this context."""

    def __init__(self, variables: Variables = _NONE) -> None:
        """Prepare; nothing is started.

        Args:
            variables: What templates may read of the environment.
        """
        self.variables = variables
        """What templates may read of the environment."""
        self._idle: _Child | None = None
        self._working: set[_Child] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    async def close(self) -> None:
        """End the process; it is started again where it is needed again."""
        children = [*self._working, *filter(None, [self._idle])]
        self._working.clear()
        self._idle = None
        for child in children:
            await child.end()

    async def fill(
        self, template: Template, values: Mapping[str, str], count: int, seed: int | None = None
    ) -> AsyncGenerator[Sequence[Event], None]:
        """The events number 0 to `count` - 1 of a template.

        Args:
            template: What to fill in.
            values: Take the place of those in the template's `set`.
            count: How many.
            seed: Makes the random pickers repeat themselves; None: they do not.

        Raises:
            FormatError: A text is none that Jinja2 can read or cannot be filled in, or one event takes longer than
                `SECONDS` or more than `MEMORY`. Events before it were handed over, but for those of the last moment.
        """
        job = _encode(self._job(template, values, seed, count))
        child, self._idle = self._idle or await _Child.start(), None
        self._working.add(child)
        done = False
        try:
            child.ask(job)
            while count > 0:
                answer = _ANSWER.decode(await child.answer())
                if isinstance(answer, str):
                    done = True
                    raise FormatError(answer)
                count -= len(answer)
                done = count <= 0
                yield [_event_of(each, template) for each in answer]
        finally:
            await self._put_back(child, done)

    async def fill_in_for(
        self, template: Template, values: Mapping[str, str], given: Given, seed: int | None = None
    ) -> Event:
        """What a template makes of one event: the texts that the template has, filled in.

        Args:
            template: What to fill in.
            values: Take the place of those in the template's `set`.
            given: What it may use of the event.
            seed: As in `fill`.

        Raises:
            FormatError: As `fill` does.
        """
        job = _encode(self._job(template, values, seed, 1, given))
        child, self._idle = self._idle or await _Child.start(), None
        self._working.add(child)
        done = False
        try:
            child.ask(job)
            answer = _ANSWER.decode(await child.answer())
            done = True
            if isinstance(answer, str):
                raise FormatError(answer)
            return _event_of(answer[0], template)
        finally:
            await self._put_back(child, done)

    def _job(
        self, template: Template, values: Mapping[str, str], seed: int | None, count: int, given: Given | None = None
    ) -> _Job:
        written = "" if seed is None else str(seed)
        return _Job(template, dict(values), written, count, given, self.variables.values, self.variables.any)

    async def _put_back(self, child: "_Child", done: bool) -> None:
        """Keep a process for what comes next; end one that is not done."""
        closed = child not in self._working
        self._working.discard(child)
        if done and not closed and self._idle is None:
            self._idle = child
        else:
            await child.end()


def _event_of(filled: _Filled, template: Template) -> Event:
    written = Content(filled.headers, filled.properties)
    return Event(filled.key, filled.body, written=written, timestamp=template.timestamp)


_ANSWER: Final = msgspec.msgpack.Decoder(list[_Filled] | str)


class _Child:
    """The process, as the one that waits for it knows it."""

    def __init__(self, process: Process) -> None:
        assert process.stdin is not None and process.stdout is not None
        self._process: Final = process
        self._requests: Final = process.stdin
        self._answers: Final = process.stdout
        self._reading: Final = asyncio.Lock()

    @classmethod
    async def start(cls) -> Self:
        """Start it, and wait until it is ready: what it imports is no template's fault.

        Raises:
            FormatError: It does not start.
        """
        # Its own session: the terminal sends Ctrl+C to all that share one.
        refusal = "Templates cannot be filled in: the process that does it does not start"
        try:
            process = await asyncio.create_subprocess_exec(
                *child_python(__name__),
                stdin=PIPE,
                stdout=PIPE,
                stderr=DEVNULL,
                start_new_session=True,
                env=child_environment(),
            )
        except OSError as error:
            raise FormatError(f"{refusal}: {error.strerror}.") from None
        child = cls(process)
        try:
            await child._read()
        except asyncio.IncompleteReadError:
            await child.end()
            raise FormatError(f"{refusal}.") from None
        except asyncio.CancelledError:
            await child.end()
            raise
        return child

    def ask(self, job: bytes) -> None:
        """Give it something to do."""
        self._requests.write(_frame(job))

    async def answer(self) -> bytes:
        """What it answers next.

        Raises:
            FormatError: It has died, or takes too long.
        """
        try:
            async with asyncio.timeout(PATIENCE):
                return await self._read()
        except TimeoutError:
            raise FormatError(_ENDLESS) from None
        except (asyncio.IncompleteReadError, ConnectionError):
            code = await self._process.wait()
            if code == -getattr(signal, "SIGPROF", 0):
                raise FormatError(_ENDLESS) from None
            raise FormatError(f"The process that fills in the template died, with exit code {code}.") from None

    async def end(self) -> None:
        """End it, whatever it is doing."""
        with suppress(ProcessLookupError):
            self._process.kill()
        self._requests.close()
        # To asyncio it has not ended while something that it wrote is unread.
        async with self._reading:
            while await self._answers.read(_UNREAD):
                pass
        await self._process.wait()

    async def _read(self) -> bytes:
        async with self._reading:
            size = int.from_bytes(await self._answers.readexactly(4), "big")
            return await self._answers.readexactly(size)


_ENDLESS: Final = f"The template is not done with one event after {SECONDS:g} seconds: does it loop without end?"
_UNREAD: Final = 1 << 16
_JOB: Final = msgspec.msgpack.Decoder(_Job)


def _encode(job: _Job) -> bytes:
    try:
        return msgspec.msgpack.encode(job)
    except OverflowError:
        what = "template" if job.given is None else "event"
        raise FormatError(f"The {what} has a number of more than 64 bits.") from None
    except UnicodeEncodeError:
        what = "template" if job.given is None else "event"
        raise FormatError(f"The {what} has half a character, which is no text.") from None


def _frame(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


# In the process that fills in.


def serve() -> None:
    """Answer requests on standard input until it ends."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    _bound_memory()
    with suppress(BrokenPipeError):
        _write(answers, b"")
        while head := requests.read(4):
            job = _JOB.decode(requests.read(int.from_bytes(head, "big")))
            for answer in _answers(job):
                _write(answers, answer)


def _answers(job: _Job) -> Iterator[bytes]:
    """A list of what was filled in at a time, and at last, where it goes wrong, the sentence that says why."""
    number = 0
    renderer: Renderer | None = None
    while number < job.count:
        made: list[msgspec.Raw] = []
        failed = ""
        flush = time.monotonic() + _FLUSH
        try:
            while number < job.count and len(made) < _BATCH and time.monotonic() < flush:
                _bound_time(SECONDS)
                if job.given is not None:
                    event = _renderer_of(_encode(msgspec.structs.replace(job, given=None))).event_of(job.given)
                else:
                    renderer = renderer or _new_renderer(job)
                    event = renderer.event(number)
                filled = _Filled(event.key, event.body, event.written.headers, event.written.properties)
                made.append(msgspec.Raw(msgspec.msgpack.encode(filled)))
                number += 1
        except FormatError as error:
            failed = str(error)
        except UnicodeEncodeError:
            failed = "The template makes half a character, which is no text."
        except MemoryError:
            failed = "The template takes too much memory."
        finally:
            _bound_time(0)
        if made:
            yield msgspec.msgpack.encode(made)
        if failed:
            yield msgspec.msgpack.encode(failed)
            return


def _new_renderer(job: _Job) -> "Renderer":
    # Imported in this process only: whoever publishes does not wait for Jinja2.
    from workbench.operations.renderer import Environment, Renderer

    seed = int(job.seed) if job.seed else None
    return Renderer(job.template, job.values, seed, Environment(job.variables, job.any_variable))


@lru_cache(1)
def _renderer_of(job: bytes) -> "Renderer":
    """What fills in the template of an edit, made once for all its events."""
    return _new_renderer(_JOB.decode(job))


def _write(answers: IO[bytes], data: bytes) -> None:
    answers.write(_frame(data))
    answers.flush()


def _bound_time(seconds: float) -> None:
    """End this process after so much processor time; 0: never."""
    # Unhandled, so that it ends where Python's own handlers have no turn: within one operator.
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_PROF, seconds)


def _bound_memory() -> None:
    try:
        import resource
    except ImportError:
        return
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
