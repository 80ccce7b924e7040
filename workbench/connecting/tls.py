"""TLS as a connection's URL asks for it: `ca=FILE&cert=FILE&key=FILE`."""

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


def _reason(error: OSError) -> str:
    reason = error.reason if isinstance(error, ssl.SSLError) else error.strerror
    return (reason or str(error)).replace("_", " ").lower()
