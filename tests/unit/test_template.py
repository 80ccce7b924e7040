"""Templates: what they may use, and what they may not."""

import asyncio
import json
import os
import uuid
from contextlib import suppress
from pathlib import Path

import pytest

from workbench.connecting.environment import Variables
from workbench.model.errors import ConfigError, FormatError
from workbench.model.event import Event
from workbench.operations.renderer import Environment, Renderer
from workbench.operations.template import Template, templates_folder, variables_of
from workbench.operations.template_process import TemplateProcess


def rendered(body: str, sequence: int = 0, **values: str) -> str:
    environment = Environment(Variables(("WB_TENANT", "WB_NOT_SET")).values)
    event = Renderer(Template(body=body), values, variables=environment).event(sequence)
    assert event.body is not None
    return event.body.decode()


def test_each_event_has_its_number() -> None:
    renderer = Renderer(Template(key="k{{ seq }}", body="{{ seq + 1 }}"), {})
    assert [(event.key, event.body) for event in map(renderer.event, range(2))] == [(b"k0", b"1"), (b"k1", b"2")]


def test_each_event_has_an_id_of_its_own() -> None:
    renderer = Renderer(Template(body="{{ uuid() }}"), {})
    ids = {uuid.UUID((renderer.event(number).body or b"").decode()) for number in range(10)}
    assert len(ids) == 10


def test_a_seed_repeats_what_was_picked() -> None:
    template = Template(
        body="{{ uuid() }} {{ integer(1, 999) }} {{ choice('a', 'b') }} {{ text(8) }} {{ number(0, 1) }}"
    )
    assert Renderer(template, {}, seed=7).event(0) == Renderer(template, {}, seed=7).event(0)
    assert Renderer(template, {}, seed=7).event(0) != Renderer(template, {}, seed=8).event(0)


def test_values_are_filled_in_before_they_are_used() -> None:
    template = Template(body="{{ id }}-{{ tenant }}", set={"id": "o{{ seq }}", "tenant": "north"})
    assert Renderer(template, {"tenant": "south"}).event(3).body == b"o3-south"


def test_the_environment_can_be_read_and_not_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WB_TENANT", "north")
    assert rendered("{{ env.WB_TENANT }}") == "north"
    with pytest.raises(FormatError, match="may not read the environment variable 'update'"):
        rendered("{{ env.update({'WB_TENANT': 'x'}) }}")


@pytest.mark.parametrize("any", [False, True])
async def test_a_template_sees_no_variable_that_it_is_not_allowed_and_never_all(
    any: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WB_SECRET", "hunter2")
    named = ["{{ env.WB_SECRET }}", "{{ env['WB_SECRET'] }}"]
    dumped = ["{{ env }}", "{{ env | tojson }}", "{{ env | list }}", "{{ env | pprint }}", "{{ dict(env) }}"]
    dumped += ["{% for name in env %}{{ name }}{% endfor %}", "{{ env.items() }}", "{{ env.values() }}"]
    dumped += ["{{ env._values }}", "{{ env | attr('_values') }}"]
    async with TemplateProcess(Variables(("WB_TENANT",), any)) as templates:
        for body in named + dumped:
            text = ""
            with suppress(FormatError):
                text = str(await filled(templates, Template(body=body)))
            assert ("hunter2" in text) == (any and body in named), body


def test_only_a_template_in_the_users_own_folder_may_read_what_it_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    templates_folder().mkdir(parents=True)
    (templates_folder() / "mine.toml").write_text("")
    (tmp_path / "theirs.toml").write_text("")
    (templates_folder() / "linked.toml").symlink_to(tmp_path / "theirs.toml")
    assert variables_of("mine") == variables_of(str(templates_folder() / "mine.toml")) == Variables(any=True)
    assert variables_of("theirs.toml") == variables_of("linked") == Variables()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("{{ nothing }}", "'nothing' is undefined"),
        ("{{ ''.__class__.__mro__ }}", "unsafe"),
        ("{{ env.WB_NOT_SET }}", "WB_NOT_SET"),
        ("{{ integer(2, 1) }}", "cannot be filled in"),
        ("{% for i in range(10000000000) %}x{% endfor %}", "Range too big"),
    ],
)
def test_what_a_template_may_not_do_is_said(body: str, said: str) -> None:
    with pytest.raises(FormatError, match=said):
        rendered(body)


def test_a_template_that_grows_without_end_is_stopped() -> None:
    with pytest.raises(FormatError, match="grows beyond"):
        rendered("{% for i in range(99999) %}" + "x" * 1000 + "{% endfor %}")


def test_a_text_that_is_no_template_names_the_place() -> None:
    with pytest.raises(FormatError, match="header tenant cannot be read"):
        Renderer(Template(headers={"tenant": "{{"}), {})


