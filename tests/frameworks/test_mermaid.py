"""The diagram of a trace, as Mermaid itself understands it: nothing that a stranger wrote breaks it or is swallowed."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

from tests import hostile
from tests.brokers import install
from tests.unit.test_trace import POINTERS, named, sighted
from workbench.connecting.config import Connection
from workbench.connecting.config_file import ConfigFile
from workbench.decode.display import visible
from workbench.operations.export.mermaid import mermaid
from workbench.operations.trace.forest import Trace, trace
from workbench.operations.trace.gathering import Gathering
from workbench.operations.trace.scope import Scope, survey
from workbench.operations.trace.seeds import Seed
from workbench.session import Session
from workbench.store.store import open_store

_NODE = {"dependencies": {"mermaid": "12.3.0", "jsdom": "29.1.1"}}
_LINE = re.compile(r"    (?:(?P<one>\w+)-[->x]+(?P<other>\w+)|Note (?:over|right of) (?P<at>\w+)): (?P<text>.*)")


def understood(diagram: str, folder: Path) -> dict[str, Any]:
    """What Mermaid makes of a diagram: its actors, and its messages and notes with their places."""
    modules = install.node_modules("frameworks-mermaid", json.dumps(_NODE), "fetching Mermaid")
    program = shutil.copy(Path(__file__).parent / "mermaid.mjs", modules)
    file = folder / "diagram.mmd"
    file.write_text(diagram)
    done = subprocess.run(
        ["node", program, str(file)], capture_output=True, text=True, check=False, timeout=120, encoding="utf-8"
    )
    assert done.returncode == 0, done.stderr
    # This is how Mermaid keeps code points until it draws them.
    plain = re.sub(r"ﬂ°°(\d+)¶ß", lambda match: json.dumps(chr(int(match[1])))[1:-1], done.stdout)
    return json.loads(plain)  # type: ignore[no-any-return]


def check(found: Trace, folder: Path) -> None:
    """Hold what Mermaid understands to the trace, and to each line as it was written."""
    diagram = mermaid(found)
    told = understood(diagram, folder)
    assert told["actors"] == [[f"lane{number}", _cut(str(lane))] for number, lane in enumerate(found.lanes)]
    written = []
    for line in diagram.splitlines():
        if match := _LINE.fullmatch(line):
            text = re.sub(r"#(\d+);", lambda each: chr(int(each[1])), match["text"])
            written.append([match["one"] or match["at"], match["other"] or match["at"], text])
    assert [each for each in told["messages"] if each[0] is not None] == written
    for step in found.steps:
        assert any(text.startswith(visible(step.facts.type or "event")[:100]) for _, _, text in written)


def _cut(text: str) -> str:
    """As much as a label has of a text."""
    shown = visible(text)
    return shown if len(shown) <= 120 else f"{shown[:119]}…"


async def test_an_order_of_the_demo_is_drawn_as_it_was_traced(tmp_path: Path) -> None:
    given = [Connection.parse(f"{name}=demo://shop/{name}?seed=7&clock=1764072000000") for name in ("rabbit", "kafka")]
    async with Session(given, ConfigFile()) as session, open_store(tmp_path, reading=session.reading) as store:
        scope = Scope(look=True)
        gathering = Gathering(session, store, Seed.parse("body.orderId=1103"), await survey(session, scope), scope)
        await gathering.run()
    assert len(gathering.trace.steps) > 4
    check(gathering.trace, tmp_path)


def test_what_strangers_write_breaks_no_diagram_and_is_swallowed_by_none(tmp_path: Path) -> None:
    texts = [*hostile.TEXTS.values(), *_MEANT]
    some = []
    for number, text in enumerate(texts):
        headers = {**named(f"message-{number}", f"message-{number - 1}" if number else None), "event-type": text}
        place = text.encode("utf-8", "replace").decode() or "none"
        some.append(sighted(f"k/{place}", number * 1_500, headers, at=f"0:{number}"))
        dead = {**POINTERS["SmallRye"], "dead-letter-reason": text}
        some.append(sighted("k/dead", number * 1_500 + 1, dead, at=f"0:{number}"))
    check(trace(some), tmp_path)


_MEANT = (
    "a; b",
    "#35; #quot; #amp;",
    "&lt;b&gt; &#60;",
    "<br/><script>alert(1)</script>",
    "%% comment %%{init: {}}%%",
    "wrap: text",
    "nowrap:text",
    "end",
    "participant a as b",
    "lane0->>lane1: x",
    "Note over lane0: x",
    "loop alt else opt par rect box",
    "+ - -x ->> -->>",
    "$$x^2$$ `code` **bold** [link](http://example.org)",
    "ﬂ°°35¶ß",
    "autonumber",
    "---\ntitle: x\n---",
)
