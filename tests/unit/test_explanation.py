"""Which convention gave which fact of an event, and what was looked at and not taken."""

from typing import Any

import pytest

from tests.hostile import deliveries
from workbench.facts.conventions import Conventions
from workbench.facts.explanation import UNREAD, Line, explain
from workbench.model.address import Address
from workbench.model.content import Content, Value
from workbench.model.event import Delivery, Event
from workbench.model.wire import encode

NAMEKO = {
    "name": "nameko",
    "correlation": {"at": "header.nameko.call_id_stack", "path": "0"},
    "causation": {"at": "header.nameko.call_id_stack", "path": "-2"},
    "message": {"at": "header.nameko.call_id_stack", "path": "-1"},
}


def lines(
    headers: dict[str, Value], body: bytes = b"", extra: tuple[dict[str, Any], ...] = (), **properties: Value
) -> list[Line]:
    wire = encode(Content(tuple(headers.items()), properties))
    return list(explain(Conventions.load(extra), Delivery(Event(b"", body, wire), Address("r", "q"), 0)))


def test_a_fact_is_explained_by_its_convention_and_its_place() -> None:
    assert Line("correlation", "root", "Celery", "header.root_id", True, "") in lines({"root_id": "root", "id": "t"})


def test_what_a_less_specific_convention_says_comes_after_and_is_not_taken() -> None:
    found = lines({"root_id": "root"}, correlation_id="task")
    assert found[:2] == [
        Line("correlation", "root", "Celery", "header.root_id", True, ""),
        Line("correlation", "task", "AMQP", "property.correlation_id", False, "Celery takes precedence"),
    ]


def test_of_one_convention_the_place_that_goes_first_is_named() -> None:
    found = lines({"root_id": "root", "group": "g"})
    assert Line("correlation", "g", "Celery", "header.group", False, "header.root_id takes precedence") in found


def test_a_convention_that_does_not_speak_says_what_it_waits_for() -> None:
    found = [line for line in lines({}, b'{"id": 7}') if line.convention == "CloudEvents"]
    assert [line.kind for line in found] == ["message"]
    assert (found[0].taken, found[0].vain) == (False, True)
    assert found[0].why.startswith("only with header.ce_specversion, ")
    assert found[0].why.endswith(" or header.content-type (application/cloudevents…)")


def test_a_place_whose_value_does_not_match_is_looked_at_in_vain() -> None:
    found = [line for line in lines({"traceparent": "garbage"}) if line.convention == "W3C trace context"]
    assert {(line.kind, line.value, line.why) for line in found} == {
        ("correlation", None, "nothing of the kind is there"),
        ("causation", None, "nothing of the kind is there"),
    }


def test_what_no_convention_reads_is_listed_with_its_value() -> None:
    found = lines({"nameko.call_id_stack": ["a.1", "b.2"]}, b'{"total": 1.50}', app_id="shop")
    assert found == [
        Line(None, '["a.1", "b.2"]', None, "header.nameko.call_id_stack", False, "no convention reads it"),
        Line(None, "shop", None, "property.app_id", False, "no convention reads it"),
        Line(None, "1.50", None, "body.total", False, "no convention reads it"),
    ]


def test_a_convention_of_four_lines_reads_a_list_of_ids_and_says_which_item() -> None:
    assert lines({"nameko.call_id_stack": ["a.1", "b.2", "c.3"]}, extra=(NAMEKO,)) == [
        Line("correlation", "a.1", "nameko", "header.nameko.call_id_stack 0", True, ""),
        Line("causation", "b.2", "nameko", "header.nameko.call_id_stack -2", True, ""),
        Line("message", "c.3", "nameko", "header.nameko.call_id_stack -1", True, ""),
    ]


def test_where_an_event_was_is_told_by_one_convention_alone() -> None:
    found = lines(
        {"x-original-exchange": "orders", "x-death": [{"queue": "q", "exchange": "dlx", "reason": "rejected"}]}
    )
    origin = [line for line in found if line.kind is not None and line.kind.startswith("origin")]
    assert {line.convention for line in origin if line.taken} == {"Spring AMQP"}
    assert {line.why for line in origin if not line.taken and not line.vain} == {"Spring AMQP takes precedence"}


@pytest.mark.parametrize(("name", "delivery"), list(deliveries(huge=False)))
def test_what_is_taken_is_what_the_facts_say(name: str, delivery: Delivery) -> None:
    conventions = Conventions.load([NAMEKO])
    facts, found = conventions.facts(delivery), explain(conventions, delivery)
    taken = {line.kind: line.value for line in reversed(found) if line.taken}
    for kind in ("correlation", "causation", "message", "type"):
        assert taken.get(kind) == facts.first(kind)
    assert taken.get("failure.reason") == (facts.failure.reason if facts.failure else None)
    assert sum(line.kind is None for line in found) <= UNREAD
