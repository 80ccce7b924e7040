"""A kind is held to what it declares: what is not true fails, and less than the truth passes."""

from dataclasses import replace
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from tests.contract import test_memory
from tests.contract.suite import ConnectorContract
from tests.contract.under_test import Kind

KINDS = {kind.name: kind for kind in test_memory.TestMemory.kinds}


async def run(test: str, kind: Kind) -> None:
    """One test of the suite, against a kind as it is declared here."""
    await getattr(ConnectorContract(), test)(test_memory.Memory(f"traits-{uuid4().hex}"), kind)


@pytest.mark.parametrize(
    ("name", "declared", "test"),
    [
        ("topic", {"family": "queue"}, "test_endpoint_claims_what_is_expected_of_its_kind"),
        ("bare log", {"keeps": "records"}, "test_browse_is_complete"),
        ("bare log", {"keys": "any"}, "test_browse_is_complete"),
        ("bare log", {"times": "published"}, "test_browse_is_complete"),
        ("topic", {"times": "arrival"}, "test_browse_is_complete"),
        ("bare log", {"positions": "counted"}, "test_coverage_names_the_offsets_read"),
        ("topic", {"positions": "none"}, "test_looking_twice_shows_the_same"),
        ("classic queue", {"positions": "ascending"}, "test_looking_twice_shows_the_same"),
        ("unordered queue", {"order": "arrival"}, "test_browse_is_complete"),
        ("unordered queue", {"order": "arrival"}, "test_browse_shows_no_more_than_its_limit"),
        ("unordered queue", {"order": "arrival"}, "test_what_is_not_settled_comes_back_in_order"),
        ("bare log", {"countable": True}, "test_depth_becomes_what_was_published"),
        ("topic", {"countable": False}, "test_depth_becomes_what_was_published"),
        ("grouped queue", {"whole": True}, "test_browse_is_complete"),
        ("grouped queue", {"whole": True}, "test_claim_is_complete_and_what_is_settled_is_gone"),
        ("classic queue", {"whole": False}, "test_look_that_does_not_see_all_says_so"),
        ("bare log", {"free": True}, "test_look_that_is_free_has_none"),
        ("topic", {"free": False}, "test_look_that_is_not_free_has_a_price"),
        ("numbered queue", {"holds": True}, "test_look_marks_as_redelivered"),
        ("classic queue", {"holds": False}, "test_look_that_takes_nothing_shows_what_others_hold"),
        ("unordered queue", {"gives_back_at_once": True}, "test_looking_twice_shows_the_same"),
        ("classic queue", {"named": True}, "test_looking_twice_shows_the_same"),
        ("numbered queue", {"named": False}, "test_looking_twice_shows_the_same"),
        ("classic queue", {"counts": True}, "test_look_counts_as_a_delivery"),
        ("numbered queue", {"tapped": True}, "test_tail_of_a_queue_says_what_it_cannot_see"),
    ],
)
async def test_what_is_declared_and_not_true_fails(
    name: str, declared: dict[str, Any], test: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = KINDS[name]
    if (settings := test_memory._SETTINGS.get(name)) and settings.rest:
        # Longer than a busy machine takes to look again.
        monkeypatch.setitem(test_memory._SETTINGS, name, msgspec.structs.replace(settings, rest=2_000))
    with pytest.raises(AssertionError):
        await run(test, replace(kind, **declared))


@pytest.mark.parametrize(
    ("name", "declared", "test"),
    [
        ("classic queue", {"order": "none"}, "test_browse_is_complete"),
        ("classic queue", {"order": "none"}, "test_what_is_not_settled_comes_back_in_order"),
        ("grouped queue", {"order": "none"}, "test_claims_in_rounds_take_everything"),
        ("classic queue", {"gives_back_at_once": False}, "test_looking_twice_shows_the_same"),
        ("topic", {"positions": "ascending"}, "test_partition_can_be_chosen"),
    ],
)
async def test_what_is_declared_and_less_than_true_passes(name: str, declared: dict[str, Any], test: str) -> None:
    await run(test, replace(KINDS[name], **declared))
