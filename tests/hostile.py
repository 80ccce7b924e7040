"""Events as a stranger could send them: what every table, inspector, search and export must survive and not obey."""

import gzip
import json
import struct
import zlib
from collections.abc import Iterator

import cramjam

from workbench.model.address import Address
from workbench.model.content import Content, Headers
from workbench.model.event import Delivery, Event, Position
from workbench.model.wire import Wire, encode

_SEEN = 1_764_000_000_000

TEXTS = {
    "escape, colour": "\x1b[31mred\x1b[0m",
    "escape, clear screen": "\x1b[2J\x1b[H",
    "escape, title": "\x1b]0;owned\x07",
    "escape, hyperlink": "\x1b]8;;http://example.org\x1b\\click\x1b]8;;\x1b\\",
    "escape, clipboard": "\x1b]52;c;cm0gLXJmIH4=\x07",
    "escape, answerback": "\x1b[c\x1b[6n\x1bZ\x05",
    "escape, device control": "\x1bP$q\x22p\x1b\\",
    "escape, alternate screen": "\x1b[?1049h\x1b[?1000h",
    "escape, eight bits": "\x9b31mred\x9d0;owned\x9c",
    "escape, cut short": "\x1b[",
    "bell and backspace": "ok\x07\x08\x08no",
    "carriage return": "harmless\rdestroyed",
    "line feed": "one\ntwo\n\n\nthree",
    "vertical tab and form feed": "a\x0bb\x0cc",
    "next line": "a\x85b",
    "line and paragraph separators": "a\u2028b\u2029c",
    "tabs": "\t\t\ta\tb",
    "null characters": "a\0b\0\0",
    "delete": "a\x7f\x7fb",
    "shift out": "a\x0elqqk\x0f",
    "all controls": "".join(map(chr, range(32))) + "".join(map(chr, range(127, 160))),
    "bidi override": "user\u202egnp.exe",
    "bidi embedding, never closed": "\u202a\u202b\u202d\u202e" * 20,
    "bidi isolates": "\u2066a\u2067b\u2068c\u2069",
    "bidi marks": "a\u200eb\u200fc\u061cd",
    "right to left": "שלום עולם 123 abc",
    "arabic": "مرحبا بالعالم",
    "zero width space": "pay\u200bment",
    "zero width joiners": "a\u200db\u200cc\u2060d\ufeffe",
    "soft hyphen": "pass\u00adword",
    "byte order mark": "\ufeff{}",
    "tag characters": "ok" + "".join(chr(0xE0000 + ord(letter)) for letter in "ignore this"),
    "variation selectors": "\u2764\ufe0f\u2764\ufe0e\U000e0100",
    "invisible letters": "a\u3164\u115f\u1160\uffa0b",
    "invisible operators": "a\u2061\u2062\u2063\u2064b",
    "interlinear annotation": "\ufff9a\ufffab\ufffb",
    "musical controls": "\U0001d173\U0001d17a",
    "tower of marks": "Z" + "\u0300\u0301\u0302\u0303\u0489" * 200,
    "marks on nothing": "\u0300\u0301\u0302",
    "enclosing marks": "a\u20dd\u20e3\u0488",
    "combining grapheme joiner": "a\u034f\u034f\u034fb",
    "hindi": "नमस्ते दुनिया क्षत्रिय",
    "thai": "สวัสดีชาวโลก",
    "hangul, decomposed": "\u1112\u1161\u11ab\u1100\u1173\u11af",
    "hangul vowels alone": "\u1161\u1162\u11a8" * 20,
    "wide": "日本語テキスト" * 20,
    "wide and narrow": "a日" * 50,
    "emoji": "👍👍🏽❤️🏳️‍🌈👨‍👩‍👧‍👦1️⃣",
    "flags": "🇩🇪🇫🇷🇬🇧",
    "lone surrogates": "a\ud800b\udfffc",
    "noncharacters": "\ufffe\uffff\U0010ffff",
    "private use": "\ue000\U000f0000",
    "unassigned": "\u0378\U000effff",
    "ligature that is a sentence": "\ufdfd" * 10,
    "look-alikes": "\u0440\u0430\u0443\u0440\u0430l.\u0441\u043em",
    "rich markup": "[bold red]alert[/] [link=http://example.org]x[/link] [@click=app.quit]x[/]",
    "rich markup, broken": "[/][/bold] [[[ [ \\[red] [#ff",
    "textual markup": "[$error on $panel]x[/]",
    "template": "{{ 7 * 7 }} {% for x in y %} {# #}",
    "format string": "%s %n %(x)s {0} {x!r} {0.__class__}",
    "shell": "$(reboot) `reboot` ; rm -rf / & | > < ' \"",
    "formula": '=cmd|"/c calc"!A1',
    "markup of a page": "<script>alert(1)</script> &amp; <!--",
    "sql": "'; DROP TABLE events; --",
    "path": "../../../../etc/passwd\0.png",
    "address": "kafka/orders exchange:x queue:y //",
    "query": "type = 'x' and (body.a > 1) or not key ~ '('",
    "quotes and backslashes": '"\\"\\\'\\\\\\u0041',
    "spaces": " \u00a0\u2003\u3000\u1680 ",
    "very long word": "x" * 20_000,
    "very long line of wide": "漢" * 20_000,
}

