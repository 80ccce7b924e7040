"""The action table, and each action on the screens that have it."""

import base64
import json
import threading
from pathlib import Path

import msgspec
import pytest
from textual.events import Paste
from textual.widgets import Input

from connectors.memory import QueueSettings
from tests.views.driver import address, order, payment, running, shop
from views import event_list, event_sources, export
from views.actions import ACTIONS, key_name, of_screen
from views.app import Opening, Workbench
from views.connections import Connections
from views.dead_letters import DeadLetters
from views.events import Events
from views.journal import Journal
from views.publish import PublishScreen
from views.trace import Trace
from views.widgets.endpoint_tree import EndpointTree
from views.widgets.event_table import EventTable
from views.widgets.inspector.inspector import Inspector
from views.widgets.publish.body_editor import BodyEditor
from views.workbench_screen import WorkbenchScreen
from workbench.connecting.config import Connection
from workbench.connecting.config_file import ConfigFile
from workbench.model.errors import ConfigError
from workbench.model.event import Event
from workbench.model.look import Interruption

SCREENS: tuple[type[WorkbenchScreen], ...] = (Events, Trace, DeadLetters, Journal, Connections, PublishScreen)


@pytest.mark.parametrize("screen", SCREENS, ids=lambda screen: screen.__name__)
def test_every_action_is_done_by_a_method_of_each_screen_that_has_it(screen: type[WorkbenchScreen]) -> None:
    missing = [action.id for action in of_screen(screen.ACTIONS_OF) if not hasattr(screen, f"do_{action.id}")]
    assert missing == []


@pytest.mark.parametrize("screen", SCREENS, ids=lambda screen: screen.__name__)
def test_no_key_does_two_things_on_a_screen(screen: type[WorkbenchScreen]) -> None:
    keys = [key for action in of_screen(screen.ACTIONS_OF) for key in action.keys.split(",") if key]
    assert sorted(keys) == sorted(set(keys))


def test_every_action_has_a_name_of_its_own_and_a_sentence() -> None:
    assert len({action.id for action in ACTIONS}) == len(ACTIONS)
    assert all(action.help.endswith(".") for action in ACTIONS)


async def test_footer_help_and_palette_come_from_the_table() -> None:
    async with running((160, 45)) as driver:
        footer = driver.lines[-1]
        offered = [
            each for each in of_screen("events") if each.label and (not each.panels or "endpoints" in each.panels)
        ]
        # What stops an export has its key while there is one.
        missing = [action.id for action in offered if f"{key_name(action.key)} {action.label}" not in footer]
        assert missing == ["stop"]
        await driver.press("question_mark")
        await driver.shows("Keys of Events", "Never costs")
        await driver.press("escape", "colon", "=Switch between dark")
        await driver.shows("Theme  Switch between dark and light.")


async def test_keys_can_be_settled_in_the_configuration() -> None:
    config = ConfigFile(keys={"connections": "0", "theme": "ctrl+g"})
    async with running(config=config) as driver:
        await driver.press("5")
        assert isinstance(driver.app.base_screen, Events)
        await driver.press("0")
        assert isinstance(driver.app.base_screen, Connections)
        before = driver.app.theme
        await driver.press("ctrl+g")
        assert driver.app.theme != before
        await driver.press("question_mark")
        await driver.until(lambda: any(line.strip("│┃ ").startswith("0 ") for line in driver.lines))


def test_an_unknown_action_or_theme_in_the_configuration_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"'browze' in \[keys\] is no action; there are inspect, browse"):
        Workbench(Opening(), {"browze": "x"}, None)
    with pytest.raises(ConfigError, match=r"'pink' is no theme; there are .*workbench-light"):
        Workbench(Opening(), {}, "pink")


async def test_numbers_and_d_change_the_screen() -> None:
    async with running() as driver:
        for key, screen in (("2", Trace), ("3", DeadLetters), ("4", Journal), ("5", Connections), ("1", Events)):
            await driver.press("escape", key)
            await driver.until(lambda screen=screen: isinstance(driver.app.base_screen, screen))  # type: ignore[misc]
        await driver.press("d")
        assert isinstance(driver.app.base_screen, DeadLetters)
        await driver.press("6")
        await driver.until(lambda: isinstance(driver.app.screen, PublishScreen))


async def test_an_action_that_cannot_be_done_says_why() -> None:
    async with running() as driver:
        await driver.press("t")
        await driver.shows("There is no event at the cursor.")
        await driver.open()
        await driver.press("N")
        await driver.shows("find something in it with ctrl+f first")
        await driver.go_to("placed", "exchange")
        await driver.press("b")
        await driver.shows("it holds nothing to look at")


