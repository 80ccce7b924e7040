"""Editing many events: what becomes of each, and what stays as it was."""

import gzip
import json
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.strategies import Sent, events, sent
from workbench.facts.convention_tables import builtin_tables
from workbench.facts.tiers import Tiers
from workbench.model.content import Content
from workbench.model.errors import FormatError
from workbench.model.event import Event
from workbench.model.record_headers import write
from workbench.model.wire import Wire, encode, with_header
from workbench.operations.edit.edit import Edit, described, touched
from workbench.operations.edit.editor import Edited, Editor
from workbench.operations.template import Template
from workbench.operations.template_process import TemplateProcess

TIERS = Tiers(builtin_tables())
CONTENT = Content((("tenant", "north"), ("n", 5), ("x-death", [{"queue": "orders"}])), {"message_id": "m"})
ORDER = Event(
    b"k", b'{"id": 123456789012345678901234567890, "total": 1.50, "items": [1, 2], "who": "J\\u00f6"}', encode(CONTENT)
)


@pytest_asyncio.fixture
async def templates() -> AsyncIterator[TemplateProcess]:
    async with TemplateProcess() as process:
        yield process


async def apply(edit: Edit, *events: Event, templates: TemplateProcess | None = None) -> Sequence[Edited]:
    return await Editor(edit, TIERS, templates or TemplateProcess()).apply(events)


async def edited(edit: Edit, event: Event = ORDER, templates: TemplateProcess | None = None) -> Event:
    [done] = await apply(edit, event, templates=templates)
    assert done.event is not None, done.reason
    return done.event


async def refused(edit: Edit, event: Event = ORDER, templates: TemplateProcess | None = None) -> str:
    [done] = await apply(edit, event, templates=templates)
    assert done.event is None
    return done.reason


def operation(op: str, path: str, **rest: Any) -> str:
    return json.dumps([{"op": op, "path": path, **rest}])


async def test_a_patch_changes_what_it_names_and_no_other_byte() -> None:
    done = await edited(Edit(patch=operation("replace", "/items/1", value=3)))
    assert done == msgspec.structs.replace(ORDER, body=(ORDER.body or b"").replace(b"[1, 2]", b"[1, 3]"))


async def test_a_merge_patch_likewise() -> None:
    done = await edited(Edit(merge='{"items":null}'))
    assert done == msgspec.structs.replace(ORDER, body=(ORDER.body or b"").replace(b' "items": [1, 2],', b""))


async def test_each_event_is_edited_or_it_is_said_why_not() -> None:
    edit = Edit(patch=operation("remove", "/total"))
    bodies = [b'{"total":1}', b'{"sum":1}', b"text", b"\0\0\0\0\7{}", None, b""]
    done = await apply(edit, *[Event(body=body) for body in bodies])
    assert [each.event and each.event.body for each in done] == [b"{}", None, None, None, None, None]
    assert [each.reason for each in done[1:]] == [
        "Its body was not edited: there is nothing at '/total'.",
        "Its body was not edited: not JSON at line 1, column 1.",
        "Its body was not edited: it carries the frame of schema 7, which is not edited as text.",
        "Its body was not edited: there is none, and a patch needs JSON.",
        "Its body was not edited: there is none, and a patch needs JSON.",
    ]


async def test_a_compressed_body_is_patched_inside() -> None:
    done = await edited(Edit(patch=operation("replace", "/a", value=2)), Event(body=gzip.compress(b'{"a":1}', mtime=0)))
    assert gzip.decompress(done.body or b"") == b'{"a":2}'


async def test_an_edit_that_changes_nothing_gives_the_event_itself() -> None:
    edit = Edit(
        headers=(("tenant", "north"), ("n", "5")),
        without_headers=("none",),
        key=b"k",
        patch=operation("test", "/items", value=[1.0, 2]),
        properties=(("message_id", "m"),),
        without_properties=("type",),
    )
    assert await edited(edit) is ORDER
    assert await edited(Edit()) is ORDER


async def test_a_header_that_is_set_keeps_its_place_and_its_type() -> None:
    done = await edited(Edit(headers=(("n", "6"), ("new", "7"))))
    assert done.headers == (("tenant", "north"), ("n", 6), ("x-death", [{"queue": "orders"}]), ("new", "7"))


