"""The log of unexpected errors: private, bounded, and without secrets."""

import stat
from pathlib import Path

import pytest

from workbench.connecting.config import Connection
from workbench.connecting.error_log import ENTRY, LIMIT, error_log, log_error, log_unexpected


def raised(error: Exception) -> Exception:
    try:
        local = "a local variable"
        raise error from KeyError(len(local))
    except Exception as caught:
        return caught


def test_the_log_has_the_traceback_and_no_local_variables_and_only_its_user_may_read_it() -> None:
    path = log_error(raised(RuntimeError("odd")), "Listing r")
    text = path.read_text()
    assert "Listing r" in text and "RuntimeError: odd" in text and "KeyError: 16" in text and "in raised" in text
    assert "a local variable" not in text.replace('local = "a local variable"', "")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("password", ["pa/ss w%rd'é", "hunter2", 'quo"te\\', "\udcff5"])
def test_passwords_of_connections_are_not_logged_however_they_are_spelled(password: str) -> None:
    from urllib.parse import quote

    quoted = quote(password, safe="", errors="surrogatepass")
    if "\udcff" not in password:
        Connection.parse(f"r=amqp://user:{quoted}@localhost")
    else:
        from workbench.connecting.config import Secret

        Secret(password)
    said = f"{password} {quoted} {password!r} {password.encode(errors='surrogatepass')!r}"
    text = log_error(raised(ValueError(said)), f"Opening {password}").read_text()
    spellings = (password, quoted, repr(password)[1:-1], repr(password.encode(errors="surrogatepass"))[2:-1])
    assert not [each for each in (*spellings, ascii(password)[1:-1]) if each in text]


def test_a_password_of_a_letter_is_hidden_where_it_stands_alone_and_leaves_words_readable() -> None:
    Connection.parse("r=amqp://user:p@localhost")
    text = log_error(raised(RuntimeError("login with p refused")), "Opening r").read_text()
    assert "login with … refused" in text and "RuntimeError" in text and "Opening r" in text


@pytest.mark.parametrize(
    "text",
    [
        "cannot reach amqp://user:s3cr3t@host/vhost",
        "cannot reach https://registry/?apikey=s3cr3t",
        "401 for Authorization: Basic czNjcjN0czNjcjN0s3cr3t",
        "{'sasl_plain_password': 's3cr3t', 'client_id': 'x'}",
        "connect(password='s3cr3t with a space')",
        "ssl.keystore.password=s3cr3t",
    ],
)
def test_what_looks_like_a_credential_is_not_logged(text: str) -> None:
    assert "s3cr3t" not in log_error(ValueError(text)).read_text()


def test_the_log_is_bounded_and_keeps_the_newest() -> None:
    for number in range(100):
        log_error(ValueError(f"number {number}: {'x' * 100_000}"))
    text = error_log().read_text()
    assert len(text) <= LIMIT and "number 99:" in text and "number 0:" not in text
    log_error(ValueError("y" * 10 * ENTRY))
    assert error_log().stat().st_size <= LIMIT


def test_nothing_in_the_log_moves_the_terminal_on_which_it_is_read() -> None:
    text = log_error(ValueError("\x1b[2Jgone\u202e \udce9"), "\x1b]0;title\x07").read_text()
    assert all(character.isprintable() or character == "\n" for character in text)
    assert "\\x1b[2Jgone" in text


def test_the_sentence_names_the_file_and_says_when_nothing_can_be_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    sentence = log_unexpected(ValueError("hunter2"), "Listing r")
    assert sentence == f"Listing r failed with an unexpected ValueError; the details are in {error_log()}."
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    assert "could not be written to" in log_unexpected(ValueError("x"), "Listing r")
