"""The options that say what is changed about each message on its way."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from workbench.cli.name_values import pair, pairs
from workbench.cli.option_values import option_values
from workbench.cli.options import env_option
from workbench.connecting.plain_files import named_content
from workbench.model.errors import FormatError, StoreError
from workbench.operations.edit.edit import Edit
from workbench.operations.template import Template, template_file, variables_of


def edit_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options; the command gets `edit`, which changes nothing where none is given."""

    @functools.wraps(command)
    def with_edit(
        *args: Any,
        key: str | None,
        headers: tuple[str, ...],
        properties: tuple[str, ...],
        without_headers: tuple[str, ...],
        without_properties: tuple[str, ...],
        patch: str | None,
        merge: str | None,
        template: str | None,
        values: tuple[str, ...],
        **others: Any,
    ) -> Any:
        if template is not None:
            option_values(click.get_current_context()).variables = variables_of(template)
        edit = Edit(
            template=None if template is None else Template.read(template_file(template)),
            values=pairs(values, "--set"),
            patch=_text_of(patch),
            merge=_text_of(merge),
            key=None if key is None else key.encode("utf-8", "surrogateescape"),
            headers=tuple(pair(text, "-H") for text in headers),
            without_headers=without_headers,
            properties=tuple(
                (_property(name), text) for name, text in (pair(each, "--property") for each in properties)
            ),
            without_properties=tuple(map(_property, without_properties)),
        )
        return command(*args, edit=edit, **others)

    decorated: Callable[..., Any] = with_edit
    for decorate in (
        env_option,
        click.option("--set", "values", metavar="NAME=VALUE", multiple=True, help="A variable of the template."),
        click.option(
            "--template",
            metavar="FILE|NAME",
            help="Fill in a template for each message; it may use what the message has: {{ key }}, {{ body.id }},"
            " {{ header.NAME }}, {{ property.NAME }}.",
        ),
        click.option(
            "--merge", metavar="JSON|@FILE", help='Change the bodies by a JSON Merge Patch: \'{"currency": "EUR"}\'.'
        ),
        click.option("--patch", metavar="JSON|@FILE", help="Change the bodies by a JSON Patch (RFC 6902)."),
        click.option(
            "--without-header", "without_headers", metavar="NAME", multiple=True, help="Remove a header. Repeatable."
        ),
        click.option(
            "--without-property",
            "without_properties",
            metavar="NAME",
            multiple=True,
            help="Remove a property. Repeatable.",
        ),
        click.option("--property", "properties", metavar="NAME=VALUE", multiple=True, help="Set a property."),
        click.option("-H", "--header", "headers", metavar="NAME=VALUE", multiple=True, help="Set a header."),
        click.option("-k", "--key", type=click.UNPROCESSED, help="Set the key."),
    ):
        decorated = decorate(decorated)
    return decorated


def _text_of(given: str | None) -> str:
    """What was given, or what is in the file that was."""
    if given is None or not given.startswith("@"):
        return given or ""
    try:
        return named_content(Path(given[1:])).decode()
    except OSError as error:
        raise StoreError(f"{given[1:]} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError:
        raise FormatError(f"{given[1:]} is not UTF-8.") from None


def _property_pair(text: str) -> tuple[str, str]:
    name, value = pair(text, "--property")
    return _property(name), value


def _property(name: str) -> str:
    """A property's name as AMQP's table of them has it, however its user joins the words."""
    return name.replace("-", "_")
