"""What every connector must do: one set of tests, run unchanged against every broker.

A broker's module subclasses `ConnectorContract`, says in `kinds` exactly which abilities each kind of endpoint has, and
has a fixture `broker` that is a `BrokerUnderTest`: the broker seen from outside, by other means than the connector.
"""

from tests.contract.actions import ActionsContract
from tests.contract.browsing import BrowsingContract
from tests.contract.claiming import ClaimingContract
from tests.contract.connecting import ConnectingContract
from tests.contract.groups import GroupsContract
from tests.contract.ledgers import LedgersContract
from tests.contract.listing import ListingContract
from tests.contract.publishing import PublishingContract
from tests.contract.rules import RulesContract
from tests.contract.scanning import ScanningContract
from tests.contract.starting import StartingContract
from tests.contract.tailing import TailingContract
from tests.contract.watching import WatchingContract


class ConnectorContract(
    ListingContract,
    PublishingContract,
    RulesContract,
    BrowsingContract,
    TailingContract,
    StartingContract,
    ScanningContract,
    GroupsContract,
    ClaimingContract,
    LedgersContract,
    ConnectingContract,
    WatchingContract,
    ActionsContract,
):
    """The whole suite. A subclass adds `kinds`, and the fixture `broker`."""
