"""What the screenshots and their tests show: the demo's shop, on a day and with a seed that never change.

`python -m tests.views.scenes` draws all scenes into `docs/screenshots/`, and the table of keys into the README; `make
screenshots` calls it.
"""

import asyncio
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Final
from unittest.mock import patch

import msgspec
from textual.widgets import Input, TextArea

from tests.views.driver import Driver, running
from views import connection_dialog, connections, dead_letters, followed_flow
from views.actions import markdown_table
from views.app import Opening
from views.events import Events
from views.widgets import connection_table, event_cells, group_table
from workbench.connecting import check
from workbench.connecting.config import Connection
from workbench.operations import watch
from workbench.table import cells

ROOT: Final = Path(__file__).resolve().parents[2]
FOLDER: Final = ROOT / "docs" / "screenshots"
README: Final = ROOT / "README.md"
OPENED: Final = 1_795_600_800_000
"""When the shop opened, in milliseconds since 1970 UTC: 2026-11-25, 10:00."""
FACES: Final = tuple(
    Connection.parse(f"{face}=demo://shop/{face}?seed=7&clock={OPENED}&pace=0") for face in ("rabbit", "kafka")
)


class Scene(msgspec.Struct, frozen=True):
    """One picture.

    Attributes:
        name: Of its file.
        keys: Pressed one after the other, see `Driver.press`; `@name` goes to an endpoint, `~text` waits for a text.
        size: Columns and lines.
        theme: Its name.
    """

    name: str
    keys: tuple[str, ...] = ()
    size: tuple[int, int] = (120, 40)
    theme: str = "workbench-dark"


_PAYMENTS: Final = ("@kafka/payments-dlt", "enter", "~of 9", "~JSON")

SCENES: Final = (
    Scene("start", ("~analytics",)),
    Scene("events", _PAYMENTS),
    Scene("events-light", (*_PAYMENTS, "enter", "right", "right", "~correlation"), theme="workbench-light"),
    Scene("events-wide", (*_PAYMENTS, "enter", "right"), (200, 60)),
    Scene("events-narrow", _PAYMENTS[:3], (80, 24)),
    Scene("events-16-colours", _PAYMENTS[:3], (80, 24), "workbench-16"),
    Scene("tree-narrow", ("@rabbit/orders.dead",), (80, 24), "workbench-light"),
    Scene("price", ("@rabbit/orders.dead", "enter", "~b browse")),
    Scene("query", (*_PAYMENTS, "slash", "=reason contain ", "~Did you mean")),
    Scene("group", ("G", "enter", "~nightly-rep", "G", "enter", "~committed")),
    Scene("help", ("question_mark", "~Keys of Events")),
    Scene("trace", (*_PAYMENTS, "t", "~stuck in kafka/payments-dlt")),
    Scene("dead-letters", ("3", "~16 of 62 read", "b", "~will be browsed", "enter", "~62 of 62 read")),
    Scene("dead-letters-light", ("3", "~16 of 62 read"), (80, 24), "workbench-light"),
    Scene("journal", ("4", "~Nothing was moved")),
    Scene("connections", ("5", "enter", "~embedded broker")),
    Scene("publish", ("@rabbit/orders", "p", "~As it will", '={"orderId": 2001, "total": 9.5}', "~2001,", "escape")),
    Scene(
        "publish-narrow",
        ("@rabbit/orders", "p", "~As it will", '={"orderId": 2001}', "~JSON ✔", "escape"),
        (80, 24),
        "workbench-light",
    ),
)


class _Day(date):
    @classmethod
    def today(cls) -> "_Day":
        return cls.fromtimestamp(OPENED / 1000)


def _brief(seconds: float) -> str:
    return "0.1 ms"


@contextmanager
def stopped_clock() -> Iterator[None]:
    """Let it be the moment at which the shop opened, in UTC; each connection is listed once, and no rate is known."""
    clock = SimpleNamespace(time=lambda: OPENED / 1000)
    before = os.environ.get("TZ")
    os.environ["TZ"] = "UTC"
    time.tzset()
    try:
        with (
            patch.object(cells, "date", _Day),
            patch.object(cells, "datetime", datetime),
            patch.object(event_cells, "time", clock),
            patch.object(group_table, "time", clock),
            patch.object(watch, "SHARE", 1e9),
            patch.object(connections, "time", clock),
            patch.object(dead_letters, "time", clock),
            patch.object(followed_flow, "time", clock),
            patch.object(connections, "duration", _brief),
            patch.object(connection_dialog, "duration", _brief),
            patch.object(connection_table, "duration", _brief),
            patch.object(check, "duration", _brief),
            patch.object(Events, "_count", Events._show_status),
        ):
            yield
    finally:
        if before is None:
            del os.environ["TZ"]
        else:
            os.environ["TZ"] = before
        time.tzset()


async def drawn(scene: Scene) -> str:
    """A scene as SVG, without the address of a font."""
    with stopped_clock():
        async with running(scene.size, connections=FACES, opening=Opening(demo=True)) as driver:
            driver.app.theme = scene.theme
            for key in scene.keys:
                await _act(driver, key)
            for field in (*driver.app.screen.query(Input), *driver.app.screen.query(TextArea)):
                field.cursor_blink = False
            await driver.until_settled()
            picture = driver.app.export_screenshot(title="Event Workbench")
    picture = re.sub(r"@font-face \{.*?\}", "", picture, flags=re.DOTALL)
    return re.sub(r"\n\s*\n+", "\n", picture.replace("Fira Code", "monospace"))


async def _act(driver: Driver, key: str) -> None:
    if key.startswith("@"):
        await driver.go_to(key[1:])
    elif key.startswith("~"):
        await driver.shows(key[1:])
    else:
        await driver.press(key)
        await driver.until_settled()


def with_keys(readme: str) -> str:
    """The README with the table of keys as it is now."""
    begin, end = "<!-- keys -->\n", "<!-- /keys -->"
    before, _, rest = readme.partition(begin)
    return f"{before}{begin}{markdown_table()}\n{end}{rest.partition(end)[2]}"


def main() -> None:
    """Draw all scenes, and the README's table of keys."""
    README.write_text(with_keys(README.read_text(encoding="utf-8")), encoding="utf-8")
    FOLDER.mkdir(parents=True, exist_ok=True)
    for scene in SCENES:
        (FOLDER / f"{scene.name}.svg").write_text(asyncio.run(drawn(scene)), encoding="utf-8")


if __name__ == "__main__":
    main()
