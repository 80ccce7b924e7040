"""URLs without what is secret in them."""

import pytest

from workbench.connecting.url import (
    for_editing,
    for_error,
    for_listing,
    with_secrets_of,
    without_password,
    without_typed_passwords,
)


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


@pytest.mark.parametrize(
    "url", ["amqp://u:se?cret@h", "amqp:/u:secret@h", "u:se\ncret@h", "amqp://h?token=secret", "ops:secret"]
)
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


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("ops:hunter2@h?heartbeat=10", "'ops:…@h?heartbeat=10'"),
        ("x=y=ops:hunter2@h", "'x=y=ops:…@h'"),
        ("amqp:/ops:hunter2@h/q", "'amqp:/ops:…@h/q'"),
        ("AMQP://ops:hunter2@h", "'AMQP://ops:…@h'"),
        ("amqp//ops:hunter2@h", "'amqp//ops:…@h'"),
        ("amqp://ops:hun/ter2@h/v@w", "'amqp://ops:…@w'"),
        ("amqp://ops:hunter2", "'amqp://ops:…'"),
        ("ops:hun\tter2@h", "'ops:…@h'"),
        ("ops:ops@h", "'ops:…@h'"),
        ("amqp://h?management=http://a:hunter2@h", "'amqp://h?management=http://a:…@h'"),
        ("amqp://h?management=http://a:hunter2%40h", "'amqp://h?management=http://a:…%40h'"),
        ("Endpoint=sb://h/;SharedAccessKey=hunter2=", "'Endpoint=sb://h/;SharedAccessKey=…'"),
        ("kafka://h:9092", "'kafka://h:9092'"),
        ("kafka://[::1]:9092", "'kafka://[::1]:9092'"),
        ("m/exchange:orders@eu", "'m/exchange:orders@eu'"),
        ('{"mail": "a@b"}', '\'{"mail": "a@b"}\''),
    ],
)
def test_a_sentence_about_a_word_of_the_command_line_has_no_password_of_it(word: str, said: str) -> None:
    assert without_typed_passwords(f"Unknown {word!r}.", ["ls", word]) == f"Unknown {said}."


def test_what_a_reading_of_a_word_leaves_of_its_password_is_hidden_too() -> None:
    assert without_typed_passwords("There is no 'ops:hunter2@h'.", ["ops:hunter2@h/v@w"]) == "There is no 'ops:…@h'."
