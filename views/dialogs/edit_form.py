"""Asks what is changed about each message on its way."""

from views.dialogs.form import Answers, Entry, Form
from workbench.decode.json_patch import read_merge_patch, read_patch
from workbench.model.errors import FormatError
from workbench.operations.edit.edit import Edit


def edit_form(edit: Edit | None) -> Form:
    """Ask; `edit_of` reads the answers.

    Args:
        edit: What to begin with.
    """
    begun = edit or Edit()
    headers = "; ".join(f"{name}={value}" for name, value in begun.headers)
    return Form(
        "Edit on the way",
        [
            Entry("merge", "merge into body", begun.merge, True, '{"currency": "EUR"}', wrong=_wrong_merge),
            Entry("patch", "JSON Patch", begun.patch, True, '[{"op": "remove", "path": "/note"}]', wrong=_wrong_patch),
            Entry("headers", "set headers", headers, True, "tenant=north; retry=no", wrong=_wrong_headers),
            Entry("without", "remove headers", "; ".join(begun.without_headers), True, "x-debug; x-trace"),
        ],
        "plan anew",
        "What is not named stays, byte for byte. The original stays in the journal; the plan shows the difference.",
    )


def edit_of(answers: Answers) -> Edit:
    """The answers, which the form has found right."""
    return Edit(
        merge=str(answers["merge"]).strip(),
        patch=str(answers["patch"]).strip(),
        headers=tuple(_pairs(str(answers["headers"]))),
        without_headers=tuple(_parts(str(answers["without"]))),
    )


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(";") if part.strip()]


def _pairs(text: str) -> list[tuple[str, str]]:
    pairs = []
    for part in _parts(text):
        name, equals, value = part.partition("=")
        if not name.strip() or not equals:
            raise FormatError(f"{part!r} is not NAME=VALUE.")
        pairs.append((name.strip(), value.strip()))
    return pairs


def _wrong_headers(text: str) -> str | None:
    try:
        _pairs(text)
    except FormatError as error:
        return str(error)
    return None


def _wrong_merge(text: str) -> str | None:
    try:
        if text.strip():
            read_merge_patch(text.strip())
    except FormatError as error:
        return str(error)
    return None


def _wrong_patch(text: str) -> str | None:
    try:
        if text.strip():
            read_patch(text.strip())
    except FormatError as error:
        return str(error)
    return None
