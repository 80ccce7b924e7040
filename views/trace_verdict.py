"""What Trace says above the story: where the flow stands, or why there is none and what may be done about it."""

from collections.abc import Callable, Sequence

from rich.text import Text

from views.flow_search import FlowSearch
from workbench.decode.display import visible
from workbench.model.wording import quantity
from workbench.operations.saga.paths import Saga
from workbench.operations.saga.words import departure
from workbench.operations.trace import words
from workbench.operations.trace.forest import Trace
from workbench.operations.trace.gathering import Gathering

Keys = Callable[[str], str]
"""The first key of an action, as a user writes it."""


def flow_text(found: Trace, saga: Saga | None, now: int, oddities: bool) -> Text:
    """Where a flow stands.

    Args:
        found: The flow.
        saga: How it stands beside its usual path; None: that is not known.
        now: The present, in milliseconds since 1970 UTC.
        oddities: Whether there is room for what is odd about it.
    """
    stuck = found.steps[found.stuck] if found.stuck is not None else None
    look = "live" if stuck is None else "dead" if stuck.is_dead_letter else "warn"
    said = Text().append(f"{words.SEEN if stuck is None else words.sign(stuck)} ", look)
    said.append(visible(words.verdict(found, now)), "bold")
    for oddity in words.oddities(found)[:1] if oddities else ():
        said.append(f"  ·  {visible(oddity)}", "muted")
    if saga is None or not (departs := departure(saga)):
        return said
    departed = Text().append("✖ stuck: " if saga.stuck else "? ", "dead" if saga.stuck else "warn")
    departed.append(visible(departs), "bold" if saga.stuck else "muted")
    # What no broker knows to be stuck is told first; what waits where somebody can see it tells itself.
    return Text("\n").join([departed, said] if saga.stuck and stuck is None else [said, departed])


def no_flow_text(search: FlowSearch, key_of: Keys) -> Text:
    """Why a search has found no flow, or none yet."""
    if search.failure:
        return Text(visible(search.failure), "dead")
    gathering = search.gathering
    if search.is_searching:
        return Text("Searching …", "muted")
    if gathering is not None and gathering.places:
        again = f"{key_of('recent')}, or enter in the field, asks again which."
        return Text(f"This value stands in several places: {again}", "warn")
    if search.was_stopped or gathering is None:
        return Text("The search was stopped: what was not searched may hold it.", "warn")
    return _not_found(search, gathering, key_of)


def _not_found(search: FlowSearch, gathering: Gathering, key_of: Keys) -> Text:
    """That there is nothing, and what may be done about it."""
    read = sum(each.read for each in gathering.coverage.values())
    said = Text().append("Not found", "warn")
    said.append(f" in {read:,} events of {quantity(len(gathering.coverage), 'endpoint')}.\n")
    if gathering.scope.window.since is not None:
        back = search.wanted.back
        _add_way(said, key_of("widen_window"), f"searches topics and streams further back than {back}")
    if gathering.plan.prices and not gathering.scope.look:
        queues = quantity(len(gathering.plan.prices), "queue")
        messages = quantity(gathering.plan.messages, "message")
        _add_way(said, key_of("look_into"), f"looks into {queues} with {messages}; asks first")
    if search.cannot_follow() is None:
        _add_way(said, key_of("follow_trace"), "waits for it to arrive")
    if not gathering.complete:
        _add_way(said, key_of("coverage"), "shows what could not be seen")
    return said


def first_text(recent: Sequence[str], can_read: bool, key_of: Keys, key_on_events: str) -> Text:
    """What can be done where no flow is known yet.

    Args:
        recent: Ids that were followed.
        can_read: Whether there is something that flows could be read from.
        key_of: The keys of the screen.
        key_on_events: The one that traces an event where events are shown.
    """
    said = Text()
    if recent:
        lines = "".join(f"\n  {visible(each, 60)}" for each in recent)
        said.append("\n\n").append(key_of("recent"), "key").append(f" goes back to one of these:{lines}", "muted")
    said.append("\n\nPaste or type an id: its events on all connections become one story, with what caused", "muted")
    said.append(" what.\n", "muted")
    said.append("On any event, ", "muted").append(key_on_events, "key").append(" does the same.", "muted")
    if can_read:
        said.append("\n")
        _add_way(said, key_of("widen_window"), "reads the flows of topics and streams; asks first")
        _add_way(said, key_of("look_into"), "reads those of queues; asks first")
    return said


def _add_way(said: Text, key: str, does: str) -> None:
    """A line for what can be done."""
    said.append("\n  ").append(key, "key").append(f"  {does}")
