"""The themes: every colour by what it means. CSS has them as variables (`$live`, `$muted`, …), texts of Rich as styles
of the same names (`"live"`, `"muted"`), and nothing on the screen has a colour of its own.

| variable | meaning |
|---|---|
| `$background`, `$panel`, `$frame` | the ground, bars and fields on it, borders |
| `$foreground`, `$muted` | text, and text that matters less |
| `$field`, with `$field-style` | the ground of a field, also where it has no focus |
| `$focus` | where the keyboard is; keys; what is open |
| `$live`, `$warn`, `$dead` | it works or goes on; take care; it failed or is a dead letter |
| `$ids` | ids, which link one event to another |
| `$name`, `$string`, `$number`, `$word` | JSON |
| `$cursor` | the ground of the line at the cursor, with `$cursor-style` |

Each text colour can be read on each ground: at least 4.5 : 1 (WCAG 2.2, success criterion 1.4.3).
"""

from collections.abc import Mapping
from typing import Final

import msgspec
from rich.style import Style
from rich.theme import Theme as RichTheme
from textual.app import App
from textual.color import Color
from textual.dom import DOMNode
from textual.theme import BUILTIN_THEMES, Theme
from textual.widgets import Static


class Colours(msgspec.Struct, frozen=True):
    """The colours of a theme, by what they mean; see the table above."""

    background: str
    panel: str
    field: str
    frame: str
    foreground: str
    muted: str
    focus: str
    live: str
    warn: str
    dead: str
    ids: str
    string: str
    number: str
    cursor: str
    flows: tuple[str, ...]
    """One for each flow, where events are coloured by correlation."""


DARK: Final = Colours(
    background="#0f1419",
    panel="#151b23",
    field="#222e3b",
    frame="#2b3644",
    foreground="#d8e0e8",
    muted="#8f9baa",
    focus="#5ab0f6",
    live="#6fcf97",
    warn="#f2b84b",
    dead="#f07a88",
    ids="#b99af5",
    string="#a8d8b9",
    number="#e8c58a",
    cursor="#1b334f",
    flows=(
        "#5ab0f6",
        "#6fcf97",
        "#f2b84b",
        "#f07a88",
        "#b99af5",
        "#5fd0d6",
        "#d7c26b",
        "#f29fc5",
        "#9fb8ff",
        "#c3d67a",
        "#e39a7b",
        "#8fd3b6",
    ),
)
LIGHT: Final = Colours(
    background="#f7f9fb",
    panel="#e9eef3",
    field="#d8e2ec",
    frame="#b6c2ce",
    foreground="#1f2933",
    muted="#535f6e",
    focus="#0a5cad",
    live="#17693c",
    warn="#855000",
    dead="#b51d35",
    ids="#6a3fbf",
    string="#1d6b45",
    number="#8a4b00",
    cursor="#cfe3f7",
    flows=(
        "#0a5cad",
        "#17693c",
        "#855000",
        "#b51d35",
        "#6a3fbf",
        "#0b666b",
        "#6b5d00",
        "#a0246b",
        "#3d4fc4",
        "#4c6600",
        "#9a3d12",
        "#00695c",
    ),
)


def _theme(name: str, colours: Colours, dark: bool) -> Theme:
    """A theme of ours, in Textual's words; what its own widgets are made of, too."""
    return Theme(
        name,
        primary=colours.focus,
        secondary=colours.ids,
        warning=colours.warn,
        error=colours.dead,
        success=colours.live,
        accent=colours.focus,
        foreground=colours.foreground,
        background=colours.background,
        surface=colours.panel,
        panel=colours.panel,
        boost=colours.panel,
        dark=dark,
        variables={
            "text": colours.foreground,
            "text-muted": colours.muted,
            "text-disabled": colours.muted,
            "text-primary": colours.focus,
            "text-secondary": colours.ids,
            "text-accent": colours.focus,
            "text-success": colours.live,
            "text-warning": colours.warn,
            "text-error": colours.dead,
            "border": colours.focus,
            "border-blurred": colours.frame,
            "block-cursor-background": colours.cursor,
            "block-cursor-foreground": colours.foreground,
            "block-cursor-text-style": "none",
            "block-cursor-blurred-background": colours.background,
            "block-cursor-blurred-foreground": colours.foreground,
            "block-hover-background": colours.panel,
            "input-cursor-background": colours.foreground,
            "input-cursor-foreground": colours.background,
            "input-selection-background": colours.cursor,
            "input-selection-foreground": colours.foreground,
            "screen-selection-background": colours.cursor,
            "screen-selection-foreground": colours.foreground,
            "scrollbar": colours.frame,
            "scrollbar-hover": colours.muted,
            "scrollbar-active": colours.focus,
            "scrollbar-background": colours.background,
            "scrollbar-background-hover": colours.background,
            "scrollbar-background-active": colours.background,
            "scrollbar-corner-color": colours.background,
            **_meanings(colours),
        },
    )


