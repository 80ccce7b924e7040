"""An edit: what is to be changed about each of many events, as plain data that a plan can keep."""

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

import msgspec

from workbench.decode.json_patch import merged_at, pointed_at, read_merge_patch, read_patch
from workbench.facts.tiers import Tier, Tiers, Where
from workbench.model.errors import FormatError
from workbench.model.wording import quantity
from workbench.operations.template import Template


class Edit(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is to be changed about an event; what it does not name stays, byte for byte.

    The body is first replaced, by `text` or the template's, then patched, then merged; headers and properties are first
    removed, then set, the template's before those that stand here.

    Attributes:
        text: The whole text of the body; None: it stays.
        template: Its texts take the place of the event's key and body, and are set as headers and properties; they may
            use what the event has (`Template`).
        values: Take the place of those in the template's `set`.
        seed: Makes the template's random pickers pick the same for each event whenever it is edited; None: they do not.
        patch: A JSON Patch (RFC 6902) of the body; empty: none.
        merge: A JSON Merge Patch (RFC 7396) of the body; empty: none.
        key: The key; None: it stays.
        headers: Names and values to set. A header that there is keeps its place and, where the value can be one of it,
            its type.
        without_headers: Names of headers to remove.
        properties: Likewise.
        without_properties: Likewise.
    """

    text: str | None = None
    template: Template | None = None
    values: Mapping[str, str] = {}
    seed: int | None = None
    patch: str = ""
    merge: str = ""
    key: bytes | None = None
    headers: tuple[tuple[str, str], ...] = ()
    without_headers: tuple[str, ...] = ()
    properties: tuple[tuple[str, str], ...] = ()
    without_properties: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return self != _NOTHING


_NOTHING: Final = Edit()


class Touched(NamedTuple):
    """Something that an edit names.

    Attributes:
        where: What it is.
        name: The name of the header or property, or the path in the body.
        tier: How carefully it has to be edited.
    """

    where: Where
    name: str
    tier: Tier

    def __str__(self) -> str:
        return f"{self.where} {self.name}"


def touched(edit: Edit, tiers: Tiers) -> list[Touched]:
    """What an edit names, each once.

    Raises:
        FormatError: Its patch is none.
    """
    return [Touched(where, name, tiers.tier_of(name, where)) for where, name in dict.fromkeys(_named(edit))]


def check(edit: Edit, tiers: Tiers) -> None:
    """Hold an edit to what can be done at all.

    Raises:
        FormatError: It names what is locked, or its patch is none; the sentence says which.
    """
    for each in touched(edit, tiers):
        if each.tier == "locked":
            raise FormatError(
                f"The {each} cannot be edited: it is written by brokers, by what dead-letters, or by the workbench."
            )


def described(edit: Edit) -> list[str]:
    """What an edit does, in a few words each, for people: `sets header tenant`."""
    said = []
    if edit.text is not None:
        said.append("replaces the body")
    if (template := edit.template) is not None:
        replaced = [what for what in ("key", "body") if getattr(template, what) is not None]
        said.append(f"fills in a template for {_listed([*replaced, *_filled(template)])}")
    if edit.patch:
        said.append(f"applies a JSON Patch of {quantity(len(read_patch(edit.patch)), 'operation')}")
    if edit.merge:
        said.append("applies a JSON Merge Patch")
    if edit.key is not None:
        said.append("sets the key")
    for verb, where, names in (
        ("removes", "header", edit.without_headers),
        ("removes", "property", edit.without_properties),
        ("sets", "header", [name for name, _ in edit.headers]),
        ("sets", "property", [name for name, _ in edit.properties]),
    ):
        said += [f"{verb} {where} {name}" for name in names]
    return said


def _named(edit: Edit) -> Iterator[tuple[Where, str]]:
    template = edit.template or Template()
    headers = template.headers.items() if isinstance(template.headers, Mapping) else template.headers
    for name, _ in (*headers, *edit.headers):
        yield "header", name
    for name in edit.without_headers:
        yield "header", name
    for name in (*template.properties, *(name for name, _ in edit.properties), *edit.without_properties):
        yield "property", name
    for path in pointed_at(read_patch(edit.patch)) if edit.patch else ():
        yield "body", path
    for path in merged_at(read_merge_patch(edit.merge)) if edit.merge else ():
        yield "body", path


def _filled(template: Template) -> Iterator[str]:
    headers = list(template.headers)
    if headers:
        yield quantity(len(headers), "header")
    if template.properties:
        yield quantity(len(template.properties), "property")


def _listed(names: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]])) if names else "nothing"
