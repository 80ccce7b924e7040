"""The palette: every action by its name, and every endpoint."""

from typing import Final

from textual.command import CommandList, CommandPalette, DiscoveryHit, Hit, Hits, Provider
from textual.content import Content

from views.actions import key_name, of_screen
from views.workbench_screen import WorkbenchScreen
from workbench.decode.display import visible

FOUND: Final = 50
"""Endpoints that are offered at most."""


class Palette(CommandPalette):
    """Textual's, which also holds where there is no room for its list."""

    def _action_command_list(self, action: str) -> None:
        if self.query_one(CommandList).scrollable_content_region:
            super()._action_command_list(action)


class Everything(Provider):
    """What can be done on this screen, and where one can go."""

    async def discover(self) -> Hits:
        screen = self.screen
        if not isinstance(screen, WorkbenchScreen):
            return
        for action in of_screen(screen.ACTIONS_OF):
            reason = screen.why_not(action.id)
            yield DiscoveryHit(
                _name(action.id),
                lambda id=action.id: screen.action_act(id),
                text=action.id,
                help=_help(action.keys, reason or action.help),
            )
        for offer in screen.context.session.actions():
            yield DiscoveryHit(
                _name(offer.name), lambda do=offer: screen.host.act(do), text=offer.name, help=offer.help
            )

    async def search(self, query: str) -> Hits:
        screen = self.screen
        if not isinstance(screen, WorkbenchScreen):
            return
        matcher = self.matcher(query)
        for action in of_screen(screen.ACTIONS_OF):
            name, line = _name(action.id), f"{_name(action.id)} · {action.help}"
            # What an action is called counts for more than what is said about it.
            if (score := matcher.match(name) or matcher.match(line) / 4) > 0:
                reason = screen.why_not(action.id)
                yield Hit(
                    score,
                    matcher.highlight(line),
                    lambda id=action.id: screen.action_act(id),
                    text=action.id,
                    help=_help(action.keys, reason),
                )
        for offer in screen.context.session.actions():
            line = f"{_name(offer.name)} · {offer.help}"
            if (score := matcher.match(_name(offer.name)) or matcher.match(line) / 4) > 0:
                yield Hit(score, matcher.highlight(line), lambda do=offer: screen.host.act(do), text=offer.name)
        found = 0
        folded = query.casefold()
        for endpoint in screen.context.endpoints():
            address = str(endpoint.address)
            # A plain test first: to score ten thousand names at each key would be felt.
            if folded in address.casefold() and (score := matcher.match(address)) > 0:
                found += 1
                yield Hit(
                    score,
                    Content(visible(address)),
                    lambda to=endpoint.address: screen.host.show_endpoint(to),
                    text=visible(address),
                    help=endpoint.kind,
                )
                if found == FOUND:
                    return


def _name(id: str) -> str:
    return id.replace("_", " ").capitalize()


def _help(keys: str, sentence: str | None) -> str:
    written = " ".join(key_name(key) for key in keys.split(",") if key)
    return "  ".join(filter(None, (written, sentence)))
