"""Asks which messages move, where to, and how."""

from collections.abc import Callable, Iterable, Sequence

import msgspec

from views.dialogs.form import Answers, Choose, Entry, Field, Form, Switch
from workbench.model.address import Address
from workbench.model.errors import WorkbenchError
from workbench.operations.move.plan import CANARY, WATCH


class Options(msgspec.Struct, frozen=True):
    """What was answered.

    Attributes:
        scope: The number of the scope.
        target: Where to; None: each to where it came from.
        limit: At most so many; None: all.
        rate: Messages a second at most; None: as fast as it goes.
        canary: How many go at a time first; empty: all go at once.
        watch: Seconds that are waited after each such step.
        again: Whether what an earlier move has dealt with is moved again.
        force: Whether a target is used though it may drop what it confirms.
    """

    scope: int
    target: Address | None = None
    limit: int | None = None
    rate: float | None = None
    canary: tuple[int, ...] = ()
    watch: float = WATCH
    again: bool = False
    force: bool = False


def move_form(
    title: str,
    scopes: Sequence[tuple[str, str]],
    deletes: bool,
    targets: Iterable[str],
    parse: Callable[[str], Address],
) -> Form:
    """Ask; `options_of` reads the answers.

    Args:
        title: What for.
        scopes: Which messages may be meant, each with a note.
        deletes: Whether they are deleted, not moved.
        targets: The addresses that can be moved to, to complete what is typed.
        parse: Reads an address.
    """

    def wrong_target(text: str) -> str | None:
        try:
            if text.strip():
                parse(text.strip())
        except WorkbenchError as error:
            return str(error)
        return None

    fields: list[Field] = [Choose("scope", "which", scopes)]
    if not deletes:
        known = tuple(targets)
        placeholder = "where each came from; or a name, → completes"
        fields.append(Entry("target", "to", placeholder=placeholder, wrong=wrong_target, completed=lambda: known))
    fields.append(Entry("limit", "at most", placeholder="all of them", wrong=_wrong_count))
    if not deletes:
        fields += [
            Entry("rate", "per second", placeholder="as fast as it goes", wrong=_wrong_number),
            Switch("canary", f"canary: {', '.join(map(str, CANARY))} first; stops if one comes back"),
            Entry("watch", "watch, seconds", f"{WATCH:g}", wrong=_wrong_watch),
            Switch("again", "also what an earlier move has copied"),
            Switch("force", "even where the target may drop what it confirms"),
        ]
    return Form(title, fields, "plan")


def options_of(answers: Answers, parse: Callable[[str], Address]) -> Options:
    """The answers, which the form has found right."""
    limit, target, rate = (str(answers.get(id, "")).strip() for id in ("limit", "target", "rate"))
    return Options(
        scope=int(str(answers["scope"])),
        target=parse(target) if target else None,
        limit=int(limit) if limit else None,
        rate=float(rate) if rate else None,
        canary=CANARY if answers.get("canary") else (),
        watch=float(str(answers.get("watch", WATCH))),
        again=bool(answers.get("again")),
        force=bool(answers.get("force")),
    )


def _wrong_count(text: str) -> str | None:
    text = text.strip()
    right = not text or (text.isdecimal() and len(text) < 12 and int(text) > 0)
    return None if right else f"{text!r} is no number above 0."


def _wrong_number(text: str) -> str | None:
    text = text.strip()
    try:
        return None if not text or 0 < float(text) < 1e9 else f"{text!r} is no number above 0."
    except ValueError:
        return f"{text!r} is no number above 0."


def _wrong_watch(text: str) -> str | None:
    return _wrong_number(text) if text.strip() else "Say how many seconds."
