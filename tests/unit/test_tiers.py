"""Which headers may be edited, and how carefully."""

import pytest

from workbench.facts.convention_tables import builtin_tables, parse_table
from workbench.facts.tiers import Tier, Tiers, Where, tier_of


@pytest.mark.parametrize(
    ("name", "where", "tier"),
    [
        ("x-death", "header", "locked"),
        ("X-First-Death-Queue", "header", "locked"),
        ("x-last-death-reason", "header", "locked"),
        ("x-delivery-count", "header", "locked"),
        ("CC", "header", "locked"),
        ("workbench-move", "header", "locked"),
        ("workbench-anything", "header", "locked"),
        ("__connect.errors.topic", "header", "locked"),
        ("__dlq.errors.delivery.count", "header", "locked"),
        ("kafka_dlt-original-offset", "header", "locked"),
        ("kafka_dlt-exception-message", "header", "locked"),
        ("x-exception-stacktrace", "header", "locked"),
        ("NServiceBus.FailedQ", "header", "locked"),
        ("DeadLetterQueueSourceArn", "property", "locked"),
        ("traceparent", "header", "sensitive"),
        ("Correlation-Id", "header", "sensitive"),
        ("ce_id", "header", "sensitive"),
        ("ce_dataschema", "header", "sensitive"),
        ("Content-Type", "header", "sensitive"),
        ("__value_schema_id", "header", "sensitive"),
        ("apicurio.value.globalId", "header", "sensitive"),
        ("__TypeId__", "header", "sensitive"),
        ("retries", "header", "sensitive"),
        ("message_id", "property", "sensitive"),
        ("content_type", "property", "sensitive"),
        ("expiration", "property", "sensitive"),
        ("correlationId", "body", "sensitive"),
        ("metadata.correlationId", "body", "sensitive"),
        ("queue", "body", "sensitive"),
        ("tenant", "header", "free"),
        ("x-retry-at", "header", "free"),
        ("expiration", "header", "free"),
        ("priority", "property", "free"),
        ("total", "body", "free"),
    ],
)
def test_a_name_has_a_tier(name: str, where: Where, tier: Tier) -> None:
    assert tier_of(name, where) == tier


def test_a_users_own_conventions_count() -> None:
    own = parse_table({"name": "ours", "correlation": "header.order", "origin": {"queue": "header.was-in"}})
    tiers = Tiers([own, *builtin_tables()])
    assert tiers.tier_of("Order") == "sensitive"
    assert tiers.tier_of("was-in") == "locked"
    assert tier_of("Order") == tier_of("was-in") == "free"
