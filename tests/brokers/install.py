"""Makes sure, once, of the brokers and of the tools the tests run.

RabbitMQ 3.10 and the tools come from the Debian 12 that runs the tests, RabbitMQ 4.0 from a tree of the next
Debian (it needs that one's C library), Kafka from Maven. Every one comes from the registry that this machine's
apt or Maven is configured for. What is not a package of the machine is kept in `cache()`.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

RabbitMQRelease = Literal["3.10", "4.0"]

KAFKA_RELEASE = "4.4.0"

DIES_WITH_US = ("setpriv", "--pdeathsig", "KILL")
"""Before a command: the kernel kills it when the thread that started it ends (prctl(2), PR_SET_PDEATHSIG)."""

_POM = Path(__file__).with_name("pom.xml")
_SYSTEM = Path("/")
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_POLICY = Path("/usr/sbin/policy-rc.d")
_PACKAGES = {
    "rabbitmq-server": "rabbitmqctl",
    "kcat": "kcat",
    "amqp-tools": "amqp-get",
    "debootstrap": "debootstrap",
    "util-linux": "unshare",
    "mount": "mount",
    "tmux": "tmux",
    "jq": "jq",
    "gcc": "gcc",
}
"""Debian's name of a package, and a command by which we see that it is there."""


class BrokerUnavailable(Exception):
    """A broker that a test needs cannot be installed or started; the message says why in one sentence."""


def cache() -> Path:
    """The folder that outlives the runs: `$WORKBENCH_TEST_CACHE`, or one under the home folder's cache."""
    folder = os.environ.get("WORKBENCH_TEST_CACHE") or "~/.cache/event-workbench-tests"
    return Path(folder).expanduser().absolute()


def everything() -> None:
    """Install all brokers and tools, side by side where they can be.

    Raises:
        BrokerUnavailable: one of them cannot be installed.
    """
    with ThreadPoolExecutor() as threads:
        jobs = [threads.submit(rabbitmq, "3.10"), threads.submit(rabbitmq, "4.0"), threads.submit(kafka)]
    for job in jobs:
        job.result()


def tools() -> None:
    """Install what is missing of the packages of this machine's Debian, in one call of apt.

    Raises:
        BrokerUnavailable: apt is missing or refuses, or we are not root.
    """
    with locked(cache() / "packages.lock"):
        missing = [package for package, command in _PACKAGES.items() if not shutil.which(command, path=_SYSTEM_PATH)]
        if not missing:
            return
        purpose = f"installing {', '.join(missing)}"
        _need_root(purpose)
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        # An index that cannot be renewed need not matter: apt-get install says so when it does.
        subprocess.run(["apt-get", "update", "-q"], capture_output=True, check=False)
        with _no_service_started():
            _run(
                [
                    "apt-get",
                    "install",
                    "-q",
                    "-y",
                    "--no-install-recommends",
                    "-o",
                    "DPkg::Lock::Timeout=300",
                    *missing,
                ],
                purpose,
                environment,
            )


def rabbitmq(release: RabbitMQRelease) -> Path:
    """The root of the file tree in which this release of RabbitMQ is installed: `/`, or a tree to chroot into.

    Raises:
        BrokerUnavailable: it cannot be installed, or another release is there.
    """
    tools()
    root = _SYSTEM if release == "3.10" else _debian_tree()
    if not sbin(root).parent.name.startswith(f"rabbitmq_server-{release}."):
        raise BrokerUnavailable(f"the tests need RabbitMQ {release}, and {root} has {sbin(root).parent.name}")
    return root


def sbin(root: Path) -> Path:
    """RabbitMQ's own scripts in a file tree; those in `/usr/sbin` are wrappers that change the user."""
    found = sorted(root.glob("usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin"))
    if not found:
        raise BrokerUnavailable(f"there is no RabbitMQ in {root}")
    return found[-1]


def kafka() -> Path:
    """The folder of Kafka's jars.

    Raises:
        BrokerUnavailable: there is no Java, or Maven is missing or cannot fetch the jars.
    """
    return jars(f"kafka-{KAFKA_RELEASE}", _POM, "fetching Kafka with Maven")


def jars(name: str, pom: Path, purpose: str) -> Path:
    """The folder, so named in the cache, with the jars that a pom's dependencies are.

    Raises:
        BrokerUnavailable: there is no Java, or Maven is missing or cannot fetch the jars.
    """
    if not shutil.which("java"):
        raise BrokerUnavailable(f"{purpose} needs Java 17 or later, and there is no `java` on the path")
    folder = cache() / name
    with _built(folder) as unfinished:
        if unfinished:
            # Run on a copy, for Maven may write beside the file.
            unfinished.mkdir(parents=True)
            copy = str(shutil.copy(pom, unfinished))
            options = ["-DincludeScope=runtime", f"-DoutputDirectory={unfinished}"]
            _run(["mvn", "-q", "-B", "-f", copy, "dependency:copy-dependencies", *options], purpose)
    return folder


