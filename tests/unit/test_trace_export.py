"""A trace as a Mermaid diagram and as OTLP spans."""

import json
import re
import string
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.test_trace import FLOW, NOON, POINTERS, named, sighted
from workbench.decode.display import visible
from workbench.model.address import Address
from workbench.operations.export.file import write_trace
from workbench.operations.export.mermaid import label, mermaid
from workbench.operations.export.otlp import otlp
from workbench.operations.trace.forest import trace

REASON = "no; #1 account\n"
SOME = [
    sighted("k/orders", 0, headers={**named("message-1"), "event-type": "OrderPlaced"}, at="0:1"),
    sighted("k/payments", 100, headers=named("message-2", "message-1"), at="1:25"),
    sighted("k/dead", 2500, headers={**POINTERS["SmallRye"], "dead-letter-reason": REASON}, at="0:3", held=True),
    sighted("r/mail", 50, headers=named("message-4")),
]


@given(st.text())
def test_whatever_stands_in_a_label_is_plain_or_a_code_point(text: str) -> None:
    written = label(text)
    assert re.fullmatch(r"(?:[A-Za-z0-9 ._]|#\d+;)*", written)
    read = re.sub(r"#(\d+);", lambda match: chr(int(match[1])), written)
    shown = visible(text)
    assert read == shown or (len(shown) > 120 and read.endswith("…"))


def test_a_diagram_has_a_lane_for_each_endpoint_and_an_arrow_for_each_cause() -> None:
    drawn = mermaid(trace(SOME)).splitlines()
    assert drawn[0] == "sequenceDiagram"
    assert [line.split(" as ")[0].strip() for line in drawn if "participant" in line] == [
        f"participant lane{number}" for number in range(4)
    ]
    assert any(re.fullmatch(r"    lane0->>lane2: event #43;100 ms", line) for line in drawn)
    assert any(line.startswith("    lane2-xlane3:") for line in drawn)
    assert any("-->>" in line for line in drawn)
    allowed = set(string.ascii_letters + string.digits + " ._#;:->x")
    assert all(set(line) <= allowed for line in drawn)


def test_spans_have_hex_ids_parents_and_last_until_what_they_caused() -> None:
    told = json.loads(otlp(trace(SOME)))
    spans = {
        span["name"]: (resource["resource"]["attributes"][0]["value"]["stringValue"], span)
        for resource in told["resourceSpans"]
        for scope in resource["scopeSpans"]
        for span in scope["spans"]
    }
    assert set(spans) == {"OrderPlaced", "payments", "dead", "mail"}
    ids = {span["spanId"] for _, span in spans.values()}
    assert len(ids) == 4 and all(re.fullmatch("[0-9a-f]{16}", id) for id in ids)
    assert {span["traceId"] for _, span in spans.values()} == {FLOW.replace("-", "")}
    service, placed = spans["OrderPlaced"]
    assert service == "k/orders" and placed["kind"] == 4 and "parentSpanId" not in placed
    assert int(placed["startTimeUnixNano"]) == NOON * 1_000_000
    assert int(placed["endTimeUnixNano"]) == (NOON + 2501) * 1_000_000
    dead = spans["dead"][1]
    assert dead["parentSpanId"] == spans["payments"][1]["spanId"]
    assert dead["status"] == {"code": 2, "message": REASON} and dead["events"][0]["name"] == "exception"
    attributes = {each["key"]: each["value"] for each in dead["attributes"]}
    assert attributes["messaging.destination.name"] == {"stringValue": "dead"}
    assert attributes["messaging.kafka.offset"] == {"intValue": "3"}


def test_a_correlation_id_that_is_no_trace_id_stands_for_one() -> None:
    one = [sighted("k/t", 0, headers={"correlation-id": "order-1001"}, at="0:1")]
    other = [sighted("k/t", 0, headers={"correlation-id": "order-1002"}, at="0:1")]
    told = [json.loads(otlp(trace(some)))["resourceSpans"][0]["scopeSpans"][0] for some in (one, other)]
    ids = [each["spans"][0]["traceId"] for each in told]
    assert all(re.fullmatch("[0-9a-f]{32}", id) for id in ids) and ids[0] != ids[1]


def test_every_span_lasts_a_while_and_within_its_parent() -> None:
    chain = [
        sighted("k/t", number * 7, headers=named(f"message-{number}", f"message-{number - 1}"), at=f"0:{number}")
        for number in range(50)
    ]
    spans = json.loads(otlp(trace(chain)))["resourceSpans"][0]["scopeSpans"][0]["spans"]
    by_id = {span["spanId"]: span for span in spans}
    for span in spans[1:]:
        parent = by_id[span["parentSpanId"]]
        times = [int(each) for each in (parent["startTimeUnixNano"], span["startTimeUnixNano"])]
        ends = [int(each) for each in (span["endTimeUnixNano"], parent["endTimeUnixNano"])]
        assert times[0] <= times[1] < ends[0] <= ends[1]
    assert msgspec.json.decode(otlp(trace([]))) == {"resourceSpans": []}


@pytest.mark.parametrize(("suffix", "left_out"), [(".json", 0), (".ndjson", 1), (".mmd", 0)])
async def test_a_name_that_is_not_utf8_spoils_no_export_and_what_is_left_out_is_counted(
    tmp_path: Path, suffix: str, left_out: int
) -> None:
    seen = sighted("r/q", headers={**POINTERS["SmallRye"], "dead-letter-reason": "no\udcff"})
    odd = msgspec.structs.replace(
        seen, delivery=msgspec.structs.replace(seen.delivery, address=Address("r", "q\udcff"))
    )
    path = tmp_path / f"t{suffix}"
    assert await write_trace(trace([*SOME, odd]), path) == left_out
    written = path.read_bytes().decode()
    if suffix == ".json":
        assert '"name":"q?"' in written and '"message":"no?"' in written
    if suffix == ".ndjson":
        assert len(written.splitlines()) == len(SOME)
