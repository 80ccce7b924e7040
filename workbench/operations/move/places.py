"""Where the connections of a plan lead: it is carried out, resumed and undone where it was made, and nowhere else."""

from workbench.model.errors import Unsupported
from workbench.operations.journal.operation import place_of
from workbench.operations.move.plan import Plan
from workbench.session import Session


async def check_places(session: Session, plan: Plan) -> None:
    """Refuse a plan whose connections lead elsewhere than when it was made.

    Raises:
        Unsupported: One does, by its URL, or to a broker that calls itself otherwise.
        AddressError: One is not known.
        WorkbenchError: One cannot be opened, or its broker does not tell.
    """
    places = [(plan.source, plan.identity), *((leg.address, leg.identity) for leg in plan.legs)]
    for address, identity in places:
        leads, led = place_of(session.broker_identity(address.connection)), place_of(identity)
        if leads != led:
            place = led.partition("#")[0]
            ended = f"{place} was a broker of another program, and ended with it"
            moved = f"{address.connection} leads elsewhere now, and led to {place}"
            raise changed(ended if leads.partition("#")[0] == place else moved)
    brokers = {plan.source.connection: plan.broker, **{leg.address.connection: leg.broker for leg in plan.legs}}
    for name, led in brokers.items():
        leads = await session.broker_id(name) if led else ""
        if leads and leads != led:
            raise changed(f"{name} leads to another broker now, {leads}, and led to {led}")


def changed(what: str) -> Unsupported:
    """The error that something a plan is about is not as it was."""
    return Unsupported(f"The plan no longer fits: {what}. Plan again.")
