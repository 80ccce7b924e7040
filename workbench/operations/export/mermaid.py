"""A trace as a Mermaid sequence diagram, as pages of documentation draw it.

Mermaid gives a meaning to `;`, `#`, line breaks and more, wherever they stand; `#` and a code point mean the character
itself (its documentation, "Entity codes to escape characters"). So all but letters, digits, blanks, dots and
underscores are written so, and nothing is swallowed.
"""

import re
from datetime import datetime
from typing import Final

from workbench.decode.display import visible
from workbench.operations.trace import words
from workbench.operations.trace.forest import Trace

_PLAIN: Final = re.compile(r"[A-Za-z0-9 ._]")
_LONGEST: Final = 120


def mermaid(found: Trace) -> str:
    """The diagram: endpoints as participants, an arrow for each event that another caused, notes for what is odd."""
    names = {lane: f"lane{number}" for number, lane in enumerate(found.lanes)}
    lines = ["sequenceDiagram", "    autonumber"]
    lines += [f"    participant {name} as {label(str(lane))}" for lane, name in names.items()]
    for number, step in enumerate(found.steps):
        here = names[step.address]
        if step.gap is not None:
            lines.append(f"    Note over {here}: {label(words.span_text(step.gap))} later")
        text = label(f"{step.facts.type or 'event'} {words.since_start(found, step)}".strip())
        if step.link is None:
            clock = label(_clock(step.time))
            lines.append(f"    Note over {here}: {text}" + (f" at {clock}" if clock else ""))
        else:
            cause = names[found.steps[step.link.cause].address]
            arrow = "-x" if step.is_dead_letter and step.link.known else "->>" if step.link.known else "-->>"
            lines.append(f"    {cause}{arrow}{here}: {text}")
        if notes := words.notes_of(found, number):
            lines.append(f"    Note right of {here}: {label(' · '.join(notes))}")
    return "\n".join(lines) + "\n"


def label(text: str) -> str:
    """A text of anybody's, so that Mermaid shows just it: no control character and no direction of writing counts."""
    text = visible(text)
    short = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
    # Blanks at its ends would be cut off.
    ends = {0: " ", len(short) - 1: " "}
    return "".join(
        each if _PLAIN.fullmatch(each) and ends.get(number) != each else f"#{ord(each)};"
        for number, each in enumerate(short)
    )


def _clock(milliseconds: int) -> str:
    try:
        return datetime.fromtimestamp(milliseconds / 1000).astimezone().isoformat(" ", "milliseconds")
    except (ValueError, OverflowError, OSError):
        return ""
