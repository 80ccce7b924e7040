"""The themes: what can be read on what, on every screen as it is drawn."""

import msgspec
import pytest
from textual.color import Color
from textual.theme import Theme
from textual.widgets import Input

from tests.views.driver import running
from views.app import Opening, Workbench
from views.theme import DARK, DARK_THEME, LIGHT, LIGHT_THEME, SIXTEEN_THEME, Colours
from workbench.connecting.config_file import ConfigFile

READABLE = 4.5
"""The least contrast of text: WCAG 2.2, success criterion 1.4.3."""
DRAWN = ("▌", "●", "◆", "✖")
SCENES = (
    ("tab",),
    ("question_mark",),
    ("slash",),
    ("colon",),
    ("T",),
    ("2",),
    ("3",),
    ("5",),
    ("6",),
)


def contrast(one: Color, other: Color) -> float:
    """By the definition of WCAG 2.2."""

    def luminance(color: Color) -> float:
        parts = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in color.normalized]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def is_text(piece: str) -> bool:
    """Whether a piece is to be read: bars and frames are only looked at."""
    return any(letter.isalnum() or letter in DRAWN for letter in piece)


def unreadable(app: Workbench) -> set[tuple[str, str, str]]:
    """What is drawn with too little contrast: text, colour, ground. What lies behind a dialog is faded on purpose."""
    found = set()
    shown = [child.region for child in app.screen.children]
    strips = app.screen._compositor.render_strips()
    for region in shown:
        pieces = [piece for strip in strips[region.y : region.bottom] for piece in strip.crop(region.x, region.right)]
        for text, style, _ in pieces:
            if not is_text(text):
                continue
            assert style is not None and style.color is not None and style.bgcolor is not None, text
            front, ground = Color.from_rich_color(style.color), Color.from_rich_color(style.bgcolor)
            if style.reverse:
                front, ground = ground, front
            assert not style.dim, text
            if contrast(front, ground) < READABLE:
                found.add((text.strip(), front.hex, ground.hex))
    return found


@pytest.mark.parametrize("theme", [DARK_THEME.name, LIGHT_THEME.name])
async def test_all_text_can_be_read_on_what_it_stands_on(theme: str) -> None:
    async with running((120, 40)) as driver:
        driver.app.theme = theme
        await driver.open()
        await driver.press("space", "o")
        await driver.until_settled()
        assert unreadable(driver.app) == set()
        for keys in SCENES:
            await driver.press(*keys)
            await driver.until_settled()
            assert unreadable(driver.app) == set(), keys
            await driver.press("escape", "escape", "1")
            await driver.until(lambda: driver.app.screen is driver.app.events)


@pytest.mark.parametrize("theme", [DARK_THEME, LIGHT_THEME], ids=lambda theme: theme.name)
def test_every_colour_of_text_can_be_read_on_every_ground(theme: Theme) -> None:
    variables = Workbench(Opening(), {}, theme.name).get_css_variables()
    texts = ("foreground", "muted", "focus", "live", "warn", "dead", "ids", "name", "string", "number", "word")
    flows = [name for name in variables if name.startswith("flow-")]
    assert len(flows) == 12
    for name in (*texts, *flows):
        for ground in ("background", "panel", "cursor", "field"):
            assert contrast(Color.parse(variables[name]), Color.parse(variables[ground])) >= READABLE, (name, ground)


@pytest.mark.parametrize("theme", [DARK_THEME.name, LIGHT_THEME.name])
async def test_a_field_stands_out_from_the_ground_where_it_has_no_focus(theme: str) -> None:
    async with running() as driver:
        driver.app.theme = theme
        await driver.press("6")
        await driver.until_settled()
        fields = [field for field in driver.app.screen.query(Input) if field.region and not field.has_focus]
        assert fields
        strips = driver.app.screen._compositor.render_strips()
        for field in fields:
            left, right = strips[field.region.y].crop(field.region.x - 1, field.region.x + 1).divide([1, 2])
            grounds = [piece.style.bgcolor for strip in (left, right) for piece in strip if piece.style]
            outside, inside = (Color.from_rich_color(ground) for ground in grounds)
            assert contrast(outside, inside) >= 1.2


