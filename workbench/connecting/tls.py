"""TLS as a connection's URL asks for it: `ca=FILE&cert=FILE&key=FILE`."""

import re
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from workbench.model.errors import ConfigError

OPTIONS: Final = ("ca", "cert", "key")
"""The options of a URL that name files."""


def tls_files(name: str, options: Mapping[str, str]) -> dict[str, str]:
    """The files among a URL's options, by option; none is opened.

    Raises:
        ConfigError: There is a key and no certificate.
    """
    files = {option: options[option] for option in OPTIONS if option in options}
    if "key" in files and "cert" not in files:
        raise ConfigError(f"{name}: key= needs the certificate it belongs to: add cert=FILE.")
    return files


def tls_context(name: str, ca: str | None = None, cert: str | None = None, key: str | None = None) -> ssl.SSLContext:
    """What to speak TLS with.

    Args:
        name: The connection's, for sentences.
        ca: File of the authorities to trust instead of the system's, in PEM form, as all of these.
        cert: File of the client's certificate, and of its key unless `key` is given.
        key: File of the client's key.

    Raises:
        ConfigError: A file is missing or is not what it should be.
    """
    for option, file in zip(OPTIONS, (ca, cert, key), strict=True):
        if file is not None and not Path(file).is_file():
            raise ConfigError(f"{name}: {option}={file} is not a file.")
    try:
        context = ssl.create_default_context(cafile=ca)
    except (ssl.SSLError, OSError) as error:
        raise ConfigError(f"{name}: ca={ca} holds no certificate in PEM form: {_reason(error)}.") from None
    if cert:
        try:
            # A key under a passphrase must not stop the program: OpenSSL would ask for it on the terminal.
            context.load_cert_chain(cert, key, password=lambda: "")
        except (ssl.SSLError, OSError) as error:
            raise ConfigError(
                f"{name}: cert={cert} and its key cannot be used: {_reason(error)};"
                " they must be in PEM form, belong together, and have no passphrase."
            ) from None
    return context


def tls_failure(error: BaseException) -> str | None:
    """Why TLS failed and what may help, in words without a full stop; None: it was not TLS.

    Args:
        error: What was raised; a driver's that only tells in its text what OpenSSL said will do.
    """
    if isinstance(error, ssl.SSLCertVerificationError):
        return _distrust(error.verify_message)
    if isinstance(error, ssl.SSLError) and error.reason:
        return _hint(error.reason)
    if (found := _SAID.search(str(error))) is None:
        return "it answered something else" if isinstance(error, ssl.SSLError) else None
    return _distrust(found[2]) if found[1] == "CERTIFICATE_VERIFY_FAILED" else _hint(found[1])


_SAID: Final = re.compile(r"\[SSL: ([A-Z0-9_]+)\](?: certificate verify failed: (.*?)(?: \(_ssl|$))?")
"""How Python writes what OpenSSL has said, wherever a driver puts it."""
_ALERTS: Final = (
    ("CERTIFICATE_REQUIRED", "it demands a client certificate: name one with cert=FILE and key=FILE"),
    ("HANDSHAKE_FAILURE", "it may demand a client certificate (cert=FILE and key=FILE), or other versions of TLS"),
    ("CERTIFICATE_EXPIRED", "it says that the client certificate has expired: name another one with cert=FILE"),
    ("CERTIFICATE_REVOKED", "it says that the client certificate was revoked: name another one with cert=FILE"),
    ("UNKNOWN_CA", "it does not know the authority of the client certificate: name one that it trusts with cert=FILE"),
    ("BAD_CERTIFICATE", "it does not accept the client certificate: name another one with cert=FILE and key=FILE"),
    ("CERTIFICATE_UNKNOWN", "it does not accept the client certificate: name another one with cert=FILE and key=FILE"),
)
"""What a server says of its client (https://www.rfc-editor.org/rfc/rfc8446#section-6), and what may help."""


def _hint(reason: str) -> str:
    for alert, hint in _ALERTS:
        if "ALERT" in reason and reason.endswith(alert):
            return hint
    if reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST", "UNKNOWN_PROTOCOL"):
        return "it speaks something else there: the wrong port, or a broker without TLS"
    return reason.replace("_", " ").lower()


def _distrust(message: str | None) -> str:
    message = (message or "").rstrip(". ")
    if "has expired" in message:
        return "its certificate has expired: whoever runs it has to renew it"
    if "not yet valid" in message:
        return "its certificate is not valid yet: is this machine's clock right"
    if "mismatch" in message:
        return f"its certificate is for another host ({message}): name the host that it is for"
    return f"its certificate is not trusted ({message or 'no reason given'}): ca=FILE names its authority"


def _reason(error: OSError) -> str:
    reason = error.reason if isinstance(error, ssl.SSLError) else error.strerror
    return (reason or str(error)).replace("_", " ").lower()
