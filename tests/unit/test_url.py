"""URLs without what is secret in them."""

import pytest

from workbench.connecting.url import for_editing, for_error, for_listing, with_secrets_of, without_password


@pytest.mark.parametrize(
    ("url", "written"),
    [
        ("amqp://u:secret@h/v", "amqp://u@h/v"),
        ("kafka://u:s@cret@h:1,i:2?tls", "kafka://u@h:1,i:2?tls"),
        ("amqp://h?management=http://h:15672", "amqp://h?management=http://h:15672"),
        ("amqp://u@h?management=http://a:b@h", "amqp://u@h?management=http://a:b@h"),
    ],
)
def test_a_saved_url_has_no_password_of_its_own(url: str, written: str) -> None:
    assert without_password(url) == written


@pytest.mark.parametrize(
    ("url", "listed"),
    [
        ("amqp://u:secret@h/v?heartbeat=20&management=http://a:b%40h", "amqp://u:…@h/v?heartbeat&management"),
        ("amqp://u:${SHOP}@h/v", "amqp://u:${SHOP}@h/v"),
        ("kafka://u@h:1,i:2", "kafka://u@h:1,i:2"),
    ],
)
def test_a_listed_url_has_variables_and_the_names_of_options_alone(url: str, listed: str) -> None:
    assert for_listing(url) == listed


@pytest.mark.parametrize("url", ["amqp://u:se?cret@h", "amqp:/u:secret@h", "u:se\ncret@h", "amqp://h?token=secret"])
def test_an_error_quotes_nothing_that_may_be_a_password(url: str) -> None:
    assert "cret" not in for_error(url)


def test_a_url_is_edited_without_its_secrets_and_gets_them_back() -> None:
    url = "amqp://ops:s%2F@h:1/v?heartbeat=5&management=http://a:b%40h&sasl.token=x"
    shown = for_editing(url)
    assert shown == "amqp://ops:…@h:1/v?heartbeat=5&management=…&sasl.token=…"
    assert with_secrets_of(shown, url) == url
    assert with_secrets_of(shown.replace("h:1", "other"), url) == url.replace("h:1", "other")
    assert for_editing("amqp://ops:${PASSWORD}@h") == "amqp://ops:${PASSWORD}@h"
    assert for_editing("kafka://h1,h2") == "kafka://h1,h2"
    with pytest.raises(ValueError, match="the option 'management'"):
        with_secrets_of(shown, "amqp://ops:x@h")
