"""A trace in words, for the command line and the screen alike; what strangers wrote is for whoever shows it."""

from datetime import datetime
from typing import Final

from workbench.model.address import Address
from workbench.model.wording import quantity
from workbench.operations.trace.forest import Step, Trace
from workbench.table.cells import short_reason

SEEN: Final = "●"
HELD: Final = "■"
FAILED: Final = "✖"


def sign(step: Step) -> str:
    """One character for how an event stands in its place."""
    return HELD if step.held else FAILED if step.failed else SEEN


def span_text(milliseconds: int) -> str:
    """A span of time as people say it: `78 ms`, `2.61 s`, `4 min`, `3 h`, `2 d`."""
    if abs(milliseconds) < 1_000:
        return f"{milliseconds} ms"
    seconds = milliseconds / 1_000
    if abs(seconds) < 60:
        return f"{seconds:.2f} s"
    for size, unit in ((86_400, "d"), (3_600, "h")):
        if abs(seconds) >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 60:.0f} min"


def clock(step: Step) -> str:
    """When it came, on the user's clock; `?` where the event does not say, or no clock shows it."""
    try:
        return datetime.fromtimestamp(step.time / 1000).strftime("%H:%M:%S.%f")[:12] if step.timed else "?"
    except (ValueError, OverflowError, OSError):
        # A producer may claim any time at all.
        return "?"


def since_start(found: Trace, step: Step) -> str:
    """How long after the first event it came; empty where the event does not say when."""
    return f"+{span_text(step.time - found.started)}" if step.timed and found.started is not None else ""


def place_of(step: Step) -> str:
    """Where it is: its endpoint, and its partition and offset in a log."""
    position = step.delivery.position
    return str(step.address) if position is None else f"{step.address} {position.partition}:{position.offset}".rstrip()


def origin_of(step: Step) -> str:
    """Where a dead letter was before; empty where nothing says so."""
    origin = step.facts.origin
    if origin is None:
        return ""
    place = origin.queue or origin.topic or origin.exchange or ""
    return f"{place} {origin.partition}:{origin.offset}" if origin.partition and origin.offset else place


def notes_of(found: Trace, number: int) -> list[str]:
    """What is to be said of a step besides what it is: why it failed, where it comes from, what is odd."""
    step = found.steps[number]
    notes = []
    if step.is_dead_letter:
        notes += [reason_of(step), f"from {place}" if (place := origin_of(step)) else ""]
        if (attempts := step.facts.attempts) is not None:
            notes.append(f"attempt {attempts}")
    elif step.failed:
        letters = (found.steps[child] for child in found.children.get(number, ()))
        notes.append(next((reason for each in letters if (reason := reason_of(each))), "failed"))
    if step.held:
        notes.append("held here")
    if step.sighting.unknown:
        notes.append("consumer groups not known")
    if step.duplicate_of is not None:
        notes.append(f"duplicate of {step.duplicate_of + 1}")
    if step.copy_of is not None:
        notes.append(f"copy of {step.copy_of + 1}")
    if step.late:
        notes.append("out of order")
    if not step.timed:
        notes.append("says no time")
    if step.link is not None and step.link.kind == "pointer":
        notes.append(f"by {step.link.said}")
    return [note for note in notes if note]


def verdict(found: Trace, now: int) -> str:
    """Where the flow stands: what somebody wants to know who has an order that does not go on.

    Args:
        found: The flow.
        now: The present, in milliseconds since 1970 UTC.
    """
    if not found.steps:
        return "nothing found"
    if found.stuck is not None:
        step = found.steps[found.stuck]
        since = f" for {span_text(max(now - step.time, 0))}" if step.timed else ""
        if step.is_dead_letter:
            return f"stuck in {step.address}{since}" + (f": {reason}" if (reason := reason_of(step)) else "")
        return f"waits in {step.address}{since}"
    last = found.steps[found.last or 0]
    ago = f" {span_text(max(now - last.time, 0))} ago" if last.timed else ""
    held = dict.fromkeys(str(found.steps[number].address) for number in found.waiting)
    unknown = "; its consumer groups are not known" if last.sighting.unknown else ""
    return f"last seen in {last.address}{ago}{unknown}" + (f"; a copy waits in {', '.join(held)}" if held else "")


def summary(found: Trace) -> str:
    """How much it is: `9 events · 2 brokers · 1.84 s`."""
    brokers = len({step.address.connection for step in found.steps})
    parts = [quantity(len(found.steps), "event"), quantity(brokers, "connection")]
    if found.started is not None and found.ended is not None and found.ended > found.started:
        parts.append(span_text(found.ended - found.started))
    return " · ".join(parts)


def reason_of(step: Step) -> str:
    """Why an event failed, without what a framework puts before all of its reasons; empty: nothing says so."""
    return short_reason(step.facts.reason or "")


def oddities(found: Trace) -> list[str]:
    """What to know of the whole: clocks that disagree, causes that were not found, events that came twice."""
    said = [
        f"the clock of {each.behind} is at least {span_text(each.by)} behind {each.ahead}'s" for each in found.clocks
    ]
    if twice := sum(step.duplicate_of is not None for step in found.steps):
        said.append(f"{quantity(twice, 'duplicate')} of a message in its own place")
    if found.absent:
        said.append(f"{quantity(len(found.absent), 'event')} named as a cause but not found")
    return said


def lane_names(lanes: tuple[Address, ...]) -> dict[Address, str]:
    """A short name for each endpoint: its own, with its connection where two have the same."""
    names = [lane.name for lane in lanes]
    return {
        lane: lane.name if names.count(lane.name) == 1 and lane.name else str(lane).replace("exchange:", "", 1)
        for lane in lanes
    }
