"""Keys that arrive in one burst, as on a slow line, do what they do when they are typed slowly."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.fuzz import private
from tests.e2e.terminal import Terminal

ESCAPE = "\x1b[27u"
"""Written so that nothing behind it can be taken for a part of it."""


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    with Terminal("demo", folder=tmp_path, environment=private(tmp_path)) as terminal:
        terminal.until("deployments")
        yield terminal
        terminal.press(f"{ESCAPE * 8}1q")
        assert terminal.wait() == 0


def test_what_is_typed_behind_a_slash_lands_in_the_field_that_it_opens(terminal: Terminal) -> None:
    terminal.press("/dead")
    terminal.until("dead")
    # As commands, `d` and `a` would have led to other screens.
    terminal.press("?")
    terminal.until("dead?")


def test_an_action_is_found_and_done_by_its_name_in_one_burst(terminal: Terminal) -> None:
    terminal.press(":deploy\r")
    terminal.until("payments 1.1 is deployed")


def test_a_key_behind_one_that_opens_a_screen_is_for_that_screen(terminal: Terminal) -> None:
    terminal.press("r2?")
    terminal.until("Keys of Trace")
    terminal.press(f"{ESCAPE}5a")
    terminal.until("Add a connection")
    terminal.press(f"nonsense{ESCAPE}3?")
    terminal.until("Keys of Dead letters")


def test_publish_is_left_by_the_escapes_it_takes_and_no_further(terminal: Terminal) -> None:
    terminal.press(f"6{ESCAPE * 6}?")
    terminal.until("Keys of Events")


def test_a_paste_between_keys_lands_where_they_lead(terminal: Terminal) -> None:
    terminal.press("/\x1b[200~dead\x1b[201~lett")
    terminal.until("deadlett")
    terminal.press(f"{ESCAPE}2\x1b[200~flow-7f3a\x1b[201~?")
    terminal.until("Keys of Trace")
    terminal.press(ESCAPE)
    terminal.until("flow-7f3a")


def test_bytes_that_are_no_text_and_no_key_are_passed_over(terminal: Terminal) -> None:
    terminal.press(b"\xff\xfe\xc3(\x1b[27;1:1u")
    terminal.press("2?")
    terminal.until("Keys of Trace")
