"""Asks for a header or a property of a draft."""

from typing import Final

from views.dialogs.form import Answers, Entry, Form, Switch
from workbench.model.errors import FormatError
from workbench.operations.drafts.model import Field

_TYPED: Final = 'typed: 5, true, null, {"time":"…Z"}, {"base64":"…"}'


def field_form(where: str = "headers", field: Field | None = None) -> Form:
    """Ask for a header or a property; `field_of` reads the answers.

    Args:
        where: `headers` or `properties`.
        field: What to begin with.
    """
    begun = field or Field("", "")
    return Form(
        "A header or a property",
        [
            Entry("name", "name", begun.name, own=True, wrong=lambda text: None if text else "Give it a name."),
            Entry("value", "value", begun.value, own=True),
            Switch("property", "a property, such as content_type or correlation_id", where == "properties"),
            Switch("typed", _TYPED, begun.kind != "text"),
        ],
        "take it",
        wrong=_wrong,
    )


def field_of(answers: Answers, where: str = "headers", field: Field | None = None) -> tuple[str, Field]:
    """`headers` or `properties`, and the field; one that was left as it was stays the original's."""
    answered = "properties" if answers["property"] else "headers"
    new = _field_of(answers)
    if field is not None and answered == where:
        same = (field.name, field.value, field.kind != "text") == (new.name, new.value, new.kind != "text")
        return where, field if same else new
    return answered, new


def _field_of(answers: Answers) -> Field:
    return Field(str(answers["name"]), str(answers["value"]), "typed" if answers["typed"] else "text")


def _wrong(answers: Answers) -> tuple[str, str] | None:
    try:
        _field_of(answers).written()
    except FormatError as error:
        return "value", str(error)
    return None