async def test_enter_opens_a_topic_then_an_event_and_escape_leads_back() -> None:
    async with running() as driver:
        await driver.open()
        assert len(driver.app.events.sequences) == 20
        await driver.press("enter")
        assert driver.one(Inspector).has_focus
        await driver.shows('"total": 19.5')
        await driver.press("escape")
        assert driver.one(EventTable).has_focus
        await driver.press("escape", "escape")
        assert driver.one(EndpointTree).has_focus


async def test_enter_on_a_queue_shows_the_price_and_b_pays_it() -> None:
    async with running() as driver:
        await driver.go_to("orders")
        await driver.press("enter")
        await driver.shows("b browses, esc cancels")
        assert driver.app.context.archive.upto == 0
        await driver.press("escape")
        await driver.hides("b browses, esc cancels")
        await driver.press("b")
        await driver.shows("b browses, esc cancels")
        assert driver.app.context.archive.upto == 0
        await driver.press("b")
        await driver.shows("OrderPlaced", "3 read")
        assert driver.broker.queues["orders"].depth == 3


async def test_refreshing_and_opening_again_never_look_into_a_queue() -> None:
    async with running() as driver:
        await driver.go_to("orders")
        await driver.press("r", "enter", "enter", "enter", "r")
        await driver.pilot.pause(0.2)
        assert driver.app.context.archive.upto == 0


async def test_live_shows_what_arrives_and_escape_stops_it() -> None:
    async with running() as driver:
        await driver.go_to("orders")
        await driver.press("l")
        await driver.shows("live")
        driver.broker.publish("placed", order(77))
        await driver.shows("flow-77")
        assert driver.broker.queues["orders"].depth == 4
        await driver.press("q")
        await driver.shows("Quit?", "shop/orders is live: what was shown of it is kept nowhere else.")
        await driver.press("escape")
        driver.broker.publish("placed", order(78))
        await driver.shows("flow-78")
        await driver.press("escape")
        await driver.shows("stopped")


async def test_what_is_live_and_recorded_is_not_left_without_a_question(tmp_path: Path) -> None:
    async with running() as driver:
        await driver.go_to("payments")
        await driver.press("enter", "R", "ctrl+u", f"={tmp_path / 'shop.recording'}", "enter")
        await driver.shows("● recording")
        await driver.press("q")
        await driver.shows("Quit?", "What arrives at 1 endpoint is being recorded: the recording ends.")


async def test_several_marked_endpoints_are_shown_in_one_table() -> None:
    async with running() as driver:
        driver.broker.declare_topic("refunds")
        driver.broker.append("refunds", payment(500))
        await driver.press("r")
        await driver.go_to("refunds")
        await driver.press("space")
        await driver.go_to("payments")
        await driver.press("space", "enter")
        await driver.until(lambda: len(driver.app.events.sequences) == 21)
        await driver.shows('"id":500', "refunds")


async def test_the_tree_is_filtered_and_the_filter_is_left() -> None:
    async with running() as driver:
        await driver.shows("orders.dead", "payments")
        await driver.press("slash", "=dead")
        await driver.hides("payments")
        await driver.press("escape")
        await driver.shows("payments")


async def test_events_are_filtered_by_a_query() -> None:
    async with running() as driver:
        await driver.open()
        await driver.press("slash", "=body.total > 15", "enter")
        await driver.until(lambda: len(driver.app.events.sequences) == 5)
        await driver.shows("5 of 20")


async def test_long_searches_run_in_processes_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_list, "BACKLOG", 3_000)
    broker = shop()
    for number in range(20, 10_000):
        broker.append("payments", payment(number))
    monkeypatch.setattr(event_sources, "LAST", 10_000)
    async with running(broker=broker) as driver:
        await driver.open()
        await driver.until(lambda: len(driver.app.events.sequences) == 10_000)
        await driver.press("slash", "=body.total > 9994", "enter")
        await driver.until(lambda: len(driver.app.events.sequences) == 6)


async def test_follow_is_left_by_going_up_and_taken_up_again() -> None:
    async with running() as driver:
        await driver.open()
        table = driver.one(EventTable)
        await driver.press("k")
        assert table.follow is False
        for number in range(100, 130):
            driver.broker.append("payments", payment(number))
        await driver.shows(" new")
        await driver.press("f")
        await driver.shows("k129")
        assert table.follow