_BODIES: dict[str, bytes | None] = {
    "no body": None,
    "empty": b"",
    "one zero byte": b"\0",
    "one high byte": b"\xff",
    "spaces only": b" \n\t \r\n",
    "UTF-8 cut short": "é".encode()[:1],
    "UTF-8 overlong": b"\xc0\xaf\xe0\x80\xaf",
    "UTF-8 surrogates": b"\xed\xa0\x80\xed\xbf\xbf",
    "UTF-8 beyond Unicode": b"\xf4\x90\x80\x80",
    "UTF-8 with a few bad bytes": b"a long text that is fine but for \xff and \xfe" + b" and goes on" * 50,
    "latin-1": "café crème brûlée".encode("latin-1"),
    "UTF-16": "text \x1b[31m".encode("utf-16"),
    "UTF-16 JSON": '{"a":"\x1b"}'.encode("utf-16-le"),
    "random": bytes((n * 167 + 13) % 256 for n in range(2000)),
    "all bytes": bytes(range(256)),
    "JSON null": b"null",
    "JSON number": b"5",
    "JSON string of escapes": b'"\\u001b[31m\\u202e\\u0000\\ud800"',
    "JSON, keys of escapes": b'{"\\u001b[2J": {"\\u202ekey": 1}, "\x1b[2J": 2}',
    "JSON, NaN and Infinity": b'{"a": NaN, "b": -Infinity, "correlationId": "nan-flow"}',
    "JSON, huge integer": b'{"id": 18446744073709551617, "n": ' + b"9" * 5000 + b"}",
    "JSON, huge exponent": b'{"a": 1e999999999, "b": -1e-999999999}',
    "JSON, exact decimal": b'{"a": 0.1000000000000000055511151231257827, "b": 1.10}',
    "JSON, repeated keys": b'{"correlationId": "a", "correlationId": "b", "x": {"k": 1, "k": 2}}',
    "JSON, thousands of keys": json.dumps({f"key{n}": n for n in range(20_000)}).encode(),
    "JSON, empty key": b'{"": {"": [{"": null}]}}',
    "JSON, deep arrays": b"[" * 100_000 + b"]" * 100_000,
    "JSON, deep objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "JSON, deep and never closed": b'[{"metadata":' * 50_000,
    "JSON, cut short": b'{"type": "OrderPlaced", "items": [1, 2, {"na',
    "JSON, trailing text": b'{"a": 1} and more',
    "JSON, two": b'{"a": 1}\n{"a": 2}\n',
    "JSON, trailing comma": b'{"a": 1,}',
    "JSON, single quotes": b"{'a': 1}",
    "JSON with comments": b'{"a": 1 /* no */} // no',
    "JSON, control character in a string": b'{"a": "x\ny\x1b"}',
    "JSON, bad UTF-8 in a string": b'{"a": "\xff\xfe", "type": "x"}',
    "JSON, byte order mark": b'\xef\xbb\xbf{"a": 1}',
    "JSON, wrong types everywhere": (
        b'{"correlationId": {"a": []}, "type": [[[]]], "metadata": "x", "messageType": 7, "jid": false, "options": 1}'
    ),
    "JSON, one long string": b'{"a": "' + b"x" * 2_000_000 + b'"}',
    "JSON, a million zeros": b"[" + b"0," * 500_000 + b"0]",
    "JSON in JSON": json.dumps({"payload": json.dumps({"payload": json.dumps({"a": 1})})}).encode(),
    "gzip": gzip.compress(b'{"a": 1}', mtime=0),
    "gzip bomb": bytes(cramjam.gzip.compress(bytes(50_000_000))),
    "gzip bomb in gzip": gzip.compress(bytes(cramjam.gzip.compress(bytes(20_000_000))), mtime=0),
    "gzip, damaged": gzip.compress(b"x" * 5000, mtime=0)[:-9] + b"\xff" * 9,
    "gzip in gzip in gzip in gzip": gzip.compress(gzip.compress(gzip.compress(gzip.compress(b"x")))),
    "gzip, beginning only": b"\x1f\x8b\x08",
    "zlib bomb": zlib.compress(bytes(20_000_000), 9),
    "zstd bomb": bytes(cramjam.zstd.compress(bytes(50_000_000))),
    "zstd, damaged": b"\x28\xb5\x2f\xfd" + bytes(range(64)),
    "lz4 bomb": bytes(cramjam.lz4.compress(bytes(20_000_000))),
    "snappy bomb": bytes(cramjam.snappy.compress(bytes(20_000_000))),
    "MessagePack": b"\x82\xa1a\x01\xa1b\x93\x01\xc4\x02\xff\xfe\xc0",
    "MessagePack, deep": b"\x91" * 100_000 + b"\xc0",
    "MessagePack, claims four billion items": b"\xdd\xff\xff\xff\xff\x01",
    "MessagePack, odd keys": b"\x83\x01\x02\xc0\x03\x91\x01\x04",
    "MessagePack, extension": b"\x91\xc7\x04\x05abcd",
    "CBOR": b"\xa2aa\x01ab\x83\x01\x42\xff\xfe\xf6",
    "CBOR, deep": b"\x81" * 100_000 + b"\xf6",
    "CBOR, claims eight exabytes": b"\xa1\x61a\x9b\x7f\xff\xff\xff\xff\xff\xff\xff",
    "CBOR, holds itself": b"\xd9\xd9\xf7\xd8\x1c\x81\xd8\x1d\x00",
    "CBOR, decimal of a billion digits": b"\xa1aa\xc4\x82\x1a\x3b\x9a\xca\x00\x01",
    "CBOR, integer of a megabyte": b"\xa1aa\xc2\x5a\x00\x10\x00\x00" + b"\xff" * 0x100000,
    "CBOR, regular expression": b"\xa1aa\xd8\x23\x66(a+)+$",
    "schema registry, Avro": b"\0\0\0\0\x2a\x02\x10payments\x1b[31m",
    "schema registry, JSON": b'\0\0\0\0\x2a{"correlationId": "framed"}',
    "schema registry, nothing behind": b"\0\0\0\0\x2a",
    "Java object": b"\xac\xed\x00\x05sr\x00\x11java.util.HashMap",
    "Python pickle": b"cos\nsystem\n(S'true'\ntR.",
    "XML, entities": b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><x>&b;</x>',
    "YAML": b"a: &a [x]\nb: *a\n!!python/object/apply:os.system ['true']",
    "terminal record": b"\x1b[31m" * 1000,
    "a hundred megabytes of text": b"",
    "a hundred megabytes of bytes": b"",
    "a hundred megabytes of JSON": b"",
}

