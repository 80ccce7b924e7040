"""Everything that a key can do, in one table: bindings, footer, help, palette and the README are made of it.

An action `inspect` is done by the method `do_inspect` of the screen that shows; where that screen has a method
`cannot_inspect`, it says in a sentence why the action cannot be done now, or None.
"""

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec
from textual.binding import Binding


class Action(msgspec.Struct, frozen=True):
    """One thing a user can do.

    Attributes:
        id: Its name, in the configuration's `[keys]` too.
        keys: Textual's names of its keys, with commas between them; the first is shown.
        label: In the footer and in borders; empty: not there.
        help: What it does, in a sentence.
        screens: Where it can be done; empty: on every screen.
        panels: The panels that it is about, by their ids: the footer names it in these alone; empty: in all.
        first: Whether its keys come before what a field would do with them.
    """

    id: str
    keys: str
    label: str
    help: str
    screens: tuple[str, ...] = ()
    panels: tuple[str, ...] = ()
    first: bool = False

    @property
    def key(self) -> str:
        """Its first key as a user writes it."""
        return key_name(self.keys.partition(",")[0])


_LISTS: Final = ("events", "connections")
_FIELDS: Final = ("fields-panel",)
_BODY: Final = ("body-panel",)

ACTIONS: Final = (
    Action(
        "inspect",
        "enter",
        "open",
        "Open what the cursor is on: a topic, a group, an event. Never costs anything.",
        ("events", "trace"),
        ("endpoints", "events", "event", "story"),
    ),
    Action(
        "browse",
        "b",
        "browse",
        "Browse what is in a queue or topic now; if that costs something, the price is shown first.",
        ("events",),
        ("endpoints", "events"),
    ),
    Action("force", "F", "", "Browse even though it was refused; asks for the endpoint's name first.", ("events",)),
    Action(
        "live",
        "l",
        "live",
        "Show messages as they arrive at the endpoint, without consuming them.",
        ("events",),
        ("endpoints", "events"),
    ),
    Action("trace", "t", "trace", "Follow the event's correlation id.", ("events",), ("events", "event")),
    Action("send", "ctrl+s,s", "send", "Publish the draft, and show where each event landed.", ("publish",)),
    Action(
        "stop",
        "ctrl+x",
        "stop",
        "Stop publishing, and again abandon what is in flight; or stop a move or an export.",
        first=True,
    ),
    Action(
        "aim",
        "ctrl+r",
        "other target",
        "Aim the clone of a dead letter at the next place it was: its origin, or where it was read.",
        ("publish",),
        ("target-panel",),
    ),
    Action("add_field", "n,ctrl+n", "add", "Add a header or a property.", ("publish",), _FIELDS),
    Action("edit_field", "enter", "edit", "Edit the header or property at the cursor.", ("publish",), _FIELDS),
    Action("remove_field", "x,delete", "remove", "Remove the header or property at the cursor.", ("publish",), _FIELDS),
    Action(
        "keep_field",
        "space",
        "keep",
        "Keep a value that the clone drops or generates anew, such as an id; or stop keeping it.",
        ("publish",),
        _FIELDS,
    ),
    Action(
        "as_template",
        "ctrl+t,t",
        "template",
        "Fill in {{ seq }}, {{ uuid() }}, {{ now() }} and the like for each event, or send them as they are.",
        ("publish",),
        _BODY,
    ),
    Action("outcome", "v", "receipts", "Switch between the preview and the receipts.", ("publish",)),
    Action("null_body", "N", "", "Send no body at all (a tombstone), or send one again.", ("publish",)),
    Action("lay_out", "ctrl+f,f", "lay out", "Format the body's JSON, one member per line.", ("publish",), _BODY),
    Action("edit_body", "ctrl+e,e", "$EDITOR", "Edit the body in $EDITOR.", ("publish",), _BODY),
    Action("load_body", "l", "", "Load the body from a file.", ("publish",)),
    Action("open_template", "o", "", "Open a template: a TOML file, or one in your templates folder.", ("publish",)),
    Action("drafts", "w", "drafts", "Switch to another saved draft, or to an empty one.", ("publish",)),
    Action("publish", "p", "publish", "Write and publish events to the endpoint at the cursor.", (), ("endpoints",)),
    Action(
        "clone",
        "c",
        "clone",
        "Publish a copy of the event, with a new identity.",
        ("events", "trace"),
        ("events", "event", "story"),
    ),
    Action(
        "move",
        "m",
        "move",
        "Move what is selected, matches or is in the endpoint back to where it came from, or elsewhere; the plan is"
        " shown first.",
        ("events", "dead_letters", "trace"),
        ("endpoints", "events", "dead-letters", "story"),
    ),
    Action(
        "delete",
        "delete",
        "",
        "Delete the marked or the selected events, or all that match, from their queue; the plan is shown first.",
        ("events",),
    ),
    Action(
        "mark",
        "space",
        "mark",
        "Mark the event or the endpoint; enter opens all marked endpoints in one table.",
        ("events",),
        ("endpoints", "events"),
    ),
    Action(
        "filter",
        "slash",
        "filter",
        "Filter events by a query, endpoints by name, or dead letters by a text.",
        ("events", "dead_letters"),
        ("endpoints", "events", "dead-letters"),
    ),
    Action(
        "search",
        "s",
        "search back",
        "Search the whole topic or stream for what matches the query; says first what that takes.",
        ("events",),
        ("events",),
    ),
    Action("find", "ctrl+f", "find", "Find a text in the event.", ("events",), ("event",)),
    Action(
        "filter_by",
        "equals_sign",
        "by this value",
        "Show only events that have the value at the cursor of the event.",
        ("events",),
        ("event",),
    ),
    Action(
        "exclude",
        "exclamation_mark",
        "without it",
        "Hide events that have the value at the cursor of the event.",
        ("events",),
        ("event",),
    ),
    Action(
        "add_column",
        "plus",
        "column",
        "Show what is at the cursor of the event as a column of the table.",
        ("events",),
        ("event",),
    ),
    Action(
        "mark_range",
        "V",
        "",
        "Begin a range at the event; again, mark all from there to the cursor. shift and an arrow mark one by one.",
        ("events",),
    ),
    Action("mark_all", "asterisk", "", "Mark all events that are shown; if they all are, none.", ("events",)),
    Action("invert_marks", "I", "", "Mark those events that are not marked, and no others.", ("events",)),
    Action(
        "reasons", "W", "reasons", "Go to the reasons of dead letters: enter filters by one.", ("events",), ("events",)
    ),
    Action(
        "sort",
        "S",
        "sort",
        "Sort by the chosen column, which left and right choose: ascending, descending, by time again.",
        ("events",),
        ("events",),
    ),
    Action(
        "follow",
        "f",
        "follow",
        "Follow the newest event as events arrive, or stop following.",
        ("events",),
        ("events",),
    ),
    Action("next_match", "n", "next", "Go to the next match in the inspector.", ("events",), ("event",)),
    Action("previous_match", "N", "", "Go to the previous match in the inspector.", ("events",)),
    Action(
        "copy",
        "y",
        "copy",
        "Copy the event's body to the terminal's clipboard; in the inspector, the value at the cursor.",
        ("events", "trace"),
        ("event",),
    ),
    Action(
        "copy_line", "Y", "", "Copy the event as a line that `workbench publish --file` reads.", ("events", "trace")
    ),
    Action("edit", "e", "edit", "Publish a copy of the event, with the cursor in its body.", ("events",), ("event",)),
    Action("page", "v", "view", "Open the event's body in $PAGER.", ("events",), ("event",)),
    Action(
        "export",
        "x",
        "export",
        "Write the marked events, or all that match, to an NDJSON file.",
        ("events",),
        ("events",),
    ),
    Action("columns", "C", "", "Choose the columns of the event table.", ("events",)),
    Action("widen", "greater_than_sign", "", "Make the last chosen column wider.", ("events",)),
    Action("narrow", "less_than_sign", "", "Make the last chosen column narrower.", ("events",)),
    Action("colour", "o", "", "Colour events by correlation id, or stop.", ("events",)),
    Action("zoom", "z", "zoom", "Show the panel with the focus alone, or all panels again.", ("events",)),
    Action("times", "Z", "", "Show times as timestamps, or as ages.", ("events",)),
    Action("refresh", "r", "", "List the endpoints now.", _LISTS),
    Action(
        "add",
        "a",
        "add",
        "Add a connection: it is tested step by step, then saved.",
        (),
        ("endpoints", "connection-list"),
    ),
    Action("check", "enter", "check", "Test the connection step by step, with the time of each.", ("connections",)),
    Action(
        "edit_connection",
        "e",
        "edit",
        "Edit the connection's name, URL, password, guard or production mark.",
        ("connections",),
    ),
    Action("remove_connection", "x,delete", "remove", "Remove the connection; asks first.", ("connections",)),
    Action(
        "look_into",
        "b",
        "look into queues",
        "Browse the queues too, whose messages may be of this flow; the price is shown first.",
        ("trace",),
        ("story",),
    ),
    Action("follow_trace", "f", "follow", "Go on with what arrives, or stop following.", ("trace",), ("story",)),
    Action(
        "widen_window",
        "plus",
        "further back",
        "Search topics and streams further back, or list their flows: 1 hour, 6, a day, a week, from the beginning.",
        ("trace",),
        ("story",),
    ),
    Action("shape", "v", "lanes or tree", "Show the flow as lanes, or as a tree.", ("trace",), ("story",)),
    Action("coverage", "i", "coverage", "Show what was looked at, and what was not.", ("trace",), ("story",)),
    Action(
        "export_trace",
        "x",
        "export",
        "Write the flow to a file: NDJSON, a Mermaid diagram (.mmd), or OTLP spans (.json).",
        ("trace",),
        ("story",),
    ),
    Action("recent", "r", "recent", "Go back to an id that was followed before.", ("trace",), ("story",)),
    Action(
        "flows",
        "L",
        "flows",
        "List the flows, the stuck ones first, by the path that most flows of their type take.",
        (),
        ("story",),
    ),
    Action("flow", "o", "", "Show this flow's events on the Events screen.", ("trace",)),
    Action(
        "read_queues",
        "b",
        "read queues",
        "Read the dead letters in queues too; the price is shown first.",
        ("dead_letters",),
    ),
    Action("group_by", "f", "group by", "Group by a field, such as body.error.code, or by reason.", ("dead_letters",)),
    Action(
        "delete_group",
        "x,delete",
        "delete",
        "Delete the group's messages from their queues; the plan is shown first, and the journal can undo it.",
        ("dead_letters",),
    ),
    Action("read_again", "r", "read again", "Read the dead letters again.", ("dead_letters",)),
    Action(
        "resume",
        "r",
        "resume",
        "Go on with an operation that was interrupted or stopped; nothing that was confirmed is published again.",
        ("journal",),
    ),
    Action(
        "undo",
        "u",
        "undo",
        "Take an operation back, as far as its targets still have the copies; its plan is shown first.",
        ("journal",),
    ),
    Action(
        "forget",
        "x,delete",
        "forget",
        "Delete an operation with all messages that it holds: it can be neither resumed nor undone then.",
        ("journal",),
    ),
    Action(
        "trace_id", "T", "", "Follow a correlation id: type or paste it. Pasting outside a field does the same.", ()
    ),
    Action("events", "1", "", "Go to Events.", ()),
    Action("traces", "2", "", "Go to Trace.", ()),
    Action("dead_letters", "3,d", "", "Go to Dead letters.", ()),
    Action("journal", "4", "", "Go to the Journal.", ()),
    Action("connections", "5", "", "Go to Connections.", ()),
    Action("compose", "6", "", "Go to Publish.", ()),
    Action("down", "j", "", "Go down.", ()),
    Action("up", "k", "", "Go up.", ()),
    Action("top", "g", "", "Go to the first.", ()),
    Action("bottom", "G", "", "Go to the last; in the event table, follow new events.", ()),
    Action("half_down", "ctrl+d", "", "Go down half a page.", ()),
    Action("half_up", "ctrl+u", "", "Go up half a page.", ()),
    Action("pane", "tab", "pane", "Go to the next pane.", ()),
    Action("back", "escape", "", "Leave the field, close the dialog, stop what runs on this screen, or go back.", ()),
    Action("theme", "D", "", "Switch between dark and light.", ()),
    Action("messages", "M", "", "Show all messages so far, the newest last.", ()),
    Action("record", "R", "", "Record this session to a file, from its beginning.", ()),
    Action("palette", "colon,ctrl+p", "command", "Run any action by name, or go to an endpoint or a group.", ()),
    Action("quit", "q,ctrl+c,ctrl+q", "", "Quit; asks first while something is running.", ()),
    Action("help", "question_mark", "help", "Show the keys of this screen.", ()),
)
"""In the order of footer and help."""


