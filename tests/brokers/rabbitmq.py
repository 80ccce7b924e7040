"""A private RabbitMQ node."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.brokers import install
from tests.brokers.certificates import Certificates
from tests.brokers.install import DIES_WITH_US, BrokerUnavailable, RabbitMQRelease
from tests.brokers.isolation import Daemon, Port, PrivateBroker, StateFolder

_PLUGINS = ("rabbitmq_management", "rabbitmq_shovel", "rabbitmq_shovel_management", "rabbitmq_stream")
_ADMINISTRATOR = ("guest", "guest")
_LOOPBACK = "-kernel inet_dist_use_interface {127,0,0,1}"
# A bind mount is made in a mount namespace of its own, so that it ends with the process: one left behind would
# hand the machine's /proc to whoever deletes the tree. The management plugin reads /proc.
_CHROOT = ("unshare", "--mount", "sh", "-c", 'mount --rbind /proc "$0/proc" && exec chroot "$0" "$@"')


@dataclass(frozen=True)
class RabbitMQAddress:
    """Where a RabbitMQ is, and what a client of it needs.

    There are an administrator `guest`, password `guest`, and `reader`, password `reader`, who may look at the
    management pages and read every queue of the vhost `/`, and may neither configure nor write.
    """

    release: str
    url: str
    """AMQP as the administrator."""
    tls_url: str
    """AMQP over TLS as the administrator; a client certificate is asked for and not demanded."""
    management_url: str
    """The management API without credentials."""
    stream_url: str
    """The stream protocol as the administrator."""
    ca_file: str
    client_cert: str
    client_key: str


class RabbitMQ(RabbitMQAddress, PrivateBroker):
    """A RabbitMQ node of one's own."""

    def __init__(self, name: str, release: RabbitMQRelease = "4.0") -> None:
        self._name = f"RabbitMQ {release} ({name})"
        self._root = install.rabbitmq(release)
        # Inside the tree, so that a broker which runs in that tree finds its data without a mount.
        parent = install.cache() if self._root == Path("/") else self._root
        self._state = StateFolder(parent / "state", f"rabbitmq-{release}-{name}")
        self._amqp, self._tls, self._management, self._stream, self._distribution, self._epmd_port = self._ports = [
            Port() for _ in range(6)
        ]
        self._certificates = Certificates.issue(self._state.path / "certificates")
        super().__init__(
            release=release,
            url=f"amqp://guest:guest@127.0.0.1:{self._amqp}",
            tls_url=f"amqps://guest:guest@127.0.0.1:{self._tls}",
            management_url=f"http://127.0.0.1:{self._management}",
            stream_url=f"rabbitmq-stream://guest:guest@127.0.0.1:{self._stream}",
            ca_file=str(self._certificates.ca),
            client_cert=str(self._certificates.client),
            client_key=str(self._certificates.client_key),
        )
        self._write_configuration()
        self._environment = self._private_environment()
        # Not the one that Erlang would start: that detaches itself and outlives the node.
        self._epmd = self._daemon("epmd", "epmd")
        self._process = self._daemon("rabbitmq", self._script("rabbitmq-server"))
        self._users_added = False

    def start(self) -> None:
        """Start the node and return when it has booted and its management API answers."""
        self._epmd.start()
        self._epmd.wait_until(lambda: self._mapper.listening, "epmd")
        self._process.start()
        # The management API answers before boot has ended, and so does a port: only await_startup knows.
        self._process.wait_until(self._started, self._name)
        self._process.wait_until(self._management_answers, f"the management API of {self._name}")
        if not self._users_added:
            self._add_reader()
            self._users_added = True

    def remove(self) -> None:
        """End the node and leave no process, port or file of it."""
        super().remove()
        self._epmd.end(signal.SIGTERM)

    def rabbitmqctl(self, *arguments: str) -> str:
        """Run rabbitmqctl(8) on this node and return what it prints, without headings.

        Raises:
            subprocess.CalledProcessError: the command failed.
            BrokerUnavailable: the node was never started, or is removed.
        """
        if not self._epmd.running:  # rabbitmqctl would start one, which would outlive us
            raise BrokerUnavailable(f"{self._name} was not started")
        command = [*DIES_WITH_US, *self._within([self._script("rabbitmqctl"), "--silent", *arguments])]
        done = subprocess.run(command, env=self._environment, capture_output=True, text=True, check=True, timeout=120)
        return done.stdout

    @property
    def _mapper(self) -> Port:
        """The port of Erlang's port mapper."""
        return self._epmd_port

    def _started(self) -> bool:
        try:
            self.rabbitmqctl("await_startup")
        except subprocess.CalledProcessError:
            return False
        return True

    def _management_answers(self) -> bool:
        try:
            return httpx.get(f"{self.management_url}/api/overview", auth=_ADMINISTRATOR, trust_env=False).is_success
        except httpx.TransportError:
            return False

    def _add_reader(self) -> None:
        with httpx.Client(base_url=self.management_url, auth=_ADMINISTRATOR, trust_env=False) as api:
            user = {"password": "reader", "tags": "management"}
            api.put("/api/users/reader", json=user).raise_for_status()
            permissions = {"configure": "^$", "write": "^$", "read": ".*"}
            api.put("/api/permissions/%2F/reader", json=permissions).raise_for_status()

    def _write_configuration(self) -> None:
        (self._state.path / "enabled_plugins").write_text(f"[{','.join(_PLUGINS)}].\n")
        (self._state.path / "rabbitmq.conf").write_text(
            f"""
            listeners.tcp.1 = 127.0.0.1:{self._amqp}
            listeners.ssl.1 = 127.0.0.1:{self._tls}
            ssl_options.cacertfile = {self._inside(self._certificates.ca)}
            ssl_options.certfile = {self._inside(self._certificates.server)}
            ssl_options.keyfile = {self._inside(self._certificates.server_key)}
            ssl_options.verify = verify_peer
            ssl_options.fail_if_no_peer_cert = false
            management.tcp.ip = 127.0.0.1
            management.tcp.port = {self._management}
            stream.listeners.tcp.1 = 127.0.0.1:{self._stream}
            stream.advertised_host = 127.0.0.1
            stream.advertised_port = {self._stream}
            disk_free_limit.absolute = 50MB
            collect_statistics_interval = 1000
            """
        )

    def _private_environment(self) -> dict[str, str]:
        """The whole environment (https://www.rabbitmq.com/docs/configure#supported-environment-variables).

        Nothing of ours is handed on, for a RABBITMQ_… of the machine's would reach into the node.
        """
        inside = self._inside(self._state.path)
        return {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "LANG": "C.UTF-8",
            "HOME": str(inside),
            "ERL_CRASH_DUMP_SECONDS": "0",
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(self._mapper),
            "RABBITMQ_HOME": str(inside),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_CONFIG_FILE": str(inside / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(inside / "enabled_plugins"),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(inside / "configuration"),
            "RABBITMQ_NODENAME": f"rabbit-{self._amqp}@localhost",
            "RABBITMQ_DIST_PORT": str(self._distribution),
            "RABBITMQ_MNESIA_BASE": str(inside / "data"),
            "RABBITMQ_LOG_BASE": str(inside / "log"),
            "RABBITMQ_PID_FILE": str(inside / "pid"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": _LOOPBACK,
            "RABBITMQ_CTL_ERL_ARGS": _LOOPBACK,
            # Makes the script become the Erlang machine instead of waiting for it: its pid is then the node's.
            "RUNNING_UNDER_SYSTEMD": "true",
        }

    def _daemon(self, name: str, *command: str) -> Daemon:
        return Daemon(self._within(command), self._environment, self._state.path / f"{name}.log")

    def _within(self, command: Sequence[str]) -> list[str]:
        """The command as run in the file tree of this release; each step becomes the next, so the pid stays."""
        return [*command] if self._root == Path("/") else [*_CHROOT, str(self._root), *command]

    def _inside(self, path: Path) -> Path:
        """A path as seen in the file tree of this release."""
        return Path("/") / path.relative_to(self._root)

    def _script(self, name: str) -> str:
        return str(self._inside(install.sbin(self._root)) / name)
