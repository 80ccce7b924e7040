"""The usual path of a type of flow, and how flows depart from it."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from workbench.facts.facts import Fact, Facts
from workbench.model.address import Address
from workbench.model.event import Delivery, Event
from workbench.operations.saga import flows as saga_flows
from workbench.operations.saga.flows import Flow, Flows, Step
from workbench.operations.saga.paths import LEAST, Path, depart, departures, learn

ORDER = ("OrderPlaced", "PaymentTaken", "OrderShipped")
NOW = 1_000_000


def flow(name: str, *types: str, start: int = 0, every: int = 100, dead: str = "") -> Flow:
    steps = [Step(start + every * number, type, f"k/{type}") for number, type in enumerate(types)]
    if dead:
        steps.append(Step(steps[-1].time + 1, dead, "k/dlt", "no money"))
    return Flow(name, tuple(steps))


def usual(count: int = 10) -> list[Flow]:
    return [flow(f"f{number}", *ORDER, start=number) for number in range(count)]


def test_the_usual_path_has_what_most_flows_have_in_the_order_of_time() -> None:
    path = learn([*usual(), flow("x", "OrderPlaced", "Gift", "PaymentTaken", "OrderShipped")])["OrderPlaced"]
    assert [step.type for step in path.steps] == list(ORDER)
    assert [(step.share, step.median, step.p95) for step in path.steps[2:]] == [(1.0, 100, 100)]
    assert (path.flows, path.shares) == (11, {"Gift": 1 / 11})


def test_a_flow_whose_next_step_does_not_come_is_stuck_since_the_step_before() -> None:
    stuck = flow("stuck", "OrderPlaced", "PaymentTaken", start=1000)
    [saga] = departures([*usual(), stuck], learn([*usual(), stuck]), NOW)
    assert saga.stuck and saga.missing is not None
    assert (saga.correlation, saga.last.type, saga.missing.type) == ("stuck", "PaymentTaken", "OrderShipped")
    assert saga.waiting == NOW - 1100


def test_a_flow_within_its_usual_latency_is_not_stuck() -> None:
    path = learn(usual())
    under_way = flow("new", "OrderPlaced", "PaymentTaken", start=NOW - 300)
    assert depart(under_way, path, NOW) is None
    assert depart(under_way, path, NOW + 10_000) is not None


def test_what_comes_in_the_place_of_usual_steps_is_a_compensation_and_ends_a_flow() -> None:
    cancelled = [flow(f"c{number}", "OrderPlaced", "OrderCancelled") for number in range(3)]
    found = departures([*usual(), *cancelled], learn([*usual(), *cancelled]), NOW)
    assert [(saga.stuck, saga.compensation) for saga in found] == [(False, "OrderCancelled")] * 3


def test_a_step_that_hardly_any_flow_has_is_unexpected() -> None:
    odd = flow("odd", *ORDER, "Refunded")
    found = departures([*usual(40), odd], learn([*usual(40), odd]), NOW)
    assert [(saga.correlation, saga.unexpected, saga.stuck) for saga in found] == [("odd", ("Refunded",), False)]


def test_the_worst_come_first_those_with_a_dead_letter_then_those_that_wait_longest() -> None:
    bad = [
        flow("short", "OrderPlaced", start=500_000),
        flow("long", "OrderPlaced", start=0),
        flow("dead", "OrderPlaced", start=900_000, dead="OrderPlaced"),
        flow("done", *ORDER, dead="OrderPlaced"),
    ]
    found = departures([*usual(), *bad], learn([*usual(), *bad]), NOW)
    assert [saga.correlation for saga in found] == ["dead", "long", "short", "done"]
    assert found[0].dead is not None and found[0].dead.reason == "no money"


def test_a_flow_that_began_before_what_was_read_is_judged_by_the_rest_of_its_path() -> None:
    cut = [flow(f"cut{number}", "PaymentTaken", "OrderShipped") for number in range(LEAST)]
    late = flow("late", "PaymentTaken")
    paths = learn([*usual(), *cut, late])
    assert list(paths) == ["OrderPlaced"]
    assert [saga.correlation for saga in departures([*usual(), *cut, late], paths, NOW)] == ["late"]


def test_of_events_in_one_millisecond_the_first_is_the_one_that_mostly_is() -> None:
    tied = [Flow(f"t{n}", (Step(n, "A", "k/t"), Step(n, "B", "k/t"), Step(n + 5, "C", "k/t"))) for n in range(9)]
    assert list(learn([*tied, flow("x", "B", "A", "C")])) == ["B"]
    assert list(learn(tied)) == ["A"]


def test_of_few_flows_nothing_is_learned() -> None:
    assert learn(usual(LEAST - 1)) == {}
    assert departures(usual(LEAST - 1), {}, NOW) == []


def test_events_become_flows_and_those_without_a_type_are_no_steps_where_others_have_one() -> None:
    gathered = Flows()
    for correlation, type, topic in (("a", "Placed", "o"), ("a", None, "clicks"), ("b", None, "o"), (None, "X", "o")):
        facts = [Fact("type", type, "c", "s")] if type else []
        facts += [Fact("correlation", correlation, "c", "s")] if correlation else []
        gathered.add(Delivery(Event(timestamp=7), Address("k", topic), 9), Facts(tuple(facts)))
    assert [(each.correlation, [step.type for step in each.steps]) for each in gathered] == [
        ("a", ["Placed"]),
        ("b", ["k/o"]),
    ]
    assert gathered.uncorrelated == 1


def test_flows_are_bounded() -> None:
    gathered, before = Flows(), saga_flows.MOST
    try:
        saga_flows.MOST = 10  # type: ignore[misc]
        for number in range(25):
            for _ in range(saga_flows.STEPS + 5 * (number % 2)):
                facts = Facts((Fact("correlation", str(number), "c", "s"),))
                gathered.add(Delivery(Event(timestamp=7), Address("k", "o"), 9), facts)
    finally:
        saga_flows.MOST = before  # type: ignore[misc]
    assert (len(gathered), gathered.cut, gathered.dropped) == (5, 5, 15)
    assert {len(each.steps) for each in gathered} == {saga_flows.STEPS}


_STEPS = st.lists(
    st.builds(Step, st.integers(0, 10**6), st.sampled_from("ABCD"), st.just("k/t"), st.sampled_from([None, "x"])),
    min_size=1,
    max_size=8,
).map(lambda steps: tuple(sorted(steps, key=lambda step: step.time)))
_FLOWS = st.lists(_STEPS, max_size=30).map(lambda many: [Flow(str(number), steps) for number, steps in enumerate(many)])


@given(_FLOWS, st.integers(0, 2 * 10**6))
def test_whatever_flows_there_are_what_is_said_of_them_holds(flows: Sequence[Flow], now: int) -> None:
    paths = learn(flows)
    for path in paths.values():
        assert path.flows >= LEAST
        assert path.steps[0].type == path.type
        assert all((0.5 <= step.share <= 1 and 0 <= step.median <= step.p95) or step.share == 1 for step in path.steps)
        assert not path.compensations & {step.type for step in path.steps}
    found = departures(flows, paths, now)
    assert len({saga.correlation for saga in found}) == len(found) <= len(flows)
    assert [saga.stuck for saga in found] == sorted((saga.stuck for saga in found), reverse=True)
    by_id = {flow.correlation: flow for flow in flows}
    for saga in found:
        alive = {step.type for step in by_id[saga.correlation].steps if step.reason is None}
        assert saga.missing is None or (saga.missing.type not in alive and saga.waiting > saga.missing.patience)
        assert saga.compensation is None or (saga.compensation in alive and not saga.stuck)
        assert set(saga.unexpected) <= alive


@given(_FLOWS)
def test_what_is_learned_does_not_depend_on_the_order_of_flows(flows: list[Flow]) -> None:
    assert learn(flows) == learn(flows[::-1])


def path_of(flows: Sequence[Flow]) -> Path:
    return learn(flows)[flows[0].steps[0].type]


@given(st.integers(LEAST, 60), st.integers(1, 10**5))
def test_who_did_all_that_is_usual_never_departs(count: int, every: int) -> None:
    flows = [flow(str(number), *ORDER, start=number, every=every) for number in range(count)]
    assert path_of(flows).steps[-1].type == ORDER[-1]
    assert departures(flows, learn(flows), 10**12) == []