@pytest.mark.parametrize(
    ("before", "text", "after"),
    [
        (True, "false", False),
        (True, "no", "no"),
        (5, "-6", -6),
        (5, "007", "007"),
        (5, "six", "six"),
        (1.5, "2.25", 2.25),
        (1.5, "0.12345678901234567890123", "0.12345678901234567890123"),
        (Decimal("1.50"), "2.50", Decimal("2.50")),
        (Decimal("sNaN"), "2.50", Decimal("2.50")),
        (datetime(2026, 1, 1, tzinfo=UTC), "2026-02-01T00:00:00+00:00", datetime(2026, 2, 1, tzinfo=UTC)),
        ([1], "2", "2"),
        (None, "x", "x"),
    ],
)
async def test_the_type_of_a_header_is_kept_where_the_text_can_be_one(before: Any, text: str, after: Any) -> None:
    done = await edited(Edit(headers=(("h", text),)), Event(written=Content((("h", before),))))
    assert done.headers == (("h", after),)
    assert type(done.headers[0][1]) is type(after)


async def test_headers_of_a_log_are_set_and_removed() -> None:
    event = Event(written=Content((("a", "1"), ("b", "2"), ("a", "3"))))
    done = await edited(Edit(headers=(("a", "4"),), without_headers=("b",)), event)
    assert done.headers == (("a", "4"),)
    odd = Event(wire=Wire("kafka-2", write([(b"\xff", b"1"), (b"b", b"2")])))
    done = await edited(Edit(without_headers=("b",)), odd)
    assert done.wire == Wire("kafka-2", write([(b"\xff", b"1")]))


async def test_properties_are_set_and_removed() -> None:
    done = await edited(Edit(properties=(("priority", "7"), ("type", "T")), without_properties=("message_id",)))
    assert done.properties == {"priority": 7, "type": "T"}
    assert "'colour' is not a property" in await refused(Edit(properties=(("colour", "red"),)))


@given(sent)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_all_other_headers_and_properties_stay_bit_identical(message: Sent) -> None:
    """Whatever types they have, and in whatever order they came."""
    event = Event(body=b'{"a":1}', wire=message.wire)
    done = await edited(Edit(headers=(("tenant-of-ours", "x"),), patch=operation("replace", "/a", value=2)), event)
    assert done.wire == with_header(message.wire, "tenant-of-ours", "x")
    back = await edited(Edit(without_headers=("tenant-of-ours",)), done)
    # With its last header the table goes, too.
    assert back.wire == message.wire or message.headers == []


@given(events, st.sampled_from(["tenant", "h", "é", "x" * 300, ""]), st.text(max_size=5))
async def test_any_event_is_edited_or_it_is_said_why_not(event: Event, name: str, text: str) -> None:
    edit = Edit(
        patch=operation("add", "/new", value=1),
        headers=((name, text),),
        without_headers=("time",),
        properties=(("type", text),),
        without_properties=("priority",),
    )
    for each in (edit, msgspec.structs.replace(edit, patch=""), msgspec.structs.replace(edit, text=text, patch="")):
        [done] = await apply(each, event)
        if done.event is None:
            assert done.reason.endswith(".")
        else:
            assert (name, text) in done.event.headers or type(dict(done.event.headers)[name]) is not str
            assert "priority" not in done.event.properties


async def test_a_template_uses_what_the_event_has(templates: TemplateProcess) -> None:
    template = Template(
        key="{{ key }}-{{ seq }}",
        body='{"id": {{ body.id }}, "total": {{ body.total }}, "of": "{{ property.message_id }}",'
        ' "was": {{ body | tojson }}}',
        headers={"tenant": "{{ header.tenant | upper }}", "who": "{{ body.who }}"},
        set={"unused": "1"},
    )
    done = await edited(Edit(template=template), templates=templates)
    assert done.key == b"k-0"
    assert done.body == (
        b'{"id": 123456789012345678901234567890, "total": 1.50, "of": "m", "was":'
        b' {"id": 123456789012345678901234567890, "total": 1.50, "items": [1, 2], "who": "J\xc3\xb6"}}'
    )
    assert done.headers[0] == ("tenant", "NORTH")
    assert done.headers[-1] == ("who", "Jö")


