"""JSON Patch and JSON Merge Patch on JSON as it is written."""

import json
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from workbench.decode.json_patch import (
    apply_merge_patch,
    apply_patch,
    merged_at,
    pointed_at,
    read_merge_patch,
    read_patch,
)
from workbench.model.errors import FormatError


def patched(text: str, *operations: dict[str, Any]) -> str:
    return apply_patch(text, read_patch(json.dumps(operations)))


PRETTY = '{\n  "a": 1.00,\n  "b": [1, 2,  3],\n  "big": 123456789012345678901234567890,\n  "s": "\\u00e9"\n}\n'


@pytest.mark.parametrize(
    ("before", "operation", "after"),
    [
        # The appendix of RFC 6902.
        ('{"foo":"bar"}', '{"op":"add","path":"/baz","value":"qux"}', '{"foo":"bar","baz":"qux"}'),
        ('{"foo":["bar","baz"]}', '{"op":"add","path":"/foo/1","value":"qux"}', '{"foo":["bar","qux","baz"]}'),
        ('{"baz":"qux","foo":"bar"}', '{"op":"remove","path":"/baz"}', '{"foo":"bar"}'),
        ('{"foo":["bar","qux","baz"]}', '{"op":"remove","path":"/foo/1"}', '{"foo":["bar","baz"]}'),
        ('{"baz":"qux","foo":"bar"}', '{"op":"replace","path":"/baz","value":"boo"}', '{"baz":"boo","foo":"bar"}'),
        (
            '{"foo":{"bar":"baz","waldo":"fred"},"qux":{"corge":"grault"}}',
            '{"op":"move","from":"/foo/waldo","path":"/qux/thud"}',
            '{"foo":{"bar":"baz"},"qux":{"corge":"grault","thud":"fred"}}',
        ),
        ('{"foo":[1,2,3,4]}', '{"op":"move","from":"/foo/1","path":"/foo/3"}', '{"foo":[1,3,4,2]}'),
        (
            '{"baz":"qux","foo":["a",2,"c"]}',
            '{"op":"test","path":"/foo/1","value":2}',
            '{"baz":"qux","foo":["a",2,"c"]}',
        ),
        ('{"foo":"bar"}', '{"op":"add","path":"/child","value":{"g":{}}}', '{"foo":"bar","child":{"g":{}}}'),
        ('{"foo":"bar"}', '{"op":"add","path":"/baz","value":"qux","xyz":123}', '{"foo":"bar","baz":"qux"}'),
        ('{"/":9,"~1":10}', '{"op":"test","path":"/~01","value":10}', '{"/":9,"~1":10}'),
        ('{"foo":["bar"]}', '{"op":"add","path":"/foo/-","value":["abc","def"]}', '{"foo":["bar",["abc","def"]]}'),
        # As it is written.
        ('{"a": 1, "b": 2}', '{"op":"add","path":"/c","value":1e2}', '{"a": 1, "b": 2, "c": 1e2}'),
        ('{\n  "a": 1\n}', '{"op":"add","path":"/b","value":2.50}', '{\n  "a": 1,\n  "b": 2.50\n}'),
        ("[\n 1,\n 2\n]", '{"op":"add","path":"/0","value":0}', "[\n 0,\n 1,\n 2\n]"),
        ('{"a":NaN,"b":1}', '{"op":"remove","path":"/b"}', '{"a":NaN}'),
        (" {} ", '{"op":"add","path":"/a","value":1}', ' {"a":1} '),
        ("[ ]", '{"op":"add","path":"/-","value":1}', "[1]"),
        ('{"":{"":1}}', '{"op":"replace","path":"//","value":2}', '{"":{"":2}}'),
        ('{"a":1,"a":2,"b":3}', '{"op":"replace","path":"/b","value":4}', '{"a":1,"a":2,"b":4}'),
        ('{"a":{"b":1}}', '{"op":"copy","from":"/a","path":"/c"}', '{"a":{"b":1},"c":{"b":1}}'),
        ('{"a":1}', '{"op":"move","from":"/a","path":"/a"}', '{"a":1}'),
        ('{"a":1}', '{"op":"replace","path":"","value":[1]}', "[1]"),
        ('{"\\u0061":1}', '{"op":"replace","path":"/a","value":2}', '{"\\u0061":2}'),
        ('{"a":1.0}', '{"op":"test","path":"/a","value":1}', '{"a":1.0}'),
    ],
)
def test_an_operation_does_what_the_rfc_says(before: str, operation: str, after: str) -> None:
    assert apply_patch(before, read_patch(f"[{operation}]")) == after


