"""What occurs in some deliveries, for completing a query: names of headers and properties, paths of bodies, values."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from workbench.model.errors import FormatError
from workbench.model.event import Delivery
from workbench.model.values import value_text
from workbench.query.paths import json_tree
from workbench.query.query import PLAIN, Reading, quote

LARGEST: Final = 64 * 1024
"""Bytes of a body that is looked into."""
DEEPEST: Final = 4
"""Steps of a path."""
PATHS: Final = 200
"""Paths of one body."""
FEW: Final = 50
"""Different values from which on a field has none that are worth offering."""
_LONGEST: Final = 60
_SPECIAL: Final = re.compile(r"""[\s()'",=!<>~\[\]]""")


class Vocabulary:
    """What occurs in some deliveries, most frequent first.

    Args:
        deliveries: A sample of them.
        reading: How they are understood; what is masked does not occur.
    """

    def __init__(self, deliveries: Iterable[Delivery] = (), reading: Reading = PLAIN) -> None:
        self._paths: Final = Counter[str]()
        self._values: Final[dict[str, Counter[str]]] = {}
        for delivery in deliveries:
            self._add(reading.mask(delivery), reading)

    @property
    def paths(self) -> Sequence[str]:
        """Fields, as a query has them: `header.retry`, `body.items[].sku`."""
        return [path for path, _ in self._paths.most_common()]

    def values(self, symbol: str) -> Sequence[str]:
        """The values of a field; none where there are too many different ones to choose from."""
        found = self._values.get(symbol)
        return [value for value, _ in found.most_common()] if found is not None and len(found) <= FEW else ()

    def _add(self, delivery: Delivery, reading: Reading) -> None:
        facts = reading.facts(delivery)
        for symbol, text in (("type", facts.type), ("reason", facts.reason), ("endpoint", delivery.address.name)):
            self._note(symbol, text)
        if origin := facts.origin:
            self._note("origin", origin.queue or origin.topic or origin.exchange)
        if delivery.position is not None:
            self._note("partition", delivery.position.partition)
        try:
            content = delivery.event.content
        except FormatError:
            return
        for kind, entries in (("header", content.headers), ("property", content.properties.items())):
            for name, value in entries:
                self._found(f"{kind}{_step(name, dots=True)}", value)
        body = delivery.event.body
        if body and len(body) <= LARGEST:
            read = reading.body(delivery.event)
            self._look_into("body", json_tree(read) if isinstance(read, bytes) else read)

    def _look_into(self, path: str, value: Any) -> None:
        waiting, left = [(path, value, 0)], PATHS
        while waiting and left:
            path, value, depth = waiting.pop(0)
            if isinstance(value, Mapping) and depth < DEEPEST:
                waiting += [(path + _step(str(name)), item, depth + 1) for name, item in value.items()]
            elif isinstance(value, list | tuple) and depth < DEEPEST:
                waiting += [(f"{path}[]", item, depth + 1) for item in value[:1]]
            if depth:
                left -= 1
                self._found(path, value)

    def _found(self, path: str, value: Any) -> None:
        self._paths[path] += 1
        if value is not None and not isinstance(value, Mapping | list | tuple):
            self._note(path, value_text(value))

    def _note(self, symbol: str, value: str | None) -> None:
        if value and len(value) <= _LONGEST and value.isprintable():
            known = self._values.setdefault(symbol, Counter())
            if value in known or len(known) <= FEW:
                known[value] += 1


def _step(name: str, dots: bool = False) -> str:
    """A name behind a path; in quotes where it would not be one step.

    Args:
        name: The name.
        dots: Whether it may have dots without quotes, as those of headers may.
    """
    plain = name and not _SPECIAL.search(name) and (dots or "." not in name)
    return f".{name}" if plain else f".{quote(name)}"
