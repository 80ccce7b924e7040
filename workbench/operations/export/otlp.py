"""A trace as OTLP spans in JSON, which a collector takes by HTTP and Jaeger draws.

The names are those of OTLP 1.x in its JSON form (camelCase; ids in hex, 32 digits for a trace and 16 for a span) and of
OpenTelemetry's semantic conventions for messaging. A span lasts until the last event it caused, and a millisecond at
least: where a child ends after its parent, or a span lasts no time at all, Jaeger takes the clocks to disagree, warns,
and moves the child.
"""

import hashlib
import re
from collections import defaultdict
from typing import Any, Final

import msgspec

from workbench.operations.trace.forest import Step, Trace

_HEX: Final = re.compile(r"[0-9a-f]{32}")
_PRODUCER: Final = 4
_ERROR: Final = 2
_SCOPE: Final = "event-workbench"
_SHORTEST: Final = 1
"""Milliseconds that a span lasts at least: no event says more exactly when it came."""


def otlp(found: Trace) -> bytes:
    """The spans as a request of the collector's `/v1/traces`: a resource for each endpoint."""
    ends = _ends(found)
    spans: dict[str, list[dict[str, Any]]] = defaultdict(list)
    ids = [_span_id(found, number) for number in range(len(found.steps))]
    trace_id = _trace_id(found)
    for number, step in enumerate(found.steps):
        span: dict[str, Any] = {
            "traceId": trace_id,
            "spanId": ids[number],
            "name": _clean(step.facts.type or step.address.name),
            "kind": _PRODUCER,
            "startTimeUnixNano": str(_nanoseconds(step.time)),
            "endTimeUnixNano": str(_nanoseconds(ends[number])),
            "attributes": _attributes(step),
        }
        if step.link is not None:
            span["parentSpanId"] = ids[step.link.cause]
        if step.failed or step.facts.failure is not None:
            reason = step.facts.reason or "failed"
            span["status"] = {"code": _ERROR, "message": _clean(reason)}
            span["events"] = [
                {
                    "timeUnixNano": str(_nanoseconds(step.time)),
                    "name": "exception",
                    "attributes": [_attribute("exception.message", reason)],
                }
            ]
        spans[str(step.address)].append(span)
    return msgspec.json.encode(
        {
            "resourceSpans": [
                {
                    "resource": {"attributes": [_attribute("service.name", name)]},
                    "scopeSpans": [{"scope": {"name": _SCOPE}, "spans": some}],
                }
                for name, some in spans.items()
            ]
        }
    )


def _attributes(step: Step) -> list[dict[str, Any]]:
    position, facts = step.delivery.position, step.facts
    said = {
        "messaging.destination.name": step.address.name,
        "messaging.destination.partition.id": position.partition if position is not None else None,
        "messaging.message.id": facts.message,
        "messaging.message.conversation_id": facts.correlation,
        "workbench.connection": step.address.connection,
        "workbench.cause": None if step.link is None else "known" if step.link.known else "inferred",
        "workbench.held": "true" if step.held else None,
    }
    found = [_attribute(name, value) for name, value in said.items() if value]
    if position is not None and position.offset.isascii() and position.offset.isdigit() and len(position.offset) < 19:
        # OTLP's JSON writes 64-bit integers as texts.
        found.append({"key": "messaging.kafka.offset", "value": {"intValue": position.offset}})
    return found


def _attribute(key: str, value: str) -> dict[str, Any]:
    return {"key": key, "value": {"stringValue": _clean(value)}}


def _clean(text: str) -> str:
    """A text as JSON can hold it: halves of characters become `?`."""
    return text.encode("utf-8", "replace").decode()


def _ends(found: Trace) -> list[int]:
    """For each event the end of the last that it caused, itself or by way of others."""
    ends = [step.time + _SHORTEST for step in found.steps]
    for number in reversed(range(len(ends))):
        if (link := found.steps[number].link) is not None:
            ends[link.cause] = max(ends[link.cause], ends[number])
    return ends


def _trace_id(found: Trace) -> str:
    """A correlation id that is a W3C trace id or a UUID, else one made of it."""
    correlation = next((step.facts.correlation for step in found.steps if step.facts.correlation), "")
    plain = correlation.replace("-", "").lower()
    if _HEX.fullmatch(plain) and plain.strip("0"):
        return plain
    return hashlib.blake2b(correlation.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _span_id(found: Trace, number: int) -> str:
    step = found.steps[number]
    position = step.delivery.position
    place = f"{position.partition}:{position.offset}" if position is not None else f"step {number}"
    said = f"{step.address} {place} {step.facts.message}"
    return hashlib.blake2b(said.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def _nanoseconds(milliseconds: int) -> int:
    return max(0, min(milliseconds * 1_000_000, 2**63 - 1))