def node_modules(name: str, package: str, purpose: str) -> Path:
    """The folder, so named in the cache, in which the dependencies of a `package.json` are.

    Raises:
        BrokerUnavailable: there is no npm, or it cannot fetch them.
    """
    if not shutil.which("npm"):
        raise BrokerUnavailable(f"{purpose} needs Node.js, and there is no `npm` on the path")
    folder = cache() / name
    with _built(folder) as unfinished:
        if unfinished:
            unfinished.mkdir(parents=True)
            (unfinished / "package.json").write_text(package)
            _run(["npm", "install", "--no-audit", "--no-fund", "--prefix", str(unfinished)], purpose)
    return folder


def python_environment(name: str, requirement: str, purpose: str) -> Path:
    """The Python of an environment of its own, so named in the cache, in which a package is.

    Raises:
        BrokerUnavailable: it cannot be made, or pip cannot fetch the package.
    """
    folder = cache() / name
    with _built(folder) as unfinished:
        if unfinished:
            _run([sys.executable, "-m", "venv", str(unfinished)], purpose)
            _run([str(unfinished / "bin" / "python"), "-m", "pip", "install", "-q", requirement], purpose)
    return folder / "bin" / "python"


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Hold a lock that other processes and other threads wait for."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _debian_tree() -> Path:
    """A minimal tree of the next Debian with its RabbitMQ."""
    _need_root("RabbitMQ 4.0, which runs in a file tree of its own,")
    folder = cache() / "rabbitmq-4.0"
    with _built(folder) as unfinished:
        if unfinished:
            # debootstrap mounts /proc in the tree. In namespaces of its own neither that mount nor any process
            # stays behind when we are killed.
            alone = [*DIES_WITH_US, "unshare", "--mount", "--pid", "--fork", "--kill-child"]
            tree = ["--variant=minbase", "--include=rabbitmq-server", "trixie", str(unfinished), _mirror()]
            _run(
                [*alone, "debootstrap", *tree],
                "building a Debian tree for RabbitMQ 4.0",
                {**os.environ, **_apt_proxy(), "PATH": _SYSTEM_PATH},
            )
            shutil.rmtree(unfinished / "var/cache/apt", ignore_errors=True)
    return folder


@contextmanager
def _built(folder: Path) -> Iterator[Path | None]:
    """Yield a folder to build in, renamed to `folder` at the end; or None when `folder` is there.

    A build that was cut off is thus never taken for a finished one, and two runs do not build at once.
    """
    with locked(folder.with_name(f"{folder.name}.lock")):
        if folder.exists():
            yield None
            return
        unfinished = folder.with_name(f"{folder.name}.unfinished")
        if unfinished.exists():
            shutil.rmtree(unfinished)
        yield unfinished
        unfinished.rename(folder)


@contextmanager
def _no_service_started() -> Iterator[None]:
    """Keep Debian from starting the services it installs (policy-rc.d, see invoke-rc.d(8))."""
    if _POLICY.exists():
        yield
        return
    _POLICY.write_text("#!/bin/sh\nexit 101\n")
    _POLICY.chmod(0o755)
    try:
        yield
    finally:
        _POLICY.unlink()


def _mirror() -> str:
    """The Debian mirror that this machine's apt uses (apt-get(8), indextargets)."""
    command = ["apt-get", "indextargets", "--format", "$(REPO_URI)"]
    found = _run([*command, "Origin: Debian", "Label: Debian", "Created-By: Packages"], "asking apt for its mirror")
    if not found:
        raise BrokerUnavailable("apt on this machine knows no mirror of Debian")
    return found.splitlines()[0]


def _apt_proxy() -> Mapping[str, str]:
    """The proxy that apt is configured for, as debootstrap's wget wants it."""
    proxy = _run(["apt-config", "dump", "--format", "%v", "Acquire::http::Proxy"], "asking apt for its proxy").strip()
    return {"http_proxy": proxy} if proxy else {}


def _need_root(what: str) -> None:
    if os.geteuid() != 0:
        raise BrokerUnavailable(f"{what} needs root")


def _run(command: Sequence[str], purpose: str, environment: Mapping[str, str] | None = None) -> str:
    """Run a command to its end and return what it printed; a failure quotes its last line."""
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise BrokerUnavailable(f"{purpose} needs `{command[0]}`, which is not here") from None
    if done.returncode != 0:
        said = [line for line in re.sub(r"\x1b\[\d*m", "", done.stdout + done.stderr).splitlines() if line.strip()]
        errors = [line for line in said if re.match(r"E:|\[ERROR\]", line)] or said[-1:]
        raise BrokerUnavailable(f"{purpose} failed: {errors[0] if errors else f'status {done.returncode}'}")
    return done.stdout