@pytest.mark.parametrize(
    ("before", "operation", "said"),
    [
        ('{"a":1}', '{"op":"remove","path":"/b"}', "nothing at '/b'"),
        ('{"a":1}', '{"op":"replace","path":"/b","value":1}', "nothing at '/b'"),
        ('{"a":1}', '{"op":"add","path":"/b/c","value":1}', "nothing at '/b'"),
        ('{"a":1}', '{"op":"add","path":"/a/c","value":1}', "neither an object nor an array"),
        ("[1]", '{"op":"add","path":"/2","value":1}', "no place in an array of 1"),
        ("[1]", '{"op":"add","path":"/01","value":1}', "no place in an array"),
        ("[1]", '{"op":"remove","path":"/-"}', "nothing at '/-'"),
        ('{"a":1,"a":2}', '{"op":"remove","path":"/a"}', "more than once"),
        ('{"a":1}', '{"op":"test","path":"/a","value":true}', "not the one"),
        ('{"a":"1"}', '{"op":"test","path":"/a","value":1}', "not the one"),
        ("not json", '{"op":"add","path":"/a","value":1}', "not JSON at line 1"),
        ("", '{"op":"add","path":"/a","value":1}', "not JSON"),
    ],
)
def test_an_operation_that_cannot_be_done_says_why(before: str, operation: str, said: str) -> None:
    with pytest.raises(FormatError, match=said):
        apply_patch(before, read_patch(f"[{operation}]"))


@pytest.mark.parametrize(
    ("patch", "said"),
    [
        ("{}", "Expected `array`"),
        ("[", "truncated"),
        ('[{"op":"drop","path":"/a"}]', "'drop'"),
        ('[{"op":"add","path":"/a"}]', "Operation 1 .* has no value"),
        ('[{"op":"copy","path":"/a"}]', "from where"),
        ('[{"op":"remove","path":"a"}]', "does not begin with /"),
        ('[{"op":"remove","path":"/a~2"}]', "write ~0"),
        ('[{"op":"remove","path":""}]', "leave nothing"),
        ('[{"op":"move","from":"/a","path":"/a/b"}]', "into itself"),
        ("[" * 100_000, "no JSON Patch"),
    ],
)
def test_what_is_no_patch_says_why(patch: str, said: str) -> None:
    with pytest.raises(FormatError, match=said):
        read_patch(patch)


def test_copies_of_copies_do_not_grow_without_end() -> None:
    copies = [{"op": "copy", "from": "", "path": "/0"} for _ in range(80)]
    with pytest.raises(FormatError, match="more than"):
        patched(f'[1,"{"x" * 100_000}"]', *copies)


def test_what_no_operation_names_is_as_it_was_written() -> None:
    done = patched(PRETTY, {"op": "replace", "path": "/b/1", "value": 9}, {"op": "remove", "path": "/a"})
    assert done == PRETTY.replace("2,  3", "9,  3").replace('\n  "a": 1.00,', "")


def test_it_says_which_places_it_changes() -> None:
    patch = (
        '[{"op":"move","from":"/a/b","path":"/c"},{"op":"test","path":"/d","value":1},{"op":"remove","path":"/e~1f"}]'
    )
    assert sorted(pointed_at(read_patch(patch))) == ["a.b", "c", "e/f"]
    assert merged_at('{"a":{"b":null,"c":{"d":1}},"e":[1],"f":{}}') == ["a.b", "a.c.d", "e", "f"]


@pytest.mark.parametrize(
    ("before", "patch", "after"),
    [
        # The appendix of RFC 7396.
        ('{"a":"b"}', '{"a":"c"}', '{"a":"c"}'),
        ('{"a":"b"}', '{"b":"c"}', '{"a":"b","b":"c"}'),
        ('{"a":"b"}', '{"a":null}', "{}"),
        ('{"a":"b","b":"c"}', '{"a":null}', '{"b":"c"}'),
        ('{"a":["b"]}', '{"a":"c"}', '{"a":"c"}'),
        ('{"a":"c"}', '{"a":["b"]}', '{"a":["b"]}'),
        ('{"a":{"b":"c"}}', '{"a":{"b":"d","c":null}}', '{"a":{"b":"d"}}'),
        ('{"a":[{"b":"c"}]}', '{"a":[1]}', '{"a":[1]}'),
        ('["a","b"]', '["c","d"]', '["c","d"]'),
        ('{"a":"b"}', '["c"]', '["c"]'),
        ('{"a":"foo"}', "null", "null"),
        ('{"a":"foo"}', '"bar"', '"bar"'),
        ('{"e":null}', '{"a":1}', '{"e":null,"a":1}'),
        ("[1,2]", '{"a":"b","c":null}', '{"a":"b"}'),
        ("{}", '{"a":{"bb":{"ccc":null}}}', '{"a":{"bb":{}}}'),
        # As it is written.
        ('{"a": 1.00, "b": {"c": 2}}', '{"b": {"d": 3.0}}', '{"a": 1.00, "b": {"c": 2, "d":3.0}}'),
    ],
)
def test_a_merge_patch_does_what_the_rfc_says(before: str, patch: str, after: str) -> None:
    assert apply_merge_patch(before, read_merge_patch(patch)).replace(" ", "") == after.replace(" ", "")


@pytest.mark.parametrize(
    ("patch", "said"), [("{", "not JSON"), ('{"a":1,"a":2}', "repeats"), ('{"a":' * 200 + "1" + "}" * 200, "deeper")]
)
def test_what_is_no_merge_patch_says_why(patch: str, said: str) -> None:
    with pytest.raises(FormatError, match=said):
        read_merge_patch(patch)