_HEADERS: dict[str, Headers] = {
    "ten thousand headers": tuple((f"header-{n}", b"x") for n in range(10_000)),
    "one header ten thousand times": (("correlation_id", b"x"),) * 10_000,
    "header without a value": (("correlation_id", None), ("traceparent", None)),
    "header without a name": (("", b"x"), ("", None)),
    "header name of escapes": (("\x1b[31m\u202ename", b"x"),),
    "header value of escapes": (("correlation_id", b"\x1b[31m\xe2\x80\xaex"),),
    "header value that is no UTF-8": (("correlation_id", b"\xff\xfe\x00"), ("type", b"\xc3")),
    "header of a megabyte": (("kafka_dlt-exception-stacktrace", b"at x\n" * 200_000),),
    "header that catches patterns": (
        ("rbs2-error-details", b"\n" * 100_000),
        ("MT-Fault-InputAddress", b"/?" * 50_000),
        ("x-original-exchange", b"x"),
        ("x-exception-stacktrace", b"\nCaused by: " * 20_000),
    ),
    "trace parents that are none": tuple(
        ("traceparent", value)
        for value in (b"", b"00", b"00-" + b"0" * 32 + b"-" + b"0" * 16 + b"-00", b"-" * 10_000, b"\xff" * 55)
    ),
    "numbers of odd sizes": (
        ("kafka_dlt-original-partition", b""),
        ("kafka_dlt-original-partition", b"\x01\x02\x03"),
        ("kafka_dlt-original-offset", b"\xff" * 8),
        ("retry_topic-attempts", b"\xff" * 100),
    ),
    "correlation of odd sizes": (("kafka_correlationId", bytes(15)), ("kafka_correlationId", b"\x1b" * 16)),
    "content types that lie": (
        ("content-type", b'application/json; charset="\xff"; x=\r\n\r\n'),
        ("content-encoding", b"gzip"),
    ),
    "content type, charset that is none": (("content-type", b"text/plain; charset=zlib_codec"),),
}