def _meanings(colours: Colours) -> dict[str, str]:
    """Our variables."""
    return {
        "frame": colours.frame,
        "muted": colours.muted,
        "muted-style": "none",
        "focus": colours.focus,
        "live": colours.live,
        "warn": colours.warn,
        "dead": colours.dead,
        "ids": colours.ids,
        "name": colours.focus,
        "string": colours.string,
        "number": colours.number,
        "word": colours.ids,
        "cursor": colours.cursor,
        "cursor-style": "none",
        "field": colours.field,
        "field-style": "none",
        **{f"flow-{number}": colour for number, colour in enumerate(colours.flows)},
    }


_SIXTEEN_FLOWS: Final = ("blue", "green", "yellow", "red", "magenta", "cyan")
_SIXTEEN: Final = {
    "frame": "ansi_default",
    "muted": "ansi_default",
    "muted-style": "dim",
    "focus": "ansi_default",
    "live": "ansi_green",
    "warn": "ansi_yellow",
    "dead": "ansi_red",
    "ids": "ansi_magenta",
    "name": "ansi_default",
    "string": "ansi_green",
    "number": "ansi_cyan",
    "word": "ansi_magenta",
    "cursor": "ansi_default",
    "cursor-style": "reverse",
    "field": "ansi_default",
    "field-style": "underline",
    **{f"flow-{number}": f"ansi_{hue}" for number, hue in enumerate(_SIXTEEN_FLOWS)},
    **{f"flow-{number}": f"ansi_bright_{hue}" for number, hue in enumerate(_SIXTEEN_FLOWS, 6)},
}
"""Colours that the terminal's user has made readable; what is a shade elsewhere is dim, underlined or in reverse."""

DARK_THEME: Final = _theme("workbench-dark", DARK, dark=True)
LIGHT_THEME: Final = _theme("workbench-light", LIGHT, dark=False)
SIXTEEN_THEME: Final = Theme(
    "workbench-16",
    primary="ansi_default",
    secondary="ansi_magenta",
    warning="ansi_yellow",
    error="ansi_red",
    success="ansi_green",
    accent="ansi_default",
    foreground="ansi_default",
    background="ansi_default",
    surface="ansi_default",
    panel="ansi_default",
    boost="ansi_default",
    ansi=True,
    variables={
        "ansi-background": "ansi_default",
        "ansi-foreground": "ansi_default",
        "border": "ansi_default",
        "border-blurred": "ansi_default",
        "block-cursor-background": "ansi_default",
        "block-cursor-foreground": "ansi_default",
        "block-cursor-text-style": "reverse",
        "block-hover-background": "ansi_default",
        "input-cursor-text-style": "reverse",
        "input-selection-background": "ansi_cyan",
        "input-selection-foreground": "ansi_black",
        "scrollbar": "ansi_bright_black",
        "scrollbar-hover": "ansi_default",
        "scrollbar-active": "ansi_default",
        "scrollbar-background": "ansi_default",
        "scrollbar-background-hover": "ansi_default",
        "scrollbar-background-active": "ansi_default",
        **_SIXTEEN,
    },
)
"""For terminals of 16 colours, dark or light: their own colours on their own ground."""
THEMES: Final = (DARK_THEME, LIGHT_THEME, SIXTEEN_THEME)
FLOWS: Final = len(DARK.flows)
"""How many flows have a colour of their own."""