async def test_moving_in_the_table() -> None:
    async with running() as driver:
        await driver.open()
        table = driver.one(EventTable)
        last = table.cursor
        assert last is not None
        await driver.press("g")
        first = table.cursor
        await driver.press("j", "j", "k")
        assert first is not None and table.cursor not in (first, last)
        await driver.press("ctrl+d", "ctrl+u", "G")
        assert table.cursor == last


async def test_finding_in_the_inspector() -> None:
    async with running() as driver:
        await driver.open()
        await driver.press("enter", "ctrl+f", "=9", "enter", "n")
        await driver.shows("2 of 2")
        await driver.press("N")
        await driver.shows("1 of 2")


async def test_tabs_of_the_event_stand_in_its_border_and_are_clicked() -> None:
    async with running() as driver:
        await driver.open()
        top = next(number for number, line in enumerate(driver.lines) if "Body  Headers 2  Facts 2  Raw" in line)
        assert "Event" in driver.lines[top]
        await driver.pilot.click(offset=(driver.lines[top].index("Headers"), top))
        await driver.shows("2 headers, 0 properties")
        assert driver.one(Inspector).has_focus


async def test_slash_filters_events_in_the_inspector_too() -> None:
    async with running() as driver:
        await driver.open()
        await driver.press("enter", "slash", "=body.total > 15", "enter")
        await driver.until(lambda: len(driver.app.events.sequences) == 5)


async def test_pointing_at_values_filters_by_them_and_stays_there() -> None:
    async with running() as driver:
        await driver.open()
        await driver.press("g", "j", "j", "enter", "right", "j", "j")
        inspector = driver.one(Inspector)
        flow = inspector.text_to_copy()
        await driver.press("equals_sign")
        await driver.shows(f"/ header.correlation_id = {flow} ")
        await driver.until(lambda: len(driver.app.events.sequences) == 2)
        assert inspector.has_focus and inspector.tab == "Headers" and inspector.text_to_copy() == flow
        # The same once more changes nothing; another value goes behind it.
        await driver.press("equals_sign", "left", "j", "j")
        number = inspector.text_to_copy()
        await driver.press("exclamation_mark")
        await driver.shows(f"/ header.correlation_id = {flow} and body.id != {number} ")
        await driver.until(lambda: len(driver.app.events.sequences) == 1)


async def test_a_value_that_is_asked_for_is_excluded_in_its_place() -> None:
    async with running() as driver:
        await driver.open()
        await driver.press("g", "enter", "right", "j", "j")
        flow = driver.one(Inspector).text_to_copy()
        await driver.press("equals_sign", "exclamation_mark")
        await driver.shows(f"/ header.correlation_id != {flow} ")
        await driver.until(lambda: len(driver.app.events.sequences) == 18)


async def test_what_is_pointed_at_becomes_a_column() -> None:
    async with running((160, 45)) as driver:
        await driver.open()
        await driver.press("enter", "j", "j", "plus")
        await driver.shows("body.id is a column now.")
        assert "body.id" in [column.id for column in driver.one(EventTable).columns]
        await driver.press("home", "right", "plus")
        await driver.shows("There is no value here")


async def test_what_no_query_can_ask_for_is_said() -> None:
    async with running() as driver:
        await driver.open()
        await driver.press("equals_sign")
        await driver.shows("Open an event with enter")
        await driver.press("enter", "j", "equals_sign")
        await driver.shows("A query compares single values")
        assert len(driver.app.events.sequences) == 20


async def test_an_event_is_mended_in_the_body_of_its_clone() -> None:
    async with running() as driver:
        await driver.open()
        await driver.press("enter", "e")
        await driver.until(lambda: isinstance(driver.app.screen, PublishScreen))
        await driver.until(lambda: driver.app.screen.query_one("#body").has_focus)
        assert '"total"' in driver.one(BodyEditor).text


