"""Kafka clients' properties files, as Java's and librdkafka's clients read them, made into a connection's URL."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import quote

from workbench.model.errors import ConfigError

_ENTRY: Final = re.compile(r"\s*((?:\\.|[^\\=:\s])+)\s*[=:]?\s*(.*)", re.DOTALL)
_LOGIN: Final = re.compile(r"""\b(username|password)\s*=\s*(?:"((?:\\.|[^"\\])*)"|'([^']*)'|([^\s;]+))""")
_SECURITY: Final = {"PLAINTEXT": (False, False), "SSL": (True, False), "SASL_PLAINTEXT": (False, True)}
_MECHANISMS: Final = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")


def url_of(file: str) -> tuple[str, str | None]:
    """The URL of a Kafka cluster as a properties file describes it, and the password that stands there, if one does.

    The URL holds no password. Certificates are taken where they are PEM files.

    Raises:
        ConfigError: The file cannot be read, names no broker, or wants what cannot be said in a URL.
    """
    path = Path(file)
    said = _entries(path)
    servers = [each.strip() for each in said.get("bootstrap.servers", said.get("metadata.broker.list", "")).split(",")]
    if not any(servers):
        raise ConfigError(f"{path} names no broker: it has no bootstrap.servers.")
    security = said.get("security.protocol", "PLAINTEXT").upper()
    tls, sasl = _SECURITY.get(security, (True, True))
    if security not in (*_SECURITY, "SASL_SSL"):
        raise ConfigError(f"{path}: security.protocol is none of {', '.join((*_SECURITY, 'SASL_SSL'))}: {security!r}.")
    options, user, password = ["tls"] if tls else [], None, None
    if sasl:
        mechanism = said.get("sasl.mechanism", said.get("sasl.mechanisms", "PLAIN")).upper()
        if mechanism not in _MECHANISMS:
            raise ConfigError(f"{path}: sasl.mechanism {mechanism!r} is none of {', '.join(_MECHANISMS)}.")
        login = dict(_logins(said.get("sasl.jaas.config", "")))
        user = said.get("sasl.username", login.get("username"))
        password = said.get("sasl.password", login.get("password"))
        if user is None:
            raise ConfigError(f"{path} has no user: neither sasl.username nor one in sasl.jaas.config.")
        options.append(f"sasl={mechanism.lower()}")
    if tls:
        options += _certificates(path, said)
    at = f"{quote(user, safe='')}@" if user is not None else ""
    return f"kafka://{at}{','.join(filter(None, servers))}{'?' if options else ''}{'&'.join(options)}", password


def _certificates(path: Path, said: Mapping[str, str]) -> list[str]:
    """The URL's options for certificates.

    Raises:
        ConfigError: They are in a Java key store.
    """
    found = []
    for option, names in {
        "ca": ("ssl.ca.location", "ssl.truststore.location"),
        "cert": ("ssl.certificate.location", "ssl.keystore.location"),
        "key": ("ssl.key.location",),
    }.items():
        for name in names:
            if name not in said:
                continue
            if name.endswith("store.location") and said.get(name.replace("location", "type"), "JKS").upper() != "PEM":
                raise ConfigError(f"{path}: {name} is a Java key store; export it as PEM and set its type to PEM.")
            found.append(f"{option}={quote(said[name])}")
            break
    return found


def _logins(jaas: str) -> list[tuple[str, str]]:
    return [
        (name, re.sub(r"\\(.)", r"\1", double) or single or bare) for name, double, single, bare in _LOGIN.findall(jaas)
    ]


def _entries(path: Path) -> dict[str, str]:
    """The entries of a properties file, escapes resolved, lines that end in a backslash joined with the next.

    Raises:
        ConfigError: It cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is no properties file: it is not UTF-8.") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from None
    found = {}
    lines = iter(text.splitlines())
    for line in lines:
        if not line.strip() or line.lstrip().startswith(("#", "!")):
            continue
        while (len(line) - len(line.rstrip("\\"))) % 2:
            line = line[:-1] + next(lines, "").lstrip()
        if entry := _ENTRY.fullmatch(line):
            name, value = (re.sub(r"\\(.)", r"\1", each) for each in entry.groups())
            found[name] = value.strip()
    return found