async def test_what_an_event_says_is_never_a_template(templates: TemplateProcess) -> None:
    event = Event(b"{{ 7 * 7 }}", b'{"a":"{{ env }}"}', written=Content((("h", "{% include 'x' %}"),)))
    template = Template(key="{{ key }}", body='{"a":{{ body.a | tojson }}}', headers={"h": "{{ header.h }}"})
    assert await edited(Edit(template=template), event, templates) == event


async def test_a_template_that_fails_for_one_event_fails_for_that_one(templates: TemplateProcess) -> None:
    edit = Edit(template=Template(body='{"of":"{{ body.who }}"}'))
    bodies = [b'{"who":"A"}', b"{}", b"\xff\xfe\xfd", b'{"who":"B \\"the\\" C"}', b'{"who":"D"}', None]
    done = await apply(edit, *[Event(body=body) for body in bodies], templates=templates)
    assert [each.event and each.event.body for each in done] == [
        b'{"of":"A"}',
        None,
        None,
        None,
        b'{"of":"D"}',
        None,
    ]
    assert "has no attribute 'who'" in done[1].reason
    assert "the event's body cannot be used: it is not text" in done[2].reason
    assert "it is JSON, and would be none" in done[3].reason


async def test_a_template_that_takes_all_memory_leaves_the_others_as_they_are(
    templates: TemplateProcess,
) -> None:
    edit = Edit(template=Template(key="{% if body.n %}{{ 'x'.ljust(body.n) }}{% else %}k{% endif %}"))
    done = await apply(edit, Event(body=b'{"n":9000000000}'), Event(body=b'{"n":0}'), templates=templates)
    assert done[0].event is None and "memory" in done[0].reason
    assert done[1].event is not None and done[1].event.key == b"k"


async def test_a_seed_picks_the_same_for_an_event_whatever_came_before(templates: TemplateProcess) -> None:
    edit = Edit(template=Template(key="{{ uuid() }}"), seed=7)
    editor = Editor(edit, TIERS, templates)
    both = await editor.apply([ORDER, ORDER])
    [second] = await editor.apply([ORDER], first=1)
    assert both[1] == second
    assert both[0] != both[1]


async def test_a_body_that_is_json_stays_json() -> None:
    assert await refused(Edit(text='{"a":}')) == (
        "Its body was not edited: it is JSON, and would be none: at line 1, column 6."
    )
    assert (await edited(Edit(text="[1]"))).body == b"[1]"
    assert (await edited(Edit(text="any"), Event(body=b"text"))).body == b"any"


@pytest.mark.parametrize(
    "edit",
    [
        Edit(headers=(("x-death", "1"),)),
        Edit(without_headers=("X-Delivery-Count",)),
        Edit(headers=(("workbench-redrives", "0"),)),
        Edit(template=Template(headers={"kafka_dlt-original-topic": "x"})),
    ],
)
def test_what_is_locked_is_refused_before_any_event_is_read(edit: Edit) -> None:
    with pytest.raises(FormatError, match="cannot be edited"):
        Editor(edit, TIERS, TemplateProcess())


def test_what_it_names_has_a_tier() -> None:
    edit = Edit(
        patch=operation("replace", "/correlationId", value="x"),
        merge='{"total":1}',
        headers=(("tenant", "x"), ("traceparent", "y")),
        without_properties=("message_id",),
    )
    assert [(str(each), each.tier) for each in touched(edit, TIERS)] == [
        ("header tenant", "free"),
        ("header traceparent", "sensitive"),
        ("property message_id", "sensitive"),
        ("body correlationId", "sensitive"),
        ("body total", "free"),
    ]


def test_it_says_what_it_does() -> None:
    edit = Edit(
        template=Template(body="x", headers={"a": "b"}),
        patch=operation("remove", "/a"),
        headers=(("tenant", "x"),),
        without_headers=("old",),
        key=b"k",
    )
    assert described(edit) == [
        "fills in a template for body and 1 header",
        "applies a JSON Patch of 1 operation",
        "sets the key",
        "removes header old",
        "sets header tenant",
    ]


def test_it_can_be_kept_in_a_file() -> None:
    edit = Edit(
        template=Template(body="x", headers={"a": "b"}, set={"n": 1}),
        seed=7,
        merge='{"a":1.0}',
        key=b"\xff",
        headers=(("tenant", "x"),),
    )
    assert msgspec.json.decode(msgspec.json.encode(edit), type=Edit) == edit
    assert not Edit() and edit
