"""What properties and headers there are, as is seen without reading any of their values."""

from typing import NamedTuple


class Manifest(NamedTuple):
    """The names of what an event has.

    Attributes:
        properties: The broker's named fields that are set.
        headers: The names of the headers in order, with duplicates.
        types: The types of the headers in words, such as `string` or `table`; not of what these hold.
    """

    properties: frozenset[str]
    headers: tuple[str, ...]
    types: frozenset[str]