def of_screen(screen: str) -> list[Action]:
    """What can be done on a screen."""
    return [action for action in ACTIONS if not action.screens or screen in action.screens]


def bindings(screen: str) -> list[Binding]:
    """A screen's keys, as Textual takes them. An action's id is its binding's, for the user's own keys."""
    return [
        Binding(
            action.keys,
            f"act('{action.id}')",
            action.label,
            id=action.id,
            show=bool(action.label),
            priority=action.first,
        )
        for action in of_screen(screen)
        if action.keys
    ]


def key_conflict(own: Mapping[str, str]) -> str | None:
    """What is wrong where a user's own keys, by action, give one key to two actions of a screen; None: nothing is."""
    for screen in dict.fromkeys(screen for action in ACTIONS for screen in action.screens):
        taken: dict[str, str] = {}
        for action in of_screen(screen):
            keys = own.get(action.id, action.keys)
            for binding in Binding.make_bindings([Binding(keys, "")]) if keys else ():
                other = taken.setdefault(binding.key, action.id)
                if other != action.id:
                    place = screen.replace("_", " ").capitalize()
                    return (
                        f"{key_name(binding.key)!r} in [keys] is bound to both {other!r} and {action.id!r} on {place}."
                    )
    return None


def unknown_actions(ids: Iterable[str]) -> list[str]:
    """Which of these are no actions."""
    known = {action.id for action in ACTIONS}
    return [id for id in ids if id not in known]


_WRITTEN: Final[Mapping[str, str]] = {
    "slash": "/",
    "question_mark": "?",
    "colon": ":",
    "greater_than_sign": ">",
    "less_than_sign": "<",
    "equals_sign": "=",
    "exclamation_mark": "!",
    "plus": "+",
    "asterisk": "*",
}


def key_name(key: str) -> str:
    """A key as a user writes it: `/` and not `slash`."""
    return _WRITTEN.get(key, key)


def markdown_table() -> str:
    """The table as the README shows it: where, key, what it does."""
    rows = ["| where | key | what it does |", "|---|---|---|"]
    for action in ACTIONS:
        keys = " ".join(f"`{key_name(key)}`" for key in action.keys.split(",") if key) or f"`:` {action.id}"
        where = ", ".join(screen.replace("_", " ") for screen in action.screens) or "everywhere"
        rows.append(f"| {where} | {keys} | `{action.id}`: {action.help} |")
    return "\n".join(rows)
