"""The inspector's four tabs: an event's body, headers, facts and bytes."""

from collections.abc import Mapping
from typing import Final

from views.widgets.inspector.facts import facts_page
from views.widgets.inspector.failure import failure_of
from views.widgets.inspector.headers import headers_page
from views.widgets.inspector.hex import HexPage
from views.widgets.inspector.page import Page, Sentence, Tab
from views.widgets.inspector.pair import Pair
from views.widgets.inspector.text import TextPage
from views.widgets.inspector.tree import Tree
from workbench.decode import codec
from workbench.decode.layout import lay_out
from workbench.decode.outline import Outline
from workbench.facts.facts import Facts
from workbench.model.errors import FormatError
from workbench.model.event import Delivery, Event
from workbench.model.wording import quantity
from workbench.query.condition import Condition

LAID_OUT: Final = 8 * 1024 * 1024
"""Bytes of a body that are shown as JSON or text; Raw shows all."""
VALUES: Final = 256 * 1024
"""Characters shown of MessagePack and CBOR."""


def page(tab: Tab, delivery: Delivery, facts: Facts, dead_letter: bool = False, broken: str = "") -> Page:
    """What a tab shows of an event.

    Args:
        tab: Which.
        delivery: As it may be seen.
        facts: What the conventions say of it.
        dead_letter: Whether it is known to have failed, by where it was seen.
        broken: Why the body turned out not to be the JSON that it began as; empty: it is not known to be.
    """
    event = delivery.event
    match tab:
        case "Body":
            body = body_page(event, broken)
            failure = failure_of(facts, event, dead_letter)
            return body if failure is None else Pair(failure, body)
        case "Headers":
            return headers_page(event, facts)
        case "Facts":
            return facts_page(delivery, facts)
        case "Raw":
            return raw_page(event)


def counts(delivery: Delivery, facts: Facts) -> Mapping[Tab, int]:
    """How many things tabs list, of those that list any."""
    try:
        content = delivery.event.content
    except FormatError:
        return {"Facts": len(facts.found)}
    return {"Headers": len(content.headers) + len(content.properties), "Facts": len(facts.found)}


def body_page(event: Event, broken: str) -> Page:
    if event.body is None:
        null = Condition("not body exists", "body exists")
        return Sentence("null", "There is no body: a tombstone, which is not the same as an empty body.", null)
    if not event.body:
        empty = Condition("body = ''", "body != ''")
        return Sentence("empty", "The body is empty: it has no bytes.", empty)
    read = lay_out(event)
    said = [f"{read.size:,} {'byte' if read.size == 1 else 'bytes'}", *read.notes]
    if broken:
        said.append(broken)
    if read.format in ("JSON", "text"):
        text, cut = codec.text_of(event, LAID_OUT)
        if cut:
            said.append(f"its first {len(text):,} characters")
        if text:
            page = (
                Tree(" · ".join(("JSON", *said)), Outline.of_json(text, cut))
                if read.format == "JSON" and not broken
                else TextPage(" · ".join(("text", *said)), text)
            )
            return _part_of(page, text, cut)
    if read.format in ("MessagePack", "CBOR"):
        if read.truncated:
            read = lay_out(event, VALUES)
        if read.truncated:
            said.append(f"its first {len(read.text):,} characters")
        page = Tree(" · ".join((read.format, *said)), Outline.of_lines(read.text))
        return _part_of(page, read.text, read.truncated)
    data = codec.decode(event).data
    return HexPage(" · ".join(("no text, in hex", *said)), (("", data),))


def _part_of(page: Page, text: str, cut: bool) -> Page:
    """A page of a text, which is perhaps cut."""
    if cut:
        page.part = f"the first {len(text):,} characters"
    return page


def raw_page(event: Event) -> Page:
    sections = [("", event.body or b"")]
    if event.key:
        sections.append((f"Key · {quantity(len(event.key), 'byte')}", event.key))
    if event.wire is not None:
        data = event.wire.data
        sections.append((f"Properties and headers · {event.wire.encoding} · {quantity(len(data), 'byte')}", data))
    body = "null" if event.body is None else "empty" if not event.body else quantity(len(event.body), "byte")
    return HexPage(f"Body · {body}", sections)