_WIRES: dict[str, bytes] = {
    "properties: nothing": b"",
    "properties: one byte": b"\x20",
    "properties: cut short": b"\x20\x00\x00\x00\x10\x00\x05x-dea",
    "properties: unknown type": b"\x20\x00\x00\x00\x00\x05\x01a?12",
    "properties: flags without end": b"\xff\xff" * 100,
    "properties: four gigabytes of table": b"\x20\x00\xff\xff\xff\xff",
    "properties: all set, all empty": b"\xff\xfc" + bytes(40),
    "properties: table in table in table": b"\x20\x00" + struct.pack(">I", 7 * 5000) + b"\x01aF\x00\x00\x00\x10" * 5000,
}


def deliveries(huge: bool = True) -> Iterator[tuple[str, Delivery]]:
    """A hostile event at a time, each with a name; the texts as body, key, header and name of a queue.

    Args:
        huge: Whether to include the bodies of a hundred megabytes.
    """
    for name, text in TEXTS.items():
        raw = text.encode("utf-8", "surrogatepass")
        headers = Content(((text[:200], raw), ("correlation_id", raw), ("__TypeId__", raw)))
        yield f"text: {name}", _in_log(Event(raw, raw, None, headers))
        as_json = json.dumps({"correlationId": text, text: text, "type": [text]}, ensure_ascii="lone" in name)
        yield f"text in JSON: {name}", _in_log(Event(None, as_json.encode()))
        if "lone" not in name:
            short = text[:60]
            death = {"queue": short, "exchange": short, "reason": short, "count": 1, "routing-keys": [short]}
            properties = {"correlation_id": short, "type": short, "content_type": short}
            wire = encode(Content((("x-death", [death]), (short, text)), properties))
            yield f"text in properties: {name}", _in_queue(Event(raw[:255], raw, wire), short)
    for name, body in _BODIES.items():
        if not name.startswith("a hundred"):
            yield f"body: {name}", _in_log(Event(b"key", body))
        elif huge:
            size = 100_000_000
            made = {"text": b"x" * size, "bytes": b"\xfe" * size, "JSON": b'{"a":"' + b"x" * size + b'"}'}
            yield f"body: {name}", _in_log(Event(b"key", made[name.rsplit(maxsplit=1)[1]]))
    for kind in ("application/json", "application/msgpack", "application/cbor", "application/cloudevents+json", "x"):
        for encoding in ("", "gzip", "zstd", "snappy", "utf-8"):
            claim = Content((), {"content_type": kind, "content_encoding": encoding})
            yield f"claims {kind} {encoding}", _in_queue(Event(b"", b"\xa5 not that at all \x9b", encode(claim)), "q")
    for name, found in _HEADERS.items():
        yield f"headers: {name}", _in_log(Event(b"key", b"{}", None, Content(found)))
    for name, data in _WIRES.items():
        yield name, _in_queue(Event(b"key", b"{}", Wire("amqp-0-9-1", data)), "q")
    for name, time in {"before all": -(2**63), "after all": 2**63 - 1, "one second early": -1000}.items():
        yield f"time: {name}", _in_log(Event(b"key", b"{}", timestamp=time))
    yield "position: beyond all", Delivery(Event(), Address("k", "t"), _SEEN, Position("9" * 200, "9" * 200))
    yield "position: no number", Delivery(Event(), Address("k", "t"), _SEEN, Position("\x1b[31m", "\u202e"))


def _in_log(event: Event) -> Delivery:
    return Delivery(event, Address("kafka", "hostile"), _SEEN, Position("0", "1"))


def _in_queue(event: Event, name: str) -> Delivery:
    return Delivery(event, Address("rabbit", name or "q"), _SEEN, None, name, True, 3)