async def test_sixteen_colours_are_the_terminals_own() -> None:
    async with running(config=ConfigFile(theme=SIXTEEN_THEME.name)) as driver:
        await driver.open()
        styles = [style for strip in driver.app.screen._compositor.render_strips() for _, style, _ in strip if style]
        assert all(
            color is None or color.is_system_defined for style in styles for color in (style.color, style.bgcolor)
        )


@pytest.mark.parametrize("theme", ["nord", "textual-light", "ansi-dark"])
async def test_a_theme_of_textuals_may_be_configured(theme: str) -> None:
    async with running(config=ConfigFile(theme=theme)) as driver:
        assert driver.app.theme == theme
        await driver.open()
        assert not driver.app.failures


async def test_in_16_colours_a_dialog_leaves_the_screen_behind_it_in_sight() -> None:
    async with running((120, 40), config=ConfigFile(theme=SIXTEEN_THEME.name)) as driver:
        await driver.press("T")
        await driver.shows("━ Trace ━", "Endpoints", "orders.dead")


async def test_the_demo_says_how_to_add_a_broker_of_ones_own() -> None:
    async with running(opening=Opening(demo=True)) as driver:
        await driver.shows("a adds your own broker: this is a demo.")


CURSORS = {
    "tree": (("tab", "tab", "g"), "orders"),
    "inspector": (("enter", "j", "j"), '"id"'),
    "dead letters": (("3",), "shop/orders.dead"),
    "connections": (("5",), "connected"),
    "palette": (("colon", "=q"), "Quit"),
    "drafts": (("6", "escape", "w"), "an empty draft"),
    "headers": (("6", "escape", "n", "=trace-id", "tab", "=7", "enter"), "trace-id"),
    "group": (("tab", "tab", "G", "enter", "G", "enter"), "committed"),
}
"""By what is shown, the keys to it from an open endpoint, and what is in a line that the cursor may be on."""


@pytest.mark.parametrize("name", CURSORS)
async def test_in_16_colours_the_line_at_the_cursor_is_one_bar_in_reverse(name: str) -> None:
    keys, text = CURSORS[name]
    async with running((120, 60), config=ConfigFile(theme=SIXTEEN_THEME.name)) as driver:
        await driver.open()
        await driver.press(*keys)
        await driver.shows(text)
        await driver.until_settled()
        strips = driver.app.screen._compositor.render_strips()
        bars = [style for strip in strips for text, style, _ in strip if style and style.reverse and is_text(text)]
        assert bars and all((style.color is None or style.color.is_default) and not style.dim for style in bars)


SHOWN = {
    "trace": ("t", "~Trace"),
    "dead letters": ("3", "~orders.dead"),
    "coverage": ("t", "~Trace", "i", "~20 read"),
    "mistyped query": ("slash", "=total > 3", "enter", "~Unknown field"),
    "clone": ("c", "~As it will"),
}


@pytest.mark.parametrize("name", SHOWN)
async def test_what_was_shown_before_another_theme_takes_its_colours(name: str) -> None:
    dark, light = values(DARK) - values(LIGHT), values(LIGHT) - values(DARK)
    async with running() as driver:
        await driver.open()
        for key in SHOWN[name]:
            await (driver.shows(key[1:]) if key.startswith("~") else driver.press(key))
        await driver.until_settled()
        assert colours(driver.app) & dark
        driver.app.change_theme()
        await driver.until(lambda: colours(driver.app) & light)
        await driver.until_settled()
        assert not colours(driver.app) & dark
        mode = driver.app.current_mode
        driver.app.go("journal")
        await driver.until(lambda: driver.app.current_mode == "journal")
        driver.app.change_theme()
        await driver.until(lambda: colours(driver.app) & dark)
        driver.app.go(mode)
        await driver.until_settled()
        assert driver.app.current_mode == mode
        assert not colours(driver.app) & light


def values(theme: Colours) -> set[str]:
    """The colours of a theme."""
    named = msgspec.structs.asdict(theme)
    return {each.lower() for each in (*named.pop("flows"), *named.values())}


def colours(app: Workbench) -> set[str]:
    """All colours that can be seen: the ground behind a dialog is faded, and none of a theme's."""
    pieces = [piece for strip in app.screen._compositor.render_strips() for piece in strip if piece.text.strip()]
    drawn = {color for _, style, _ in pieces if style for color in (style.color, style.bgcolor) if color}
    return {Color.from_rich_color(color).hex.lower() for color in drawn}
