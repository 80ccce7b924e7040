"""Flows and their paths in words, for the command line and the screen alike; what strangers wrote is for whoever shows
it."""

from workbench.model.wording import quantity
from workbench.operations.saga.flows import DeadLetter
from workbench.operations.saga.paths import Path, Saga
from workbench.operations.trace.words import span_text
from workbench.table.cells import short_reason


def path_text(path: Path) -> str:
    """A path in a line: `OrderAccepted (101 flows) → PaymentAuthorised 74% 454 ms → …`."""
    first, *rest = path.steps
    steps = [f"{step.type} {step.share:.0%} {span_text(step.median)}" for step in rest]
    return " → ".join([f"{first.type} ({quantity(path.flows, 'flow')})", *steps])


def departure(saga: Saga) -> str:
    """In a sentence how a flow departs from its path; empty where it does not."""
    said = []
    if saga.stuck:
        late = f"no {saga.missing} for {span_text(saga.waiting)}"
        said.append(f"{late}; it usually follows {saga.after} within {span_text(saga.p95)}")
    said += [f"unexpected: {', '.join(saga.unexpected)}"] if saga.unexpected else []
    said += [f"ended by {saga.compensation}"] if saga.compensation is not None else []
    return "; ".join(said)


def absence(saga: Saga) -> str:
    """What is to be said of a step where it should be; of a flow that is stuck."""
    return f"missing, usual after {span_text(saga.median)}"


def death(dead: DeadLetter) -> str:
    """Why an event of a flow failed, and where it is: `account is null, in kafka/payments-dlt`."""
    return f"{short_reason(dead.reason)}, in {dead.place}"
