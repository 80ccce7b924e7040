"""Long names of endpoints in little room."""

import pytest

from views.widgets.endpoint_names import shared_beginnings, shorten_name
from workbench.decode.display import cells

SERVICES = [f"com.example.commerce.service-{number:02}.reservations.eu-west-1" for number in range(9)]
DEAD = [f"{name}.dead-letters" for name in SERVICES]


@pytest.mark.parametrize("room", [17, 24, 34])
def test_names_that_begin_alike_are_told_apart_however_little_room_there_is(room: int) -> None:
    names = [*SERVICES, *DEAD, "orders"]
    shown = [shorten_name(name, room, shared_beginnings(names, room)) for name in names]
    assert len(set(shown)) == len(names) and max(map(cells, shown)) <= room
    assert "service-03" in shown[3] and shown[-1] == "orders"


def test_a_name_that_has_room_or_begins_like_few_others_is_cut_in_its_middle_only() -> None:
    names = [*SERVICES, "payments.of.the.shop.that.never.closes"]
    assert shorten_name(SERVICES[0], 60, shared_beginnings(names, 60)) == SERVICES[0]
    assert shorten_name(names[-1], 20, shared_beginnings(names, 20)) == "payments.o…er.closes"