def theme_names() -> list[str]:
    """Ours and Textual's, in the order of the alphabet."""
    return sorted({*BUILTIN_THEMES, *(theme.name for theme in THEMES)})


def _meanings_in(theme: Theme, variables: Mapping[str, str]) -> dict[str, str]:
    """Our variables for a theme that does not have them: for Textual's, what comes nearest.

    Args:
        theme: Any.
        variables: Those that Textual makes of it.
    """
    if theme.ansi:
        return dict(_SIXTEEN)
    text = {name: variables[f"text-{name}"] for name in ("primary", "secondary", "success", "warning", "error")}
    ground, text_colour = Color.parse(variables["background"]), Color.parse(variables["foreground"])
    flows = (*text.values(), variables["foreground"]) * 2
    return _meanings(
        Colours(
            background=variables["background"],
            panel=variables["panel"],
            field=ground.blend(text_colour, 0.12).hex6,
            frame=variables["panel-lighten-2" if theme.dark else "panel-darken-2"],
            foreground=variables["foreground"],
            muted=ground.blend(text_colour, 0.7).hex6,
            focus=text["primary"],
            live=text["success"],
            warn=text["warning"],
            dead=text["error"],
            ids=text["secondary"],
            string=text["success"],
            number=text["warning"],
            cursor=variables["primary-muted"],
            flows=flows,
        )
    )


def _rich_styles(variables: Mapping[str, str]) -> RichTheme:
    """The meanings as names of styles, for texts that are made away from any widget: `Text.append("12 ms", "muted")`;
    and `key`, for what is to be pressed.

    Args:
        variables: Those of the theme.
    """
    named = ("muted", "focus", "live", "warn", "dead", "ids")
    colours = {name: Color.parse(variables[name]).rich_color for name in named}
    styles = {
        name: Style(color=colour, dim=(name == "muted" and variables["muted-style"] == "dim") or None)
        for name, colour in colours.items()
    }
    return RichTheme({**styles, "key": Style(color=colours["focus"], bold=True)})


def _show_again(widget: DOMNode) -> None:
    """Show what a widget of Textual's was told to show: it has kept that in the colours of the theme before."""
    # The first picture would wait for it.
    from textual.widgets import OptionList

    if isinstance(widget, Static):
        widget.content = widget.content
    elif isinstance(widget, OptionList):
        for number, option in enumerate(widget.options):
            widget.replace_option_prompt_at_index(number, option.prompt)
        widget.refresh()


class ThemedApp(App[None]):
    """An app with these themes: the dark one at first, that of 16 colours where the terminal has no more."""

    def __init__(self, theme: str | None = None) -> None:
        """Begin in a theme.

        Args:
            theme: One of `theme_names`; None: ours, as many colours as the terminal has.
        """
        self._has_styles = False
        super().__init__()
        for each in THEMES:
            self.register_theme(each)
        ours = SIXTEEN_THEME if self.console.color_system == "standard" else DARK_THEME
        self._styled_in = theme or ours.name
        self.theme = self._styled_in
        self.stylesheet.set_variables(self.get_css_variables())

    def refresh_css(self, animate: bool = True) -> None:
        """Style everything in the theme's colours. Textual asks for it at the start too, when everything is."""
        if self.theme != self._styled_in:
            self._styled_in = self.theme
            super().refresh_css(animate)
            for screen in {screen for stack in self._screen_stacks.values() for screen in stack}:
                self.stylesheet.update(screen, animate=animate)
                for widget in screen.walk_children():
                    _show_again(widget)

    def get_css_variables(self) -> dict[str, str]:
        """Those of the theme, in whose colours Rich's styles are from now on, too."""
        variables = super().get_css_variables()
        if "live" not in variables:
            variables |= _meanings_in(self.current_theme, variables)
            self.theme_variables = variables
        if self._has_styles:
            self.console.pop_theme()
        self.console.push_theme(_rich_styles(variables))
        self._has_styles = True
        return variables
