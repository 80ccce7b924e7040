"""Rules: an endpoint states what it can hold, and keeps to that."""

import pytest

from tests.contract.samples import doubtful, number_of, unchanged
from tests.contract.steps import browse, drain, publish
from tests.contract.under_test import BrokerUnderTest, Contract, Kind, needs
from workbench.connecting.plugins import connect
from workbench.model.endpoint import Ability
from workbench.model.errors import EndpointNotFound
from workbench.model.event import Event


class RulesContract(Contract):
    """The tests."""

    @needs(Ability.PUBLISH | Ability.BROWSE)
    async def test_rules_refuse_what_would_not_arrive_and_tell_what_changes(
        self, broker: BrokerUnderTest, kind: Kind
    ) -> None:
        place = await broker.create(kind.name)
        events = doubtful(place.address)
        arrived: dict[int, Event] = {}
        async with connect(broker.connection) as connector:
            rules = await connector.rules(place.address)
            for event in events:
                await publish(connector, place.address, [event])
            seen = await (browse if kind.whole else drain)(connector, place.address)
            for delivery in seen:
                arrived[number_of(delivery.event, events)] = delivery.event
        for number, event in enumerate(events):
            finding = rules.examine(event)
            # What has become another of them, such as a null body an empty one, has not arrived.
            same = number in arrived and unchanged(event, arrived[number])
            if finding.refusal:
                assert not same, (finding, event)
            else:
                assert number in arrived, (finding, event)
                assert same == (not finding.changes), (finding, event, arrived[number])

    @needs(Ability.PUBLISH)
    async def test_rules_of_a_missing_endpoint_are_not_found(self, broker: BrokerUnderTest, kind: Kind) -> None:
        async with connect(broker.connection) as connector:
            with pytest.raises(EndpointNotFound):
                await connector.rules(self.missing(broker, kind))