async def test_copying(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running() as driver:
        copied: list[str] = []
        monkeypatch.setattr(driver.app, "copy_to_clipboard", copied.append)
        await driver.open()
        await driver.press("y")
        await driver.until(lambda: copied)
        assert copied[-1] == '{"id":19,"total":19.5}'
        await driver.press("Y")
        await driver.until(lambda: len(copied) == 2)
        assert json.loads(copied[-1])["key"] == "k19"
        await driver.press("enter", "j", "j", "y")
        await driver.until(lambda: len(copied) == 3)
        assert copied[-1] in ("19", '"id": 19', "19.5")


async def test_a_body_that_is_no_text_is_copied_as_base64(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running() as driver:
        copied: list[str] = []
        monkeypatch.setattr(driver.app, "copy_to_clipboard", copied.append)
        driver.broker.append("payments", msgspec.structs.replace(payment(1), body=b"\xff\x00"))
        await driver.open()
        await driver.press("G", "y")
        await driver.until(lambda: copied)
        assert base64.b64decode(copied[0]) == b"\xff\x00"


async def test_export_writes_the_marked_events_or_all(tmp_path: Path) -> None:
    async with running() as driver:
        await driver.open()
        await driver.press("g", "space", "space", "x", "ctrl+u", f"={tmp_path / 'marked.ndjson'}", "enter")
        await driver.shows("2 events written")
        await driver.press("g", "space", "space", "x", "ctrl+u", f"={tmp_path / 'all.ndjson'}", "enter")
        await driver.shows("20 events written")
        assert len((tmp_path / "marked.ndjson").read_text().splitlines()) == 2
        assert len((tmp_path / "all.ndjson").read_text().splitlines()) == 20
        await driver.press("x", "ctrl+u", f"={tmp_path / 'all.ndjson'}", "enter")
        await driver.shows("already exists")


async def test_an_export_is_stopped_and_says_what_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    append, written, goes_on = export._append, [0], threading.Event()

    def second_waits(path: Path, lines: bytes) -> None:
        written[0] += 1
        append(path, lines)
        assert written[0] != 2 or goes_on.wait(60)

    monkeypatch.setattr(export, "AT_ONCE", 5)
    monkeypatch.setattr(export, "_append", second_waits)
    file = tmp_path / "some.ndjson"
    async with running() as driver:
        await driver.open()
        await driver.press("x", "ctrl+u", f"={file}", "enter")
        await driver.shows("5 of 20 events exported", "ctrl+x stops", "ctrl+x stop")
        await driver.press("x")
        await driver.shows("Another export is running")
        # From any screen, and from any field.
        await driver.press("6")
        await driver.shows("5 of 20 events exported")
        await driver.press("escape", "q")
        await driver.shows("Quit?", "Events are being exported")
        await driver.press("escape", "ctrl+x")
        goes_on.set()
        await driver.shows(f"10 events written to {file}; stopped before the other 10.")
        assert len(file.read_text().splitlines()) == 10
        await driver.hides("ctrl+x stop")
        await driver.press("escape", "1", "ctrl+x")
        await driver.until(lambda: driver.app.progress is None)


async def test_columns_are_chosen_widened_and_narrowed() -> None:
    async with running((160, 45)) as driver:
        await driver.open()
        table = driver.one(EventTable)
        await driver.press("C", *"nonsense", "enter")
        await driver.shows("Columns", "Unknown field nonsense.")
        await driver.press(*["backspace"] * 8, *"type", "space", "enter")
        await driver.until(lambda: "type" not in [column.id for column in table.columns])
        await driver.hides("PaymentSettled")
        assert [column.id for column in table.columns] == ["time", "correlation", "key", "body"]

        def rows() -> list[str]:
            # The tree beside them goes on listing.
            return [line[40:] for line in driver.lines[5:10]]

        before = rows()
        await driver.press(">")
        await driver.until(lambda: rows() != before)
        await driver.press("<")
        await driver.until(lambda: rows() == before)


async def test_colour_and_times_change_how_events_are_drawn() -> None:
    async with running() as driver:
        await driver.open()
        table = driver.one(EventTable)
        await driver.press("o", "Z")
        assert (table.coloured, table.relative_times) == (True, True)
        await driver.press("o", "Z")
        assert (table.coloured, table.relative_times) == (False, False)


async def test_a_group_is_opened_down_to_the_event_it_is_stuck_on() -> None:
    async with running() as driver:
        await driver.shows("groups 1")
        tree = driver.one(EndpointTree)
        await driver.press("G", "enter")
        await driver.shows("ledger")
        await driver.press("G", "enter")
        await driver.shows("committed")
        assert tree.line is not None and tree.line.group == "ledger"
        await driver.press("enter")
        await driver.shows("k8")
        found = await driver.app.context.archive.get(driver.app.events.sequences[0])
        assert found is not None and found.position is not None and found.position.offset == "4"


async def test_trace_leads_to_the_events_of_a_flow() -> None:
    async with running() as driver:
        await driver.open()
        await driver.press("t")
        await driver.shows("2 events ·")
        await driver.press("o")
        await driver.until(lambda: isinstance(driver.app.base_screen, Events) and len(driver.app.events.sequences) == 2)


async def test_a_trace_goes_on_with_what_is_read_meanwhile() -> None:
    async with running() as driver:
        await driver.open()
        await driver.press("t")
        await driver.shows("2 events ·")
        driver.broker.append("payments", payment(18))
        await driver.shows("3 events ·")


async def test_any_id_is_traced_typed_or_pasted() -> None:
    async with running() as driver:
        await driver.open()
        await driver.press("T", "=flow-3", "enter")
        await driver.shows("2 events ·")
        await driver.press("escape", "1")
        driver.app.screen.post_message(Paste("flow-4\n"))
        await driver.until(lambda: isinstance(driver.app.base_screen, Trace))
        await driver.until(lambda: driver.one(Input).value == "flow-4")


async def test_a_theme_is_changed_and_stays_of_its_kind() -> None:
    async with running() as driver:
        await driver.press("D")
        assert driver.app.theme == "workbench-light"
        await driver.press("D")
        assert driver.app.theme == "workbench-dark"
        driver.app.theme = "workbench-16"
        await driver.press("D")
        assert driver.app.theme == "workbench-16"
        await driver.shows("your terminal's settings")


async def test_a_session_is_recorded_and_opened_again(tmp_path: Path) -> None:
    path = tmp_path / "session.db"
    async with running() as driver:
        await driver.open()
        await driver.press("R", "ctrl+u", f"={path}", "enter")
        await driver.shows("● recording")
    async with running(opening=Opening(recording=path)) as driver:
        await driver.until(lambda: len(driver.app.events.sequences) == 20)
        await driver.shows("session.db (read-only)", "everything held")
        driver.app.show_endpoint(address("payments"))
        await driver.press("l")
        await driver.shows("This is a recording")
        await driver.press("R")
        await driver.shows("there is nothing to record")


async def test_the_demos_payment_service_is_fixed_by_name() -> None:
    faces = [Connection.parse(f"{face}=demo://shop/{face}?seed=3") for face in ("rabbit", "kafka")]
    async with running((160, 60), connections=faces, opening=Opening(demo=True)) as driver:
        await driver.press("colon", "=deploy", "enter")
        await driver.shows("payments 1.1 is deployed")
        await driver.go_to("rabbit/payments")
        await driver.shows("payments-1.1-")


async def test_refresh_lists_at_once() -> None:
    async with running() as driver:
        await driver.shows("payments")
        driver.broker.declare_queue("just-made")
        await driver.press("r")
        await driver.shows("just-made")


async def test_a_terminal_that_cannot_be_handed_on_is_said() -> None:
    async with running() as driver:
        await driver.open()
        await driver.press("v")
        await driver.shows("This terminal cannot be handed to another program.")


async def test_publish_and_clone_open_the_publish_screen() -> None:
    async with running() as driver:
        await driver.press("p")
        await driver.until(lambda: isinstance(driver.app.screen, PublishScreen))
        await driver.press("escape", "escape")
        await driver.open()
        await driver.press("c")
        await driver.shows("clone of shop/payments")


async def test_quitting_is_done_by_its_key_and_by_name() -> None:
    for keys in (["q"], ["ctrl+c"], ["ctrl+q"], ["colon", "=quit", "enter"]):
        async with running() as driver:
            await driver.press(*keys)
            await driver.until(lambda driver=driver: not driver.app.is_running)  # type: ignore[misc]


async def test_connections_are_checked_step_by_step() -> None:
    async with running() as driver:
        await driver.press("5", "enter")
        await driver.shows("the embedded broker")


async def test_a_connection_that_no_connector_speaks_says_so_beside_its_name() -> None:
    async with running((160, 40), connections=[Connection.parse("x=smtp://host")], connected=False) as driver:
        await driver.shows("✖ x Unknown connection type smtp://")


async def test_a_connection_that_fails_says_why_and_counts_down() -> None:
    gone = [Connection.parse("gone=kafka://127.0.0.1:1")]
    async with running((160, 40), connections=gone, connected=False) as driver:
        await driver.shows("○ gone", "retry")
        assert isinstance(driver.app.context.watches["gone"].state, Interruption)
        await driver.press("5")
        await driver.shows("retry in")
        await driver.press("enter")
        await driver.shows("✖ ")


async def test_letters_go_to_the_first_and_the_last_of_the_dead_letters() -> None:
    broker = shop()
    broker.declare_queue("audit", QueueSettings(dead_letter_exchange="", dead_letter_routing_key="audit.dead"))
    broker.declare_queue("audit.dead")
    broker.publish("", Event(b"audit.dead", b"{}"))
    async with running(broker=broker) as driver:
        await driver.press("3")
        await driver.shows("shop/audit.dead", "shop/orders.dead")
        await driver.press("G", "g", "G", "enter")
        tree = driver.one(EndpointTree)
        await driver.until(lambda: tree.line is not None and tree.line.address == address("orders.dead"))
