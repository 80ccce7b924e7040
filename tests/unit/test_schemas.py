"""Whether an event is what the schema of its type says."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from workbench.connecting import config_sources
from workbench.connecting.config_file import ConfigFile
from workbench.connecting.config_sources import find_config
from workbench.model.errors import ConfigError
from workbench.model.event import Event
from workbench.operations.edit.schemas import Schemas

ORDER = {
    "type": "object",
    "required": ["id"],
    "properties": {
        "id": {"type": "integer", "maximum": 10**30},
        "card": {"type": "string", "pattern": "^(x+x+)+$"},
        "items": {"items": {"$ref": "#/$defs/item"}},
    },
    "$defs": {"item": {"properties": {"sku code": {"type": "string"}}}},
}


def schemas(folder: Path, schema: Any = ORDER) -> Schemas:
    (folder / "order.json").write_text(schema if isinstance(schema, str) else json.dumps(schema))
    file = folder / "workbench.toml"
    file.write_text('[schemas]\nOrderPlaced = "order.json"\n')
    return Schemas.of(ConfigFile.read(file))


def fault(folder: Path, body: Any, type: str | None = "OrderPlaced") -> str | None:
    written = body if isinstance(body, bytes) else json.dumps(body).encode()
    return schemas(folder).fault(Event(body=written), type)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"id": 7}, None),
        ({"id": 10**29}, None),
        (gzip.compress(b'{"id":7}', mtime=0), None),
        ({}, 'at body: "id" is a required property.'),
        ({"id": "x"}, 'at body.id: its value is not of type "integer".'),
        ({"id": 10**31}, "at body.id: its value is greater than the maximum of 1000000000000000000000000000000."),
        (gzip.compress(b"{}", mtime=0), 'at body: "id" is a required property.'),
        (
            {"id": 1, "items": [{}, {"sku code": 2}]},
            "at body.items[1].'sku code': its value is not of type \"string\".",
        ),
        ({"id": "x", "card": 4111}, 'at body.id: its value is not of type "integer", and 1 more fault.'),
        (b"{", ": not JSON at line 1, column 2."),
        (b'{"id":NaN}', ": NaN is no number of JSON."),
        (b"[" * 100_000 + b"]" * 100_000, ": it nests deeper than 100."),
    ],
)
def test_what_breaks_it_is_said_in_a_sentence(tmp_path: Path, body: Any, said: str | None) -> None:
    found = fault(tmp_path, body)
    assert found == (
        None if said is None else f"It breaks the schema of OrderPlaced{'' if said[0] == ':' else ' '}{said}"
    )


def test_no_value_is_told_for_it_may_be_masked(tmp_path: Path) -> None:
    found = fault(tmp_path, {"id": "hunter2", "card": "x" * 40 + "4111"})
    assert found is not None
    assert "hunter2" not in found and "4111" not in found


@pytest.mark.parametrize("body", [b"\0\0\0\0\7{}", b"\xfd\0\1\2", None])
def test_what_is_no_text_is_not_checked(tmp_path: Path, body: bytes | None) -> None:
    assert schemas(tmp_path).fault(Event(body=body), "OrderPlaced") is None


def test_only_types_that_have_a_schema_are_checked(tmp_path: Path) -> None:
    assert fault(tmp_path, {}, "OrderPaid") is None
    assert fault(tmp_path, {}, None) is None
    assert schemas(tmp_path)
    assert not Schemas.of(ConfigFile())


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ("{", "is no JSON: not JSON at line 1"),
        ({"type": "nope"}, "cannot be used"),
        ({"$ref": "file:///etc/passwd"}, "cannot be used: .*may only refer to what is in it"),
        ({"$ref": "http://127.0.0.1:9/x"}, "cannot be used: .*may only refer to what is in it"),
        ({"$ref": "other.json"}, "cannot be used"),
        ({"pattern": "("}, "cannot be used"),
        (" " * (4 << 20) + "{}", "is larger than"),
    ],
)
def test_a_schema_that_cannot_be_used_says_why(tmp_path: Path, schema: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=rf"order\.json, the schema of OrderPlaced, {said}"):
        schemas(tmp_path, schema).fault(Event(body=b"{}"), "OrderPlaced")


def test_a_schema_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"gone\.json, the schema of A, cannot be read: No such file"):
        Schemas({"A": "gone.json"}, tmp_path).fault(Event(body=b"{}"), "A")


def test_a_file_that_is_not_trusted_adds_no_schema(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    own = tmp_path / "own"
    own.mkdir()
    (own / "workbench.toml").write_text('[schemas]\nOrderPlaced = "order.json"\n')
    monkeypatch.setattr(config_sources, "own_path", lambda: own / "workbench.toml")
    (tmp_path / "workbench.toml").write_text('[schemas]\nOrderPlaced = "/etc/passwd"\nOther = "/etc/passwd"\n')
    found = find_config()
    assert found.stranger == tmp_path / "workbench.toml"
    assert found.schemas == {"OrderPlaced": "order.json"}
    (own / "order.json").write_text('{"required":["id"]}')
    assert Schemas.of(found).fault(Event(body=b"{}"), "OrderPlaced") is not None
    assert Schemas.of(found).fault(Event(body=b"{}"), "Other") is None
