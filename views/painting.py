"""When a screen is painted, at once where it was not just now and at most 120 times a second; and how little of it.

Textual's own timer ticks 60 times a second: what is to be painted waits for the next tick, and for the one after that
where a tick came late, as it does when a paint takes longer. That was half of the time from a key to its paint.
"""

import asyncio
from collections.abc import Iterable
from functools import cached_property
from typing import Any, Final

from rich.segment import Segment
from textual._compositor import ChopsUpdate, Compositor
from textual.containers import Horizontal, Vertical
from textual.events import ScreenResume
from textual.geometry import Region
from textual.screen import Screen
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import ContentSwitcher

from workbench.decode.display import without_controls

PERIOD: Final = 1 / 120
"""Seconds from one paint to the next, for all else: a key that comes just behind what has arrived waits no longer."""
TYPED_AHEAD: Final = 1 / 30
"""The same while keys wait: what each of them does need not be seen, and painting it would hold them up."""


class PaintTimer:
    """Textual's timer of a screen's updates, as far as a screen uses it: resumed when there is something to paint."""

    def __init__(self, screen: Screen[Any]) -> None:
        self._screen: Final = screen
        self._due: asyncio.TimerHandle | None = None
        self._painted = 0.0

    def resume(self) -> None:
        """There is something to paint."""
        loop = asyncio.get_running_loop()
        period = TYPED_AHEAD if getattr(self._screen.app, "typed_ahead", False) else PERIOD
        when = max(self._painted + period, loop.time())
        if self._due is not None and when < self._due.when():
            # Nothing is typed ahead any more.
            self.pause()
        if self._due is None:
            self._due = loop.call_at(when, self._paint)

    def pause(self) -> None:
        """It is seen to."""
        if self._due is not None:
            self._due.cancel()
            self._due = None

    def note(self) -> None:
        """It was painted."""
        self._painted = asyncio.get_running_loop().time()

    def _paint(self) -> None:
        self._due = None
        app = self._screen.app
        if self._screen.is_running and not app._exit:
            try:
                self._screen._on_timer_update()
            except Exception as error:
                # As Textual's timers do.
                app._handle_exception(error)


class Backdrop(Widget):
    """What draws no more than a border around others: its lines between the first and the last are one line.

    Textual draws all lines of all widgets, those too that lie behind others: half of all lines of a screen.
    """

    def render_lines(self, crop: Region) -> list[Strip]:
        """Draw the border, and one line for all between."""
        inside = range(max(crop.y, 1), min(crop.bottom, self.outer_size.height - 1))
        if len(inside) < 2:
            return super().render_lines(crop)
        above = super().render_lines(Region(crop.x, crop.y, crop.width, inside.start + 1 - crop.y))
        below = super().render_lines(Region(crop.x, inside.stop, crop.width, crop.bottom - inside.stop))
        return [*above, *[above[-1]] * (len(inside) - 1), *below]


class Columns(Horizontal, Backdrop):
    """Parts of a screen side by side."""


class Rows(Vertical, Backdrop):
    """Parts of a screen on top of one another."""


class Switcher(ContentSwitcher, Backdrop):
    """Parts of a screen of which one shows."""


class PatchCompositor(Compositor):
    """Draws each part of the screen that has changed by itself, and of the widgets there the lines that are seen.

    Textual has every widget draw all of its lines that lies anywhere between the first change and the last, also those
    behind others: where a count at the top and a key at the bottom change, that is the whole screen.

    All that a terminal is sent of a screen comes through here, and does nothing there but draw.
    """

    def render_partial_update(self) -> ChopsUpdate | None:
        """What has changed."""
        screen = self.size.region
        patches = {part for each in self._dirty_regions if (part := each.intersection(screen))}
        self._dirty_regions.clear()
        if not patches:
            return None
        chops: list[dict[int, Strip | None]] = [dict.fromkeys(cuts[:-1]) for cuts in self.cuts]
        for patch in patches:
            lines = range(patch.y, patch.bottom)
            drawn = self._render_chops(patch, lines.__contains__)
            for y in lines:
                chops[y].update((x, strip) for x, strip in drawn[y].items() if strip is not None)
        return ChopsUpdate(chops, list(self._regions_to_spans(patches)), [cuts[1:] for cuts in self.cuts])

    def _get_renders(self, crop: Region | None = None) -> Iterable[tuple[Region, Region, list[Strip]]]:
        crop = crop or self.size.region
        # From the front to the back: what is in front is what is seen.
        for widget, (region, clip) in self.visible_widgets.items():
            part = region.intersection(clip)
            seen = part.intersection(crop)
            if not seen:
                continue
            lines = Region(part.x - region.x, seen.y - region.y, part.width, seen.height)
            yield lines.translate(region.offset), clip, [*map(_drawable, widget.render_lines(lines))]
            if seen == crop:
                return


def _drawable(strip: Strip) -> Strip:
    """A line that does nothing but draw, whatever a widget has put into it."""
    if strip.text.isprintable():
        return strip
    return Strip([Segment(without_controls(text), style) for text, style, _ in strip], strip.cell_length)


class PaintedAtOnce(Screen[Any]):
    """A screen that is painted when its `PaintTimer` says, and once for each change."""

    def __init__(self, name: str | None = None, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(name, id, classes)
        self._compositor = PatchCompositor()

    @cached_property
    def _update_timer(self) -> PaintTimer:  # type: ignore[override]
        return PaintTimer(self)

    def _compositor_refresh(self) -> None:
        """Draw what has changed; nothing while the program starts, for Textual would not show it."""
        if self.app._batch_count:
            return
        dirty = set(self._compositor._dirty_regions)
        if self.size.region in dirty:
            # All is drawn now: what has asked for that, as the start does, need not have it once more.
            self._repaint_required = False
        super()._compositor_refresh()
        if dirty:
            self._update_timer.note()

    def _on_screen_resume(self, event: ScreenResume) -> None:
        """Appear. Textual calls its own handler after this one; what was composed just now has its styles."""
        event.refresh_styles = event.refresh_styles and self.stack_updates > 0
