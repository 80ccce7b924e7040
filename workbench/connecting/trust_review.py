"""What a configuration file could do once it is trusted: its user is shown that before."""

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from workbench.connecting.config_file import ConfigFile, Configured, Need
from workbench.connecting.config_sources import as_trusted, leads_to, read_content, written_place
from workbench.connecting.known_brokers import led_to_production
from workbench.connecting.logins import logins_of


def what_trust_allows(path: Path) -> tuple[bytes, Sequence[tuple[Need, str]]]:
    """What is in a file, and what it could do once it is trusted, each with its connection, or with an empty name.

    Raises:
        ConfigError: It cannot be read, or says something that is not known here; or what would make it stricter cannot
            be read.
    """
    content = read_content(path)
    config, counts = ConfigFile.read(path, content), as_trusted(path, content)
    allowed = [
        (need, name)
        for name, said in config.connections.items()
        for need in (*said.needs, *_hosts(said), _use(said, counts.connections[name]))
    ]
    if config.cluster:
        allowed.append((Need("give passwords to the cluster", config.cluster), ""))
    allowed += [(Need("read the file", file), "") for file in config.schemas.values()]
    return content, allowed


def _use(said: Configured, counts: Configured) -> Need:
    """What may be done through it: the user's own file, and the brokers that were met as production, may say less than
    the file does."""
    leads = leads_to(counts)
    production = counts.production or (leads is not None and led_to_production(leads))
    allowed = _standing(counts.guard, production)
    asked = _standing(said.guard, said.production)
    return Need("be used up to", allowed if allowed == asked else f"{allowed} (the file says {asked})")


def _standing(guard: str, production: bool) -> str:
    return f"{guard}, {'as production' if production else 'not as production'}"


def _hosts(said: Configured) -> Sequence[Need]:
    """Where it would connect to, and who would get its passwords, as far as that is written in its URL."""
    if (connection := written_place(said.url)) is None:
        return [Need("connect to", "what the variables say" if "${" in said.url else "nothing: its URL cannot be used")]
    places = [*connection.places]
    for value in connection.options.values():
        if "://" in value:
            places += urlsplit(value).netloc.rpartition("@")[2].split(",")
    # Of a host without its port no more is to be said.
    places += [each.place for each in logins_of(connection) if each.place.rpartition(":")[0] not in places]
    return [Need("connect to", place) for place in dict.fromkeys(places)]
