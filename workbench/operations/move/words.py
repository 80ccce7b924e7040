"""A plan in words, the same on the command line and on the screen."""

from collections.abc import Iterator
from typing import Final

import msgspec

from workbench.decode.display import visible
from workbench.model.wording import quantity, time_span
from workbench.operations.edit.edit import described
from workbench.operations.move.plan import Plan
from workbench.operations.move.windows import IN_FLIGHT

_LISTED: Final = 20
"""Targets and reasons that are listed."""


class Line(msgspec.Struct, frozen=True):
    """A line of a plan.

    Attributes:
        label: What it is about, a word or two; empty: the same as the line before.
        text: What the plan says of it; strangers' words in it are visible.
        warns: Whether it should be read before anything moves.
    """

    label: str
    text: str
    warns: bool = False

    def __str__(self) -> str:
        return f"{self.label:>8}  {self.text}"


def plan_lines(plan: Plan) -> list[Line]:
    """What a plan says, in the order in which it is read."""
    # Names of endpoints are in most of them.
    return [msgspec.structs.replace(each, text=visible(each.text)) for each in _lines(plan)]


def _lines(plan: Plan) -> Iterator[Line]:
    if plan.undoes:
        yield from _undo(plan)
    else:
        yield from _scope(plan)
        yield from _targets(plan)
        yield from _edits(plan)
        yield from _stays(plan)
        if plan.moving:
            yield from _how(plan)
    yield from (Line("note", each, True) for each in plan.warnings)


def _undo(plan: Plan) -> Iterator[Line]:
    many = quantity(plan.moving, "message")
    yield Line("undo", f"{many} of operation {plan.undoes}")
    match plan.purpose:
        case "restore":
            yield Line("to", f"{plan.target}: each is published there again, as the journal has it")
        case "withdraw":
            yield Line("from", f"{plan.source} ({plan.kind}): copies that are still there are taken out of it")
            yield Line("", "the originals are where they were: a log keeps its events")
        case _:
            yield Line("from", f"{plan.source} ({plan.kind}): copies that are still there are taken out of it")
            yield Line("to", f"{plan.target}: the original of each is published there, as the journal has it")
    if plan.second:
        yield Line("", f"{plan.second:,} of the copies are maybe there twice: both go")
    if plan.purpose != "restore":
        yield Line("", "what consumers have taken in the meantime cannot be taken back", True)
    yield Line("safe", "each is journalled, published and confirmed before its copy goes")


def _scope(plan: Plan) -> Iterator[Line]:
    many = quantity(plan.moving, "message")
    of = f" of {plan.examined:,} looked at" if plan.examined != plan.moving else ""
    match plan.scope:
        case "selected":
            what = f"{many}{of}, selected"
        case "matching":
            what = f"{many}{of}, matching {visible(plan.query, 200)}"
        case _:
            what = f"{many}{of}"
    yield Line(plan.verb, f"{what} in {plan.source} ({plan.kind})")
    if plan.not_matching:
        yield Line("", f"{plan.not_matching:,} more do not match, or are beyond the limit, and stay")
    if plan.moved_before:
        yield Line(
            "", f"{plan.moved_before:,} were {_participle(plan)} before, and are left out (--again takes them too)"
        )
    beyond = plan.depth - plan.examined
    if plan.removes and plan.scope != "selected" and beyond > 0:
        further = f"{beyond:,} further back are decided about as they are reached"
        yield Line("", f"{further} (--look {plan.depth} has the plan look at them, too)", True)


def _targets(plan: Plan) -> Iterator[Line]:
    if plan.purpose != "move":
        yield Line("to", "nowhere: they are deleted, and kept in the journal until it is forgotten", True)
        return
    label = "to"
    for leg in plan.legs[:_LISTED]:
        where = "" if plan.target is not None else ", where they came from"
        yield Line(label, f"{leg.count:,} → {leg.address}{where} ({leg.kind})")
        yield Line("", visible(leg.receivers, 300))
        for change in leg.changes:
            yield Line("", visible(change, 300), True)
        for removed in leg.removed:
            yield Line("", visible(removed, 300), True)
        label = ""
    if len(plan.legs) > _LISTED:
        yield Line("", f"and {quantity(len(plan.legs) - _LISTED, 'further target')}")
    if not plan.legs and plan.stays:
        yield Line("to", "nowhere: none of them can go")


def _edits(plan: Plan) -> Iterator[Line]:
    label = "edits"
    for said in described(plan.edit):
        yield Line(label, f"{visible(said, 300)}")
        label = ""
    for each in plan.preview:
        yield Line("", each)


def _stays(plan: Plan) -> Iterator[Line]:
    label = "stays"
    for each in plan.stays[:_LISTED]:
        yield Line(label, f"{each.count:,}: {visible(each.reason, 300)}", True)
        label = ""
    if len(plan.stays) > _LISTED:
        yield Line("", f"and for {quantity(len(plan.stays) - _LISTED, 'further reason')}")


def _how(plan: Plan) -> Iterator[Line]:
    if plan.engine == "broker":
        yield Line("safe", "at least once: the broker confirms each before the source lets it go")
        return
    if plan.purpose == "move":
        changed = bool(plan.edit) or any(leg.changes or leg.removed for leg in plan.legs)
        what = "all else" if changed else "key, body, properties and headers"
        yield Line("keeps", f"{what} byte for byte, and adds workbench-move and workbench-redrives")
    yield Line("safe", _guarantee(plan))
    how = []
    if plan.rate is not None:
        how.append(f"{plan.rate:g} a second at most, {time_span(plan.moving / plan.rate)} for all")
    if plan.canary:
        steps = ", ".join(f"{each:,}" for each in plan.canary)
        how.append(f"first {steps}, each watched for {plan.watch:g} s; stops when any comes back")
    if how:
        yield Line("pace", "; ".join(how))
    if plan.price:
        yield Line("looked", f"the source was looked at once for this plan. {plan.price}")


def _guarantee(plan: Plan) -> str:
    if plan.purpose != "move":
        return "each is in the journal before it is deleted"
    keeps = "" if plan.removes else f"; {plan.source} keeps its own"
    if plan.guarantee == "exactly once":
        return f"exactly once, for whoever reads only what is committed{keeps}"
    return (
        f"at least once: each is journalled, published and confirmed before {plan.source.name} lets it go"
        if plan.removes
        else f"at least once{keeps}"
    ) + f"; after a crash at most {IN_FLIGHT:,} may be there twice, and the journal names them"


def _participle(plan: Plan) -> str:
    return "moved" if plan.removes else "copied"
