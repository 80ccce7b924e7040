"""The usual path of a type of flow, and how flows depart from it."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from workbench.facts.facts import Fact, Facts
from workbench.model.address import Address
from workbench.model.event import Delivery, Event
from workbench.operations.saga import flows as saga_flows
from workbench.operations.saga.flows import DeadLetter, Flow, Flows, Occurrence, Step, occurrence_of
from workbench.operations.saga.paths import LEAST, STATES, Path, Saga, judge, judge_all, learn, patience

ORDER = ("OrderPlaced", "PaymentTaken", "OrderShipped")
NOW = 1_000_000


def flow(name: str, *types: str, start: int = 0, every: int = 100, dead: str = "") -> Flow:
    steps = tuple(Step(type, at := start + every * number, at, f"k/{type}") for number, type in enumerate(types))
    return Flow(name, steps, DeadLetter(steps[-1].last + 1, dead, "k/dlt", "no money") if dead else None)


def usual(count: int = 10) -> list[Flow]:
    return [flow(f"f{number}", *ORDER, start=number) for number in range(count)]


def departures(flows: Sequence[Flow], now: int = NOW) -> list[Saga]:
    """Those that are not as most are."""
    return [saga for saga in judge_all(flows, learn(flows), now) if saga.state not in ("complete", "under way")]


def test_the_usual_path_has_what_most_flows_have_in_the_order_of_time() -> None:
    path = learn([*usual(), flow("x", "OrderPlaced", "Gift", "PaymentTaken", "OrderShipped")])["OrderPlaced"]
    assert [step.type for step in path.steps] == list(ORDER)
    assert [(step.share, step.median, step.p95) for step in path.steps[2:]] == [(1.0, 100, 100)]
    assert (path.flows, path.shares) == (11, {"Gift": 1 / 11})


def test_a_flow_whose_next_step_does_not_come_is_stuck_since_the_step_before() -> None:
    stuck = flow("stuck", "OrderPlaced", "PaymentTaken", start=1000)
    [saga] = departures([*usual(), stuck])
    assert saga.stuck
    assert (saga.flow.correlation, saga.after, saga.missing) == ("stuck", "PaymentTaken", "OrderShipped")
    assert saga.waiting == NOW - 1100


def test_a_flow_within_its_usual_latency_is_not_stuck() -> None:
    path = learn(usual())
    under_way = flow("new", "OrderPlaced", "PaymentTaken", start=NOW - 300)
    assert judge(under_way, path, NOW).state == "under way"
    assert judge(under_way, path, NOW + 10_000).state == "stuck"


def test_what_comes_in_the_place_of_usual_steps_is_a_compensation_and_ends_a_flow() -> None:
    cancelled = [flow(f"c{number}", "OrderPlaced", "OrderCancelled") for number in range(3)]
    found = departures([*usual(), *cancelled])
    assert [(saga.state, saga.compensation) for saga in found] == [("compensated", "OrderCancelled")] * 3


def test_what_came_once_in_a_flow_that_is_stuck_is_no_compensation() -> None:
    odd = flow("odd", "OrderPlaced", "Pinged")
    [saga] = departures([*usual(40), odd])
    assert (saga.state, saga.missing, saga.unexpected) == ("stuck", "PaymentTaken", ("Pinged",))


def test_a_step_that_hardly_any_flow_has_is_unexpected() -> None:
    odd = flow("odd", *ORDER, "Refunded")
    found = departures([*usual(40), odd])
    assert [(saga.flow.correlation, saga.unexpected, saga.state) for saga in found] == [
        ("odd", ("Refunded",), "unexpected")
    ]


def test_the_worst_come_first_those_with_a_dead_letter_then_those_that_wait_longest() -> None:
    bad = [
        flow("short", "OrderPlaced", start=500_000),
        flow("long", "OrderPlaced", start=0),
        flow("dead", "OrderPlaced", start=900_000, dead="OrderPlaced"),
        flow("done", *ORDER, dead="OrderPlaced"),
    ]
    found = departures([*usual(), *bad])
    assert [saga.flow.correlation for saga in found] == ["dead", "long", "short", "done"]
    assert [saga.state for saga in found] == ["stuck", "stuck", "stuck", "dead letter"]


def test_a_flow_that_began_before_what_was_read_is_judged_by_the_rest_of_its_path() -> None:
    cut = [flow(f"cut{number}", "PaymentTaken", "OrderShipped") for number in range(LEAST)]
    late = flow("late", "PaymentTaken")
    assert list(learn([*usual(), *cut, late])) == ["OrderPlaced"]
    assert [saga.flow.correlation for saga in departures([*usual(), *cut, late])] == ["late"]


def test_flows_that_begin_with_a_step_of_others_have_a_path_of_their_own() -> None:
    stock = [flow(f"s{number}", "PaymentTaken", "Booked", start=50_000 + number) for number in range(LEAST)]
    unbooked = flow("unbooked", "PaymentTaken", start=60_000)
    paths = learn([*usual(), *stock, unbooked])
    assert [step.type for step in paths["PaymentTaken"].steps] == ["PaymentTaken", "Booked"]
    assert [(saga.flow.correlation, saga.missing) for saga in departures([*usual(), *stock, unbooked])] == [
        ("unbooked", "Booked")
    ]


def test_one_step_of_others_alone_says_nothing_of_a_flow_of_a_type_that_is_rare() -> None:
    rare = flow("rare", "PaymentTaken", start=50_000)
    assert judge(rare, learn([*usual(), rare]), NOW).state == "unknown"


def test_a_step_that_many_flows_go_on_without_is_not_missed_but_the_next_one_is() -> None:
    wrapped = [flow(f"w{number}", "OrderPlaced", "Wrapped", *ORDER[1:], start=number) for number in range(6)]
    plain = [flow(f"p{number}", *ORDER, start=number) for number in range(4)]
    waiting = flow("waiting", "OrderPlaced", start=1000)
    found = departures([*wrapped, *plain, waiting])
    assert [(saga.flow.correlation, saga.missing) for saga in found] == [("waiting", "PaymentTaken")]


def test_a_step_that_all_who_went_on_have_is_missed_though_the_flow_went_on() -> None:
    skipped = flow("skipped", "OrderPlaced", "OrderShipped", start=1000)
    assert [(saga.flow.correlation, saga.missing) for saga in departures([*usual(), skipped])] == [
        ("skipped", "PaymentTaken")
    ]


def test_what_may_have_come_before_its_place_was_read_is_not_missing() -> None:
    early = flow("early", "OrderPlaced", start=1000)
    late = [flow(f"f{number}", *ORDER, start=500_000 + number) for number in range(10)]
    assert departures([early, *late], NOW) == []


def test_what_may_have_come_after_its_place_was_read_is_not_missing() -> None:
    flows = [*usual(), flow("young", "OrderPlaced", start=1000)]
    until = {"k/PaymentTaken": 1200}
    assert judge(flows[-1], learn(flows), NOW, until).state == "under way"
    assert judge(flows[-1], learn(flows), NOW, {"k/PaymentTaken": 9000}).waiting == 8000


def test_a_step_that_is_tried_again_is_one_step() -> None:
    gathered = Flows()
    for time in range(0, 5_000, 10):
        gathered.add(Occurrence("a", time, "Tried", "k/t"))
    assert list(gathered) == [Flow("a", (Step("Tried", 0, 4990, "k/t"),))]


def test_of_events_in_one_millisecond_the_first_is_the_one_that_mostly_is() -> None:
    steps = [(Step("A", n, n, "k/t"), Step("B", n, n, "k/t"), Step("C", n + 5, n + 5, "k/t")) for n in range(9)]
    tied = [Flow(f"t{number}", some) for number, some in enumerate(steps)]
    assert list(learn([*tied, flow("x", "B", "A", "C")])) == ["B"]
    assert list(learn(tied)) == ["A"]


def test_of_few_flows_nothing_is_learned() -> None:
    assert learn(usual(LEAST - 1)) == {}
    assert {saga.state for saga in judge_all(usual(LEAST - 1), {}, NOW)} == {"unknown"}


def test_events_become_flows_and_those_without_a_type_are_no_steps_where_others_have_one() -> None:
    gathered = Flows()
    for correlation, type, topic in (("a", "Placed", "o"), ("a", None, "clicks"), ("b", None, "o"), (None, "X", "o")):
        facts = [Fact("type", type, "c", "s")] if type else []
        facts += [Fact("correlation", correlation, "c", "s")] if correlation else []
        delivery = Delivery(Event(timestamp=7), Address("k", topic), 9)
        if (occurrence := occurrence_of(delivery, Facts(tuple(facts)))) is not None:
            gathered.add(occurrence)
    assert [(each.correlation, [step.type for step in each.steps]) for each in gathered] == [
        ("a", ["Placed"]),
        ("b", ["k/o"]),
    ]


def test_half_a_character_of_a_stranger_is_spelled() -> None:
    facts = Facts((Fact("correlation", "a\udc80", "c", "s"),))
    seen = occurrence_of(Delivery(Event(timestamp=2**70), Address("k", "o"), 9), facts)
    assert seen == Occurrence("a\\udc80", 2**63 - 1, "", "k/o")


def test_flows_are_bounded() -> None:
    gathered, before = Flows(), saga_flows.MOST
    try:
        saga_flows.MOST = 10  # type: ignore[misc]
        for number in range(25):
            for type in range(saga_flows.STEPS + 5 * (number % 2)):
                gathered.add(Occurrence(str(number), 7, f"T{type}", "k/o"))
    finally:
        saga_flows.MOST = before  # type: ignore[misc]
    assert (len(gathered), gathered.cut, gathered.dropped) == (5, 5, 15)
    assert {len(each.steps) for each in gathered} == {saga_flows.STEPS}


def gathered_flows(seen: Sequence[tuple[int, int, str, str | None]]) -> list[Flow]:
    gathered = Flows()
    for number, time, type, reason in seen:
        gathered.add(Occurrence(str(number), time, type, "k/t", reason))
    return list(gathered)


_SEEN = st.tuples(
    st.integers(0, 29), st.integers(0, 10**6), st.sampled_from("ABCD"), st.sampled_from([None, None, "x"])
)
_FLOWS = st.lists(_SEEN, max_size=120).map(gathered_flows)


@given(_FLOWS, st.integers(0, 2 * 10**6))
def test_whatever_flows_there_are_what_is_said_of_them_holds(flows: Sequence[Flow], now: int) -> None:
    paths = learn(flows)
    for path in paths.values():
        assert path.flows >= LEAST
        assert path.steps[0].type == path.type
        assert all((0.5 <= step.share <= 1 and 0 <= step.median <= step.p95) or step.share == 1 for step in path.steps)
        assert not path.compensations & {step.type for step in path.steps}
    found = judge_all(flows, paths, now)
    assert [saga.flow for saga in sorted(found, key=lambda saga: saga.flow.correlation)] == sorted(
        flows, key=lambda flow: flow.correlation
    )
    ranks = [STATES.index(saga.state) for saga in found]
    assert ranks == sorted(ranks)
    for saga in found:
        assert saga.missing is None or (saga.missing not in saga.flow.times and saga.waiting > patience(saga.p95))
        assert saga.compensation is None or (saga.compensation in saga.flow.times and not saga.stuck)
        assert set(saga.unexpected) <= saga.flow.times.keys()


@given(_FLOWS)
def test_what_is_learned_does_not_depend_on_the_order_of_flows(flows: list[Flow]) -> None:
    assert learn(flows) == learn(flows[::-1])


def path_of(flows: Sequence[Flow]) -> Path:
    return learn(flows)[flows[0].steps[0].type]


@given(st.integers(LEAST, 60), st.integers(1, 10**5))
def test_who_did_all_that_is_usual_never_departs(count: int, every: int) -> None:
    flows = [flow(str(number), *ORDER, start=number, every=every) for number in range(count)]
    assert path_of(flows).steps[-1].type == ORDER[-1]
    assert departures(flows, 10**12) == []