def test_a_file_keeps_the_order_of_its_headers(tmp_path: Path) -> None:
    file = tmp_path / "order.toml"
    file.write_text(
        """
        key = "{{ id }}"
        body = '{"id": {{ id }}}'
        [headers]
        b = "1"
        a = "2"
        [properties]
        content_type = "application/json"
        priority = 3
        [set]
        id = 1001
        """
    )
    event = Renderer(Template.read(file), {}).event(0)
    assert (event.key, json.loads(event.body or b"")) == (b"1001", {"id": 1001})
    assert event.headers == (("b", "1"), ("a", "2"))
    assert event.properties == {"content_type": "application/json", "priority": 3}


@pytest.mark.parametrize(
    ("text", "said"), [("colour = 1", "colour"), ("body = 3", "body"), ("nonsense", "not a template")]
)
def test_a_file_that_is_no_template_is_said(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "x.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=said):
        Template.read(file)


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        Template.read(tmp_path / "x.toml")


# The process that fills them in.


async def filled(templates: TemplateProcess, template: Template, count: int = 1) -> list[Event]:
    return [event async for batch in templates.fill(template, {}, count, seed=7) for event in batch]


async def test_a_process_makes_what_the_renderer_makes() -> None:
    template = Template(
        key="k{{ seq }}",
        body="{{ uuid() }} {{ integer(1, 999) }}",
        headers=(("a", "{{ seq }}"), ("a", "\0")),
        properties={"priority": 3, "app_id": "{{ env.PATH }}"},
        timestamp=5,
    )
    variables = Variables(("PATH",))
    renderer = Renderer(template, {}, 7, Environment(variables.values))
    async with TemplateProcess(variables) as templates:
        for _ in range(2):
            assert await filled(templates, template, 450) == [renderer.event(number) for number in range(450)]
            renderer = Renderer(template, {}, 7, Environment(variables.values))


LOOPS = "{% set r = range(99999) %}{% for a in r %}{% for b in r %}{% for c in r %}{% endfor %}{% endfor %}{% endfor %}"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (LOOPS, "not done with one event after 2 seconds"),
        ("{{ 9 ** (9 ** 9) }}", "not done with one event after 2 seconds"),
        ("{% for a in range(99999) %}{{ range(99999)|list|length }}{% endfor %}", "not done with one event"),
        ("{{ 'a' * 10**10 }}", "body at line 1 takes too much memory"),
        ("{{ ('%' ~ 10**10 ~ 'd') % seq }}", "body (at line 1 )?(takes too much memory|cannot be filled in)"),
        ("{{ 'a'|center(10**10) }}", "body (at line 1 )?(takes too much memory|cannot be filled in)"),
        ("{% macro again() %}{{ again() }}{% endmacro %}\n{{ again() }}", "body at line [12] calls itself without end"),
        ("{{ '\\ud800' }}", "half a character"),
    ],
)
async def test_a_template_without_end_is_stopped_and_said(body: str, said: str) -> None:
    async with TemplateProcess() as templates:
        with pytest.raises(FormatError, match=said):
            await filled(templates, Template(body=body))
        assert [event.body for event in await filled(templates, Template(body="{{ seq }}"), 2)] == [b"0", b"1"]


async def test_what_was_made_before_a_template_goes_wrong_is_handed_over() -> None:
    made: list[Event] = []
    async with TemplateProcess() as templates:
        with pytest.raises(FormatError, match="body cannot be filled in at line 1"):
            async for batch in templates.fill(Template(body="{{ 6 // (3 - seq) }}"), {}, 10):
                made += batch
    assert [event.body for event in made] == [b"2", b"3", b"6"]


def is_there(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


async def test_no_process_is_left_behind() -> None:
    async with TemplateProcess() as templates:
        stream = templates.fill(Template(body="{{ seq }}"), {}, 1_000_000)
        await anext(stream)
        [child] = templates._working
        assert is_there(child._process.pid)
    assert not is_there(child._process.pid)


async def test_a_process_that_is_far_ahead_is_ended() -> None:
    async with asyncio.timeout(60), TemplateProcess() as templates:
        for _ in range(2):
            stream = templates.fill(Template(body="{{ 'x' * 100000 }}"), {}, 1_000_000)
            await anext(stream)
            [child] = templates._working
            while "paused" not in repr(child._answers):  # noqa: ASYNC110  # nobody is told that reading pauses
                await asyncio.sleep(0.01)
            await stream.aclose()
            assert not is_there(child._process.pid)


async def test_a_process_that_was_ended_is_not_used_again() -> None:
    templates = TemplateProcess()
    stream = templates.fill(Template(body="{{ seq }}"), {}, 1)
    await anext(stream)
    await templates.close()
    await stream.aclose()
    async with templates:
        assert [event.body for event in await filled(templates, Template(body="{{ seq }}"))] == [b"0"]


@pytest.mark.parametrize(
    ("template", "said"),
    [
        (Template(body="{{ a }}", set={"a": 1 << 64}), "a number of more than 64 bits"),
        (Template(properties={"priority": -1 << 64}), "a number of more than 64 bits"),
        (Template(body="\ud800"), "half a character"),
    ],
)
async def test_what_no_process_can_be_given_is_said(template: Template, said: str) -> None:
    async with TemplateProcess() as templates:
        with pytest.raises(FormatError, match=said):
            await filled(templates, template)
