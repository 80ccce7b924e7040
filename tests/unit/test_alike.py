"""What is the same in texts that differ in ids and numbers alone."""

import pytest

from workbench.query.alike import same_for_all


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("order 17 not found", "order … not found"),
        ("0d47d98d-628f-43af-8016-e36000000000 is gone", "… is gone"),
        ("at 0x7fff12 in frame 3.14", "at … in frame …"),
        ("trace 0d47d98d628f3af0 ended", "trace … ended"),
        ("order 01HF3ZK8WQ7ZJ2V5C9T0ABCDEF is gone", "order … is gone"),
        ("refused by 10.0.0.1:5672", "refused by …"),
        ("refused by [fe80::1]:5672", "refused by …"),
        ("refused by db-3.prod:5432", "refused by db-….prod:…"),
        ("no mail to jo.doe+x@shop.example", "no mail to …"),
        ("at OrderService.java:42", "at OrderService.java:…"),
        ("late since 2026-11-26T10:00:00.123Z", "late since …"),
        ("timed out after 30012ms, with 12 kB", "timed out after …, with … kB"),
        ("com.shop.Order@6d06d69c is null", "com.shop.Order@… is null"),
        ("a decade of facades", "a decade of facades"),
        ("utf8 v2 x509", "utf8 v2 x509"),
        ("java.lang.IllegalArgumentException", "java.lang.IllegalArgumentException"),
    ],
)
def test_what_is_the_same_in_a_text_is_what_is_no_id(text: str, same: str) -> None:
    assert same_for_all(text) == same
