"""What is said before a look begins and after it ended: its price, why it was refused, what it could not see."""

from collections.abc import Callable
from typing import Literal

from rich.text import Text
from textual.widgets import Static

from views.event_sources import found_text
from views.host import Host
from workbench.decode.display import visible
from workbench.model.address import Address
from workbench.model.endpoint import Endpoint
from workbench.model.errors import LookRefused
from workbench.model.wording import quantity
from workbench.operations.browse_defaults import LAST, price_of
from workbench.store.ingest import Ended, Ingestion


class PriceBanner(Static):
    """Sentences about looks, above the events. Not there while there is nothing to say."""

    def __init__(self, id: str | None = None) -> None:
        super().__init__("", id=id)
        self._priced: Address | None = None

    def on_mount(self) -> None:
        """There is nothing to say yet."""
        self.display = False

    def has_priced(self, address: Address) -> bool:
        """Whether the price of a look at an endpoint is what was said last."""
        return self._priced == address

    @property
    def is_price(self) -> bool:
        """Whether it is a price that is said now."""
        return self.display and self.has_class("price")

    def show_price(self, endpoint: Endpoint) -> None:
        """Say what a look costs."""
        self._priced = endpoint.address
        most = (
            f"Reads {min(endpoint.depth, LAST):,} of {quantity(endpoint.depth, 'message')}. "
            if endpoint.depth is not None
            else ""
        )
        self._show(f"{endpoint.address}: {price_of(endpoint)} {most}b browses, esc cancels.", "price")

    def show_end(self, ended: Ingestion) -> None:
        """Say why a look ended, or what it did not see."""
        error = ended.state.error if isinstance(ended.state, Ended) else None
        if isinstance(error, LookRefused):
            self._priced = ended.address
            self._show(f"{error} F browses anyway, once you have typed the name.", "warning")
        elif error is not None:
            self._show(str(error), "error")
        elif ended.coverage.gaps or ended.coverage.notes:
            said = f"{found_text(ended)}; {ended.coverage.remarks}" if ended.kind == "scan" else str(ended.coverage)
            self._show(f"{ended.address}: {said}.", "note")

    def clear(self) -> None:
        """Say nothing any more."""
        self._priced = None
        self.display = False

    def _show(self, sentence: str, kind: Literal["price", "warning", "error", "note"]) -> None:
        self.set_classes(kind)
        self.update(Text(visible(sentence)))
        self.display = True


def ask_to_force(host: Host, refused: Ingestion, then: Callable[[], None]) -> None:
    """Ask for the name of an endpoint that the broker could lose a message of.

    Args:
        host: Asks.
        refused: The look that was not made.
        then: Called once the name was typed.
    """
    error = refused.state.error if isinstance(refused.state, Ended) else None
    name = refused.address.name
    host.ask(
        "Browsing may lose messages",
        f"{error} Type {name!r} to browse anyway.",
        lambda text: then(),
        wrong=lambda text: None if text == name else "The name does not match. esc cancels.",
    )