names = st.sampled_from(["a", "b", "", "a/b", "~", "é", '"', "0", "-"])
values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from(["", "a", "é", '"']),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)
texts = st.builds(
    lambda value, indent, escaped: json.dumps(value, indent=indent, ensure_ascii=escaped),
    values,
    st.none() | st.integers(0, 2),
    st.booleans(),
)


@st.composite
def pointers(draw: st.DrawFn, value: Any) -> list[str]:
    """The steps to a place that is there, or beside one."""
    steps: list[str] = []
    while isinstance(value, dict | list) and draw(st.booleans()):
        step = draw(names if isinstance(value, dict) else st.sampled_from(["0", "1", "2", "-", "00"]))
        steps.append(step)
        try:
            value = value[int(step)] if isinstance(value, list) else value[step]
        except (LookupError, ValueError):
            break
    return steps


def pointer(steps: list[str]) -> str:
    return "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in steps)


class Impossible(Exception):
    pass


def reference(document: Any, operation: dict[str, Any], steps: list[str], source: list[str]) -> Any:
    """The operation on Python's values, as simply as it can be said."""

    def at(value: Any, steps: list[str]) -> Any:
        for step in steps:
            if isinstance(value, dict) and step in value:
                value = value[step]
            elif isinstance(value, list) and step.isdigit() and str(int(step)) == step and int(step) < len(value):
                value = value[int(step)]
            else:
                raise Impossible
        return value

    def add(steps: list[str], value: Any) -> Any:
        if not steps:
            return value
        container, step = at(document, steps[:-1]), steps[-1]
        if isinstance(container, dict):
            container[step] = value
        elif isinstance(container, list):
            place = len(container) if step == "-" else int(step) if step.isdigit() and str(int(step)) == step else 99
            if place > len(container):
                raise Impossible
            container.insert(place, value)
        else:
            raise Impossible
        return document

    def remove(steps: list[str]) -> Any:
        value = at(document, steps)
        container = at(document, steps[:-1])
        del container[int(steps[-1]) if isinstance(container, list) else steps[-1]]
        return value

    match operation["op"]:
        case "add":
            return add(steps, operation["value"])
        case "replace":
            at(document, steps)
            if steps:
                container = at(document, steps[:-1])
                container[int(steps[-1]) if isinstance(container, list) else steps[-1]] = operation["value"]
            return document if steps else operation["value"]
        case "remove":
            remove(steps)
            return document
        case "copy":
            return add(steps, deepcopy(at(document, source)))
        case _:
            at(document, source)
            return document if steps == source else add(steps, remove(source))


@given(st.data())
def test_it_does_to_the_text_what_is_done_to_the_value(data: st.DataObject) -> None:
    text = data.draw(texts)
    document = json.loads(text)
    steps, source = data.draw(pointers(document)), data.draw(pointers(document))
    operation = {
        "op": data.draw(st.sampled_from(["add", "replace", "remove", "copy", "move"])),
        "path": pointer(steps),
        "from": pointer(source),
        "value": data.draw(values),
    }
    assume(steps or operation["op"] != "remove")
    assume(steps[: len(source)] != source or steps == source or operation["op"] != "move")
    assume(source or operation["op"] != "move")
    try:
        expected = reference(deepcopy(document), operation, steps, source)
    except Impossible:
        with pytest.raises(FormatError):
            patched(text, operation)
    else:
        assert json.loads(patched(text, operation)) == expected


def filled_containers(value: Any, steps: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Any]]:
    """The arrays and objects in a value that are not empty, and the steps to each."""
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = [(steps, value)] if members and value else []
    for step, member in members:
        found += filled_containers(member, (*steps, str(step)))
    return found


@given(st.data())
def test_what_is_put_in_and_taken_out_again_leaves_the_text_as_it_was(data: st.DataObject) -> None:
    text = json.dumps(
        data.draw(st.lists(values, min_size=1, max_size=3) | st.dictionaries(names, values, min_size=1, max_size=3)),
        indent=data.draw(st.none() | st.integers(0, 2)),
    )
    steps, container = data.draw(st.sampled_from(filled_containers(json.loads(text))))
    if isinstance(container, list):
        step = str(data.draw(st.integers(0, len(container))))
    else:
        step = data.draw(st.text(max_size=3).filter(lambda name: name not in container))
    place = pointer([*steps, step])
    done = patched(text, {"op": "add", "path": place, "value": data.draw(values)})
    assert patched(done, {"op": "remove", "path": place}) == text


@given(texts, values)
def test_merging_does_to_the_text_what_is_done_to_the_value(text: str, patch: Any) -> None:
    def merge(target: Any, patch: Any) -> Any:
        if not isinstance(patch, dict):
            return patch
        target = dict(target) if isinstance(target, dict) else {}
        for name, value in patch.items():
            if value is None:
                target.pop(name, None)
            else:
                target[name] = merge(target.get(name), value)
        return target

    assert json.loads(apply_merge_patch(text, json.dumps(patch))) == merge(json.loads(text), patch)
