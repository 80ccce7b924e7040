"""Searching on a real Dask cluster: a scheduler and two workers, which read the shared Kafka themselves."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from uuid import uuid4

import dask
import pika
import pytest
import trustme

from tests.brokers.kafka import KafkaAddress
from tests.brokers.rabbitmq import RabbitMQAddress
from tests.e2e.command import INSTALLED, Ran, managed, run
from tests.e2e.dask import DaskCluster, DaskProcess, wait_until
from tests.e2e.terminal import Terminal
from tests.kafka.conftest import connect, make_topic
from tests.kafka.reading import publish
from workbench import __version__
from workbench.cluster.dask_cluster import Cluster
from workbench.connecting.config import Connection
from workbench.model.address import Address
from workbench.model.errors import ConnectionLost
from workbench.model.event import Event
from workbench.model.start import Window
from workbench.session import Session

ID = "order-1f0e"
MANY = 240_000


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskCluster]:
    with DaskCluster(tmp_path_factory.mktemp("cluster")) as cluster:
        cluster.add_workers(2)
        yield cluster


@pytest.fixture(scope="module")
def other_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskCluster]:
    """One without workers, to which a test adds what it needs."""
    with DaskCluster(tmp_path_factory.mktemp("other-cluster")) as cluster:
        yield cluster


def topic_of(kafka: KafkaAddress, bodies: Sequence[bytes], partitions: int) -> str:
    async def make() -> str:
        address = await make_topic(kafka.bootstrap, partitions)
        async with connect(kafka.url) as connector:
            await publish(connector, address, [Event(b"%d" % key, body) for key, body in enumerate(bodies)])
        return address.name

    return asyncio.run(make())


@pytest.fixture(scope="module")
def topics(kafka: KafkaAddress) -> list[str]:
    """Two of 3,000 events each, an id in every 100th."""
    bodies = [
        json.dumps({"orderId": ID if number % 100 == 17 else "other", "number": number}).encode()
        for number in range(3000)
    ]
    return [topic_of(kafka, bodies, 3), topic_of(kafka, bodies, 2)]


@pytest.fixture(scope="module")
def large(kafka: KafkaAddress) -> str:
    """One that takes two workers seconds to decode."""
    return topic_of(kafka, [b'{"number": %d}' % number for number in range(MANY)], 4)


def find(kafka: KafkaAddress, cluster: DaskCluster | None, query: str, *arguments: str) -> Ran:
    on = ("--cluster", cluster.address) if cluster is not None else ()
    return run("workbench", "find", query, *arguments, "-c", f"k={kafka.url}", *on)


def begin_find(kafka: KafkaAddress, cluster: DaskCluster, query: str, topic: str) -> subprocess.Popen[bytes]:
    command = (INSTALLED, "find", query, topic, "-c", f"k={kafka.url}", "--cluster", cluster.address)
    return subprocess.Popen(
        command, bufsize=0, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def wait_until_busy(worker: DaskProcess, search: subprocess.Popen[bytes] | None = None) -> None:
    """Wait until a worker is in the middle of a range, of a search that says on stderr that it begins."""
    if search is not None:
        assert search.stderr is not None and search.stderr.readline().startswith(b"searching ")
    before = worker.seconds
    wait_until(lambda: worker.seconds > before + 0.3, "the worker searches")


def by_partition(done: Ran) -> dict[tuple[str, int], list[int]]:
    """The offsets of what was found, in the order in which it was printed."""
    found: dict[tuple[str, int], list[int]] = {}
    for each in done.records:
        position = each["position"]
        found.setdefault((each["address"], position["partition"]), []).append(position["offset"])
    return found


@pytest.mark.parametrize("query", [f"body.orderId = {ID}", ID, "offset >= 990", "body.number >= 2990"])
def test_a_cluster_finds_what_is_found_at_home_in_the_same_order(
    kafka: KafkaAddress, cluster: DaskCluster, topics: Sequence[str], query: str
) -> None:
    places = [f"k/{topic}" for topic in topics]
    at_home, done = find(kafka, None, query, *places), find(kafka, cluster, query, *places)
    assert (at_home.code, done.code) == (0, 0), done.err
    found = by_partition(done)
    assert found == by_partition(at_home)
    assert found and all(offsets == sorted(offsets) for offsets in found.values())
    assert f"searching 6,000 events in 2 logs on 2 workers (2 threads) of {cluster.address}\n" in done.err
    assert done.err.splitlines()[-3:] == at_home.err.splitlines()[-3:]


def test_a_query_that_bytes_cannot_answer_is_decoded_by_the_workers_and_says_what_it_costs(
    kafka: KafkaAddress, cluster: DaskCluster, large: str
) -> None:
    query = "time exists and offset = 7"
    done = find(kafka, cluster, query, large)
    assert (done.code, len(done.records)) == (0, 4), done.err
    # At home it would take twice as long.
    assert "they cannot be searched by bytes: up to 240,000 events to be decoded, about 2 s\n" in done.err


def test_a_log_that_workers_cannot_search_is_read_from_here(
    kafka: KafkaAddress, cluster: DaskCluster, topics: Sequence[str], rabbitmq_4: RabbitMQAddress
) -> None:
    stream = f"cluster-{uuid4().hex[:8]}"
    with pika.BlockingConnection(pika.URLParameters(rabbitmq_4.url)) as connection:
        channel = connection.channel()
        channel.queue_declare(stream, durable=True, arguments={"x-queue-type": "stream"})
        channel.confirm_delivery()
        channel.basic_publish("", stream, ID.encode())
        try:
            done = find(kafka, cluster, ID, f"k/{topics[0]}", f"r/{stream}", "-c", f"r={managed(rabbitmq_4)}")
        finally:
            channel.queue_delete(stream)
    assert done.code == 0, done.err
    assert [each["address"] for each in done.records].count(f"r/{stream}") == 1
    assert len(done.records) == 31
    assert "in 2 logs, 1 of them on 2 workers (2 threads) of " in done.err


def test_a_browse_on_a_cluster_shows_what_it_shows_at_home(
    kafka: KafkaAddress, cluster: DaskCluster, topics: Sequence[str]
) -> None:
    asked = ("workbench", "browse", topics[0], "-c", f"k={kafka.url}", "--from", "beginning", "-w")
    for query in (ID, "offset >= 990"):
        at_home, done = run(*asked, query), run(*asked, query, "--cluster", cluster.address)
        assert done.code == 0, done.err
        assert len(done.records) > 10
        assert [each["position"] for each in done.records] == [each["position"] for each in at_home.records]


def test_a_trace_searches_on_the_cluster(kafka: KafkaAddress, cluster: DaskCluster, topics: Sequence[str]) -> None:
    asked = ("workbench", "trace", f"body.orderId={ID}", f"k/{topics[0]}", "-c", f"k={kafka.url}", "-o", "json")
    before = cluster.scheduler.said
    at_home = run(*asked)
    assert cluster.scheduler.said == before
    done = run(*asked, "--cluster", cluster.address)
    assert done.code == at_home.code == 0, done.err
    assert len(done.records) == len(at_home.records) > 10
    assert cluster.scheduler.said != before


def test_the_configuration_names_a_cluster_and_an_option_leaves_it_out(
    kafka: KafkaAddress, cluster: DaskCluster, topics: Sequence[str], own_file: Path
) -> None:
    own_file.parent.mkdir(parents=True, exist_ok=True)
    own_file.write_text(f'cluster = "{cluster.address}"\n')
    assert f"on 2 workers (2 threads) of {cluster.address}\n" in find(kafka, None, ID, topics[0]).err
    at_home = run("workbench", "find", ID, topics[0], "-c", f"k={kafka.url}", "--cluster", "off")
    assert at_home.code == 0
    assert cluster.address not in at_home.err
    own_file.unlink()
    (Path.cwd() / "workbench.toml").write_text(f'cluster = "{cluster.address}"\n')
    assert cluster.address not in find(kafka, None, ID, topics[0]).err


def test_what_a_lost_worker_was_searching_is_searched_again(
    kafka: KafkaAddress, cluster: DaskCluster, large: str
) -> None:
    [lost] = cluster.add_workers(1)
    with begin_find(kafka, cluster, "offset >= 0 and body.number >= 239000", large) as process:
        wait_until_busy(lost, process)
        lost.end()
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    numbers = [json.loads(line)["body"]["json"]["number"] for line in out.splitlines()]
    assert sorted(numbers) == list(range(239_000, MANY))
    assert err.decode().splitlines()[-1] == "1,000 found in 240,000 events"


def test_a_search_that_is_stopped_says_what_it_has_searched_and_lets_the_cluster_go(
    kafka: KafkaAddress, cluster: DaskCluster, large: str, topics: Sequence[str]
) -> None:
    [watched] = cluster.add_workers(1)
    with begin_find(kafka, cluster, "offset < 0 or body.number < 0", large) as process:
        wait_until_busy(watched, process)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, b""), err
    assert "(the search was stopped)" in err.decode()
    assert "not everything was searched" in err.decode().splitlines()[-1]
    watched.end()
    assert find(kafka, cluster, ID, topics[0]).code == 0


def test_nothing_of_a_search_is_shown_by_the_cluster(
    kafka: KafkaAddress, cluster: DaskCluster, topics: Sequence[str]
) -> None:
    url = f"{kafka.sasl_url}?tls&ca={kafka.ca_file}&sasl=plain"
    done = run("workbench", "find", ID, topics[0], "-c", f"k={url}", "--cluster", cluster.address)
    assert (done.code, len(done.records)) == (0, 30), done.err
    said = "".join(path.read_text() for path in cluster.scheduler.log.parent.glob("*.log"))
    assert "Starting established connection" in said
    for secret in ("alice-secret", ID, topics[0]):
        assert secret not in said


def test_a_cluster_that_cannot_be_reached_or_named_is_said_in_a_sentence(kafka: KafkaAddress) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{nobody.getsockname()[1]}"
        done = run("workbench", "find", ID, "-c", f"k={kafka.url}", "--cluster", address)
    assert (done.code, done.out) == (1, "")
    assert done.err == f"workbench: No Dask scheduler answers at {address}: Connection refused.\n"
    done = run("workbench", "find", ID, "-c", f"k={kafka.url}", "--cluster", "scheduler")
    assert done.code == 2
    assert "tcp://HOST:8786, or tls://HOST:8786" in done.err


def test_without_dask_a_sentence_says_what_to_install(kafka: KafkaAddress, tmp_path: Path) -> None:
    (tmp_path / "distributed.py").write_text("raise ImportError\n")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    asked = ("workbench", "find", ID, "-c", f"k={kafka.url}")
    done = run(*asked, "--cluster", "tcp://127.0.0.1:8786", env=environment)
    assert done.code == 2
    assert "pip install 'event-workbench[cluster]'" in done.err
    # Nobody else needs it.
    assert run(*asked, "--since", "0s", env=environment).code == 4


async def test_a_cluster_that_has_lost_all_its_workers_ends_the_search(
    kafka: KafkaAddress, other_cluster: DaskCluster, large: str
) -> None:
    [worker] = other_cluster.add_workers()
    connection = Connection.parse(f"k={kafka.url}")
    async with Session([connection]) as session, Cluster.open(other_cluster.address, patience=0.5) as opened:
        connector, query = await session.connector("k"), session.query("offset < 0")
        with pytest.raises(ConnectionLost, match="has lost all its workers"):
            async with (
                opened.scan(connector, connection, [Address("k", large)], query, None, Window()) as scan,
                asyncio.TaskGroup() as group,
            ):
                group.create_task(asyncio.to_thread(end_when_busy, worker))
                assert [batch async for batch in scan] == []
    assert scan.coverage.read < MANY


def end_when_busy(worker: DaskProcess) -> None:
    wait_until_busy(worker)
    worker.end()


def test_a_scheduler_that_is_lost_ends_the_search_with_a_sentence(
    kafka: KafkaAddress, large: str, tmp_path: Path
) -> None:
    with DaskCluster(tmp_path) as lost:
        [worker] = lost.add_workers()
        with begin_find(kafka, lost, "offset < 0", large) as process:
            wait_until_busy(worker, process)
            lost.scheduler.end()
            out, err = process.communicate(timeout=60)
    # Of what was searched before, nothing may have been told.
    assert (process.returncode, out) == (1 if b"0 found in 0 events" in err else 3, b""), err
    *_, covered, summary = err.decode().splitlines()
    assert f"(The Dask scheduler {lost.address} was lost)" in covered
    assert summary.endswith("not everything was searched: 1 gap")


def test_a_scheduler_is_spoken_to_over_tls_with_the_certificates_of_dasks_configuration(
    kafka: KafkaAddress, topics: Sequence[str], tmp_path: Path
) -> None:
    authority, stranger = trustme.CA(), trustme.CA()
    own = authority.issue_cert("127.0.0.1")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    stranger.cert_pem.write_to_path(tmp_path / "stranger.pem")
    own.private_key_and_cert_chain_pem.write_to_path(tmp_path / "own.pem")
    names = {"CA_FILE": "ca.pem", "CLIENT__CERT": "own.pem", "SCHEDULER__CERT": "own.pem", "WORKER__CERT": "own.pem"}
    tls = {f"DASK_DISTRIBUTED__COMM__TLS__{name}": str(tmp_path / file) for name, file in names.items()}
    with DaskCluster(tmp_path, "tls://", tls) as cluster:
        cluster.add_workers(environment=tls)
        asked = ("workbench", "find", ID, topics[0], "-c", f"k={kafka.url}", "--cluster", cluster.address)
        assert cluster.address.startswith("tls://127.0.0.1:")
        done = run(*asked, env={**os.environ, **tls})
        assert (done.code, len(done.records)) == (0, 30), done.err
        wrong = {**tls, "DASK_DISTRIBUTED__COMM__TLS__CA_FILE": str(tmp_path / "stranger.pem")}
        refused = run(*asked, env={**os.environ, **wrong})
        assert refused.code == 1
        assert "its certificate is not accepted" in refused.err
        without = run(*asked)
        assert without.code == 2
        assert "name them in Dask's configuration, distributed.comm.tls." in without.err
        plain = run(*asked[:-1], cluster.address.replace("tls:", "tcp:"))
        assert plain.code == 1
        assert "what listens there is none, or wants tls://." in plain.err


def test_a_cluster_without_workers_says_so(kafka: KafkaAddress, other_cluster: DaskCluster) -> None:
    done = find(kafka, other_cluster, ID)
    assert (done.code, done.out) == (1, "")
    address = other_cluster.address
    assert f"The cluster {address} has no workers: start some, `dask worker {address}`." in done.err


def test_a_worker_of_another_version_is_named(kafka: KafkaAddress, other_cluster: DaskCluster, tmp_path: Path) -> None:
    package = tmp_path / "event_workbench-9.9.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: event-workbench\nVersion: 9.9\n")
    [worker] = other_cluster.add_workers(environment={"PYTHONPATH": str(tmp_path)})
    done = find(kafka, other_cluster, ID)
    worker.end()
    assert (done.code, done.out) == (2, "")
    assert f"has Event Workbench 9.9: install {__version__}, as it is here." in done.err
    assert "workbench: The worker tcp://127.0.0.1:" in done.err


def test_a_worker_without_the_program_is_named(kafka: KafkaAddress, other_cluster: DaskCluster, tmp_path: Path) -> None:
    # All packages that are installed here but this one.
    for package in Path(dask.__file__).parent.parent.iterdir():
        if "event_workbench" not in package.name:
            (tmp_path / package.name).symlink_to(package)
    python = Path(sys.base_prefix) / "bin" / "python3"
    [worker] = other_cluster.add_workers(
        program=[python, "-S", "-m", "distributed.cli.dask_worker"], environment={"PYTHONPATH": str(tmp_path)}
    )
    done = find(kafka, other_cluster, ID)
    worker.end()
    assert (done.code, done.out) == (2, "")
    assert f"has no Event Workbench: install {__version__}, as it is here." in done.err


class Wall:
    """What keeps a worker from connecting to the broker while it stands."""

    def __init__(self, folder: Path, port: int) -> None:
        self._standing, self._hit = folder / "standing", folder / "hit"
        self.environment = {"PYTHONPATH": str(folder)}
        (folder / "sitecustomize.py").write_text(
            "import pathlib, sys\n"
            "def wall(event, details):\n"
            f"    if event == 'socket.connect' and details[1][1] == {port}:\n"
            f"        if pathlib.Path({str(self._standing)!r}).exists():\n"
            f"            pathlib.Path({str(self._hit)!r}).touch()\n"
            "            raise ConnectionRefusedError(111, 'Connection refused')\n"
            "sys.addaudithook(wall)\n"
        )

    def raise_(self) -> None:
        self._standing.touch()

    def tear_down_when_hit(self) -> None:
        wait_until(self._hit.exists, "the worker has tried to connect")
        self._standing.unlink()


@pytest.fixture
def wall(kafka: KafkaAddress, tmp_path: Path) -> Wall:
    return Wall(tmp_path, int(kafka.bootstrap.rpartition(":")[2]))


def test_what_one_worker_cannot_reach_another_searches(
    kafka: KafkaAddress, cluster: DaskCluster, topics: Sequence[str], wall: Wall
) -> None:
    wall.raise_()
    [worker] = cluster.add_workers(environment=wall.environment)
    done = find(kafka, cluster, ID, *(f"k/{topic}" for topic in topics))
    worker.end()
    assert (done.code, len(done.records)) == (0, 60), done.err
    assert "3 workers" in done.err
    assert "not seen" not in done.err


def test_where_no_worker_reaches_the_broker_nothing_was_searched(
    kafka: KafkaAddress, other_cluster: DaskCluster, topics: Sequence[str], wall: Wall
) -> None:
    wall.raise_()
    [worker] = other_cluster.add_workers(environment=wall.environment)
    done = find(kafka, other_cluster, ID, topics[0])
    worker.end()
    assert (done.code, done.out) == (3, "")
    assert "not seen: partition 0, offsets 0 to " in done.err
    assert "The broker cannot be reached from worker tcp://127.0.0.1:" in done.err


def test_a_broker_that_is_away_for_a_while_is_waited_for(
    kafka: KafkaAddress, other_cluster: DaskCluster, large: str, wall: Wall
) -> None:
    [worker] = other_cluster.add_workers(environment=wall.environment)
    with begin_find(kafka, other_cluster, "offset < 3", large) as process:
        # The first range has been searched.
        assert process.stdout is not None and process.stdout.readline()
        wall.raise_()
        wall.tear_down_when_hit()
        out, err = process.communicate(timeout=60)
    worker.end()
    assert (process.returncode, len(out.splitlines())) == (0, 11), err
    assert err.decode().splitlines()[-1] == "12 found in 240,000 events"


def test_the_screen_searches_further_back_on_the_cluster(
    kafka: KafkaAddress, cluster: DaskCluster, topics: Sequence[str]
) -> None:
    with Terminal(f"k/{topics[0]}", "-c", f"k={kafka.url}", "--cluster", cluster.address) as terminal:
        terminal.until("500 of")
        terminal.press(f"/{ID}\r")
        terminal.press("s")
        terminal.until("on 2 workers (2 threads) of")
        terminal.press("\r")
        terminal.until("30 found in 3,000")
        terminal.press("q")
        assert terminal.wait() == 0
