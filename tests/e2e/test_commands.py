"""The commands on real brokers, and what they say when something is wrong."""

import os
import signal
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pika
import pytest

from tests.brokers.kafka import KafkaAddress
from tests.brokers.rabbitmq import RabbitMQAddress
from tests.e2e.command import DEADLINE, INSTALLED, Ran, kcat_publish, managed, run


@pytest.fixture
def name() -> str:
    return f"commands-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def queue(rabbitmq_4: RabbitMQAddress, name: str) -> Iterator[str]:
    connection = pika.BlockingConnection(pika.URLParameters(rabbitmq_4.url))
    channel = connection.channel()
    channel.exchange_declare(name, "topic")
    channel.queue_declare(name, durable=True, arguments={"x-queue-type": "quorum"})
    channel.queue_bind(name, name, "#")
    yield name
    channel.queue_delete(name)
    channel.exchange_delete(name)
    connection.close()


@pytest.fixture
def topic(kafka: KafkaAddress, name: str) -> str:
    kcat_publish(kafka, name, stdin=b"zero\n")
    return name


@contextmanager
def tailing(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """`workbench tail`, entered once it has said that it is subscribed."""
    process = subprocess.Popen(
        [INSTALLED, "tail", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL
    )
    assert process.stderr and process.stdout
    try:
        assert process.stderr.readline().startswith(b"tailing ")
        yield process
        process.wait(DEADLINE)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()


LOOP = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"


@pytest.mark.parametrize(
    ("body", "said"),
    [(LOOP, "not done with one event after 2 seconds"), ("{{ 'a' * 10**10 }}", "takes too much memory")],
)
def test_a_template_without_end_is_stopped_and_nothing_is_published(
    kafka: KafkaAddress, topic: str, tmp_path: Path, body: str, said: str
) -> None:
    (tmp_path / "endless.toml").write_text(f'body = "{body}"')
    done = run("workbench", "publish", "-c", f"k={kafka.url}", topic, "--template", str(tmp_path / "endless.toml"))
    assert done.code == 1
    assert said in done.err and done.err.count("\n") == 1
    assert run("workbench", "browse", "-c", f"k={kafka.url}", topic, "-o", "body").out == "zero\n"


def test_a_template_is_not_filled_in_for_an_endpoint_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "endless.toml").write_text(f'body = "{LOOP}"')
    done = run("workbench", "publish", "-c", "memory://m", "nowhere", "--template", str(tmp_path / "endless.toml"))
    assert done.code == 1
    assert "nowhere" in done.err and "template" not in done.err


def test_tail_shows_what_arrives_in_a_topic(kafka: KafkaAddress, topic: str) -> None:
    with tailing("-c", f"k={kafka.url}", topic, "-n", "2", "--json") as process:
        kcat_publish(kafka, topic, stdin=b"one\ntwo\n")
        out, err = process.communicate(timeout=30)
    assert [line.split(b'"body":')[1][:15] for line in out.splitlines()] == [b'{"text":"one"},', b'{"text":"two"},']
    assert process.returncode == 0
    assert b"2 read" in err


def test_tail_shows_what_arrives_in_a_queue_and_takes_nothing(rabbitmq_4: RabbitMQAddress, queue: str) -> None:
    with tailing("-c", f"r={managed(rabbitmq_4)}", queue, "-n", "1", "-o", "body") as process:
        done = run("workbench", "publish", "-c", f"r={managed(rabbitmq_4)}", f"exchange:{queue}", "hello", "-k", "a.b")
        assert done.code == 0, done.err
        out, _ = process.communicate(timeout=30)
    assert out == b"hello\n"
    assert run("amqp-get", "-u", rabbitmq_4.url, "-q", queue).out == "hello"


@pytest.mark.parametrize(("signalled", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 130)])
def test_a_stopped_tail_says_what_it_covered(
    kafka: KafkaAddress, topic: str, signalled: signal.Signals, code: int
) -> None:
    with tailing("-c", f"k={kafka.url}", topic, "--from", "beginning", "-o", "body") as process:
        assert process.stdout and process.stdout.readline() == b"zero\n"
        process.send_signal(signalled)
        _, err = process.communicate(timeout=30)
    assert process.returncode == code
    assert err.decode().startswith(f"k/{topic}: 1 read")
    assert len(err.splitlines()) == 1


def test_idle_ends_a_tail(kafka: KafkaAddress, topic: str) -> None:
    done = run("workbench", "tail", "-c", f"k={kafka.url}", topic, "--from", "beginning", "--idle", "1", "-o", "body")
    assert (done.code, done.out) == (0, "zero\n")


def test_what_tail_prints_publish_reads(
    kafka: KafkaAddress, rabbitmq_4: RabbitMQAddress, topic: str, queue: str, tmp_path: Path
) -> None:
    lines = tmp_path / "lines"
    kcat_publish(kafka, topic, "-K", "|", "-H", "a=1", stdin=b"key|one\nkey|two\n")
    lines.write_text(run("workbench", "browse", "-c", f"k={kafka.url}", topic, "--json").out)
    done = run("workbench", "publish", "-c", f"r={managed(rabbitmq_4)}", queue, "--file", str(lines))
    assert (done.code, done.err.splitlines()[-1]) == (0, "3 published, 0 refused.")
    assert f"r/{queue} keeps no keys: its own name takes their place.\n" in done.err
    records = run("workbench", "browse", "-c", f"r={managed(rabbitmq_4)}", queue, "--json").records
    assert [record["body"] for record in records] == [{"text": text} for text in ("zero", "one", "two")]
    assert [record["headers"] for record in records] == [[], [["a", "1"]], [["a", "1"]]]


def test_a_line_that_is_no_event_is_named_and_those_before_it_are_published(kafka: KafkaAddress, topic: str) -> None:
    lines = b'{"body":{"text":"one"}}\n\n{"body":{"text":"two"}}\nnonsense\n{"body":{"text":"three"}}\n'
    done = run("workbench", "publish", "-c", f"k={kafka.url}", topic, "--file", "-", stdin=lines)
    assert done.code == 3
    assert done.err.startswith("workbench: Line 4: ")
    assert done.err.endswith("Confirmed until then: 2.\n")
    bodies = run("workbench", "browse", "-c", f"k={kafka.url}", topic, "-o", "body").out
    assert bodies == "zero\none\ntwo\n"


def test_a_tombstone_is_refused_by_a_broker_without_null_bodies_before_it_is_sent(
    rabbitmq_4: RabbitMQAddress, queue: str
) -> None:
    why = "its body is null, which RabbitMQ does not have: it would become an empty body."
    done = run("workbench", "publish", "-c", f"r={managed(rabbitmq_4)}", queue, "--null")
    assert done.code == 1
    assert f"event 0: r/{queue} was not sent an event: {why}" in done.err
    lines = b'{"body":{"text":"one"}}\n{"body":null}\n{"body":{"text":"two"},"properties":{"cluster_id":"c"}}\n'
    done = run("workbench", "publish", "-c", f"r={managed(rabbitmq_4)}", queue, "--file", "-", stdin=lines)
    assert done.code == 3
    assert f"event 1: r/{queue} was not sent an event: {why}" in done.err
    assert done.err.endswith("2 published, 1 refused.\n")
    found = run("workbench", "browse", "-c", f"r={managed(rabbitmq_4)}", queue, "-o", "body")
    assert found.out == "one\ntwo\n"


def test_what_a_topic_changes_about_events_is_said(kafka: KafkaAddress, topic: str) -> None:
    line = b'{"body":{"text":"one"},"headers":[["n",5]],"properties":{"app_id":"a","type":"T"}}\n'
    done = run("workbench", "publish", "-c", f"k={kafka.url}", topic, "--file", "-", stdin=line)
    assert done.err == (
        f"k/{topic} has no properties, and leaves out app_id, type.\n"
        "Kafka's headers have no types: n become text.\n"
        "1 published, 0 refused.\n"
    )


def test_a_body_in_another_charset_is_found_by_what_it_says(rabbitmq_4: RabbitMQAddress, queue: str) -> None:
    text = '{"message": {"orderId": 7, "city": "Zürich"}}'
    connection = pika.BlockingConnection(pika.URLParameters(rabbitmq_4.url))
    with connection.channel() as channel:
        for id, body in (("plain", text.encode()), ("mark", text.encode("utf-8-sig")), ("wide", text.encode("utf-16"))):
            properties = pika.BasicProperties(message_id=id, content_type="application/json")
            channel.basic_publish("", queue, body, properties)
    connection.close()
    for query in ("body.message.orderId = 7", "body.message.city = Zürich", "Zürich"):
        done = run("workbench", "browse", "-c", f"r={managed(rabbitmq_4)}", queue, "-w", query, "--json")
        assert [record["properties"]["message_id"] for record in done.records] == ["plain", "mark", "wide"], query


def test_an_unroutable_event_is_an_error_that_names_exchange_and_key(rabbitmq_4: RabbitMQAddress) -> None:
    done = run("workbench", "publish", "-c", f"r={managed(rabbitmq_4)}", "exchange:amq.direct", "x", "-k", "nowhere")
    assert done.code == 1
    assert "amq.direct" in done.err
    assert "nowhere" in done.err


def test_a_reader_that_goes_away_ends_the_command(kafka: KafkaAddress, name: str) -> None:
    kcat_publish(kafka, name, stdin=b"x" * 200 + b"\n" * 1 + (b"y" * 200 + b"\n") * 5000)
    shell = f"{INSTALLED} browse -c k={kafka.url} {name} --from beginning -o body | head -1"
    done = run("bash", "-c", f"set -o pipefail; {shell}")
    assert done.code == 0
    assert done.err.count("\n") <= 1


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["ls"], 2, "No connection is given"),
        (["ls", "-c", "amqp:/nowhere"], 2, "is not a connection"),
        (["ls", "-c", "amqp://localhost:99999"], 2, "is not host:port"),
        (["ls", "-c", "amqp://guest@localhost"], 2, "no password"),
        (["ls", "-c", "amqp://localhost?colour=red"], 2, "'colour' is no option"),
        (["ls", "-c", "kafka://127.0.0.1:1"], 1, "127.0.0.1:1"),
        (["ls", "-c", "amqp://127.0.0.1:1"], 1, "127.0.0.1"),
        (["browse", "-c", "a=memory://x", "-c", "b=memory://y", "orders"], 2, "is not an address"),
        (["browse", "-c", "a=memory://x", "orders"], 1, "orders"),
        (["browse", "-c", "a=memory://x", "orders", "--from", "yesterday"], 2, "is not a place to start"),
        (["publish", "-c", "a=memory://x", "orders"], 2, "Give one of"),
        (["publish", "-c", "a=memory://x", "orders", "@/does/not/exist"], 2, "cannot be read"),
    ],
)
def test_bad_input_gets_one_sentence(arguments: list[str], code: int, said: str) -> None:
    done = run("workbench", *arguments)
    assert (done.code, done.out) == (code, "")
    assert said in done.err
    assert "Traceback" not in done.err
    assert len([line for line in done.err.splitlines() if not line.startswith(("Usage:", "Try ", "\n"))]) <= 2


@pytest.mark.parametrize("broker", ["rabbitmq_3", "rabbitmq_4", "kafka"])
def test_a_wrong_password_is_refused_without_being_shown(broker: str, request: pytest.FixtureRequest) -> None:
    address = request.getfixturevalue(broker)
    if isinstance(address, KafkaAddress):
        url = address.sasl_url.replace("alice-secret", "hunter2") + f"?tls&sasl=scram-sha-256&ca={address.ca_file}"
    else:
        url = managed(address).replace("guest:guest", "guest:hunter2")
    done = run("workbench", "ls", "-c", f"b={url}")
    assert (done.code, done.out) == (1, "")
    assert len(done.err.splitlines()) == 1
    assert "hunter2" not in done.err


def test_listing_shows_a_topic(kafka: KafkaAddress, topic: str) -> None:
    records = run("workbench", "ls", "-c", f"k={kafka.url}", "--json").records
    [record] = [record for record in records if record["address"] == f"k/{topic}"]
    assert (record["kind"], record["depth"], record["partitions"]) == ("topic", 1, 1)
    assert not [record for record in records if record["address"].startswith("k/__")]


def test_listing_shows_a_queue_and_its_exchange(rabbitmq_4: RabbitMQAddress, queue: str) -> None:
    kinds = {
        record["address"]: record["kind"] for record in run("workbench", "ls", "-c", f"r={managed(rabbitmq_4)}").records
    }
    assert kinds[f"r/{queue}"] == "quorum queue"
    assert kinds[f"r/exchange:{queue}"] == "exchange"


def test_groups_show_how_far_they_have_got(kafka: KafkaAddress, topic: str) -> None:
    read = run("kcat", "-b", kafka.bootstrap, "-G", f"{topic}-readers", topic, "-c", "1", "-o", "beginning", "-q")
    assert read.out == "zero\n"
    kcat_publish(kafka, topic, stdin=b"one\ntwo\n")
    [group] = run("workbench", "groups", "-c", f"k={kafka.url}", topic).records
    assert (group["group"], group["lag"]) == (f"{topic}-readers", 2)
    assert [(each["address"], each["committed"], each["end"]) for each in group["partitions"]] == [
        (f"k/{topic}", "1", "3")
    ]
    alone = run("workbench", "groups", "-c", f"k={kafka.url}", "-g", f"{topic}-readers", "-o", "table")
    assert [line.split()[:6] for line in alone.out.splitlines()[1:]] == [
        [f"{topic}-readers", f"k/{topic}", "0", "1", "3", "2"]
    ]


def test_a_broker_without_groups_says_so(rabbitmq_4: RabbitMQAddress) -> None:
    done = run("workbench", "groups", "-c", f"r={managed(rabbitmq_4)}")
    assert (done.code, done.out) == (1, "")
    assert "r: this broker has no consumer groups" in done.err


@pytest.mark.parametrize("broker", ["rabbitmq_3", "rabbitmq_4", "kafka"])
def test_checking_a_connection_shows_each_step(broker: str, request: pytest.FixtureRequest) -> None:
    address = request.getfixturevalue(broker)
    if isinstance(address, KafkaAddress):
        url, login = f"{address.sasl_url}?tls&sasl=plain&ca={address.ca_file}", {"Kafka"}
    else:
        url = f"{address.tls_url}?ca={address.ca_file}&management={address.management_url}"
        login = {"AMQP", "management"}
    done = run("workbench", "connections", "check", "-c", f"b={url}", "--json")
    assert done.code == 0, done.out
    assert {record["step"].split()[0] for record in done.records} == {
        "DNS",
        "TCP",
        "TLS",
        "permissions",
        "list",
    } | login
    assert not [record for record in done.records if record["error"]]


@pytest.mark.parametrize("wrong", ["amqp://h:99999", "foo://h", "amqp://${NOT_SET}", "memory://h?colour=red"])
def test_a_url_that_is_wrong_keeps_no_other_connection_from_being_checked(wrong: str) -> None:
    done = run("workbench", "connections", "check", "-c", "good=memory://good", "-c", f"bad={wrong}", "--json")
    assert done.code == 3, done.err
    steps = {(record["connection"], record["step"]): record["error"] for record in done.records}
    assert steps["bad", "configuration"] and steps["good", "list"] is None


@pytest.mark.parametrize(
    ("wrong", "step"), [("port", "TCP"), ("password", "AMQP"), ("certificate", "TLS"), ("management", "TCP")]
)
def test_checking_a_connection_names_the_step_that_fails(rabbitmq_4: RabbitMQAddress, wrong: str, step: str) -> None:
    url = f"{rabbitmq_4.tls_url}?ca={rabbitmq_4.ca_file}&management={rabbitmq_4.management_url}"
    match wrong:
        case "port":
            url = "amqp://127.0.0.1:1"
        case "password":
            url = url.replace("guest:guest", "guest:hunter2")
        case "certificate":
            url = f"{rabbitmq_4.tls_url}?management={rabbitmq_4.management_url}"
        case "management":
            url = url.replace(rabbitmq_4.management_url, "http://127.0.0.1:1")
    done = run("workbench", "connections", "check", "-c", f"b={url}", "--json")
    assert done.code == 1
    [failed] = [record for record in done.records if record["error"]]
    assert failed["step"].split()[0] == step
    behind = done.records[done.records.index(failed) + 1 :]
    assert not any(record["tried"] for record in behind)
    if step in ("AMQP", "TCP"):
        assert behind[-1]["step"].startswith("management")
    assert "hunter2" not in done.out + done.err


@pytest.mark.parametrize("broker", ["rabbitmq", "kafka"])
def test_expect_is_an_assertion_for_a_ci_job(
    broker: str, kafka: KafkaAddress, rabbitmq_4: RabbitMQAddress, topic: str, queue: str
) -> None:
    url, place = (
        (f"b={kafka.url}", f"b/{topic}") if broker == "kafka" else (f"b={managed(rabbitmq_4)}", f"b/exchange:{queue}")
    )
    publish = f"{INSTALLED} publish -c '{url}' '{place}' -k a.b"

    def expect(where: str, *more: str) -> Ran:
        return run("workbench", "expect", "-c", url, place, "-w", where, *more)

    publish_correlated = f"""{publish} "{{\\"id\\":\\"$WORKBENCH_CORRELATION\\"}}" >&2"""
    found = expect("body.id = $WORKBENCH_CORRELATION", "--timeout", "60s", "--", "sh", "-c", publish_correlated)
    assert (found.code, len(found.records)) == (0, 1), found.err
    # The time has to suffice for the other event to come, and is waited for to its end.
    for seconds in (2, 8, 32, 90):
        missed = expect("body.id = nothing", "--timeout", f"{seconds}s", "--", "sh", "-c", f"{publish} other >&2")
        if "1 others did:" in missed.err and missed.code != 1:
            break
    assert missed.code == 4, missed.err
    assert "1 others did:" in missed.err
    none = expect("body.id = nothing", "--none", "--timeout", "1s")
    assert none.code == 0, none.err
    refused = expect("body.id = nothing", "--timeout", "60s", "--", "false")
    assert refused.code == 1, refused.err


def test_expect_rules_nothing_out_that_a_tap_cannot_see(rabbitmq_4: RabbitMQAddress, queue: str) -> None:
    url = managed(rabbitmq_4)
    expect = ("workbench", "expect", "-c", f"r={url}", queue, "-w", "body = hello", "--timeout", "1s")
    none = run(*expect, "--none")
    assert none.code == 3, none.err
    assert "messages published straight to the queue" in none.err
    assert none.err.splitlines()[-1] == "workbench: none arrived, but not everything could be read."
    assert run(*expect).code == 3
    publish = (str(INSTALLED), "publish", "-c", f"r={url}", f"exchange:{queue}", "hello", "-k", "a.b", "-o", "table")
    assert run(*expect, "--timeout", "60s", "--", *publish).code == 0
    assert run(*expect, "--none", "--timeout", "30s", "--", *publish).code == 1


@pytest.mark.parametrize("arguments", [[], ["demo"], ["shop/orders", "-c", "shop=demo://shop"]])
def test_the_screen_needs_a_terminal(arguments: list[str]) -> None:
    done = run("workbench", *arguments)
    assert (done.code, done.out) == (1, "")
    assert done.err == "workbench: The screen needs a terminal; `workbench --help` lists the commands for scripts.\n"


def test_a_reader_that_goes_away_ends_a_tail(kafka: KafkaAddress, topic: str) -> None:
    with tailing("-c", f"k={kafka.url}", topic, "--from", "beginning", "-o", "body") as process:
        assert process.stdout and process.stderr
        assert process.stdout.readline() == b"zero\n"
        process.stdout.close()
        for body in (b"one\n", b"two\n"):
            kcat_publish(kafka, topic, stdin=body)
        process.wait(DEADLINE)
        err = process.stderr.read().decode()
    assert process.returncode == 0
    assert "Traceback" not in err


def test_a_reader_that_goes_away_ends_a_tail_to_which_nothing_more_comes(kafka: KafkaAddress, topic: str) -> None:
    with tailing("-c", f"k={kafka.url}", topic, "--from", "beginning", "-o", "body") as process:
        assert process.stdout and process.stderr
        assert process.stdout.readline() == b"zero\n"
        process.stdout.close()
        process.wait(DEADLINE)
        assert b"Traceback" not in process.stderr.read()
    assert process.returncode == 0


def test_a_full_disk_ends_a_tail_at_once(kafka: KafkaAddress, topic: str) -> None:
    done = run("bash", "-c", f"{INSTALLED} tail -c k={kafka.url} {topic} --from beginning -o body > /dev/full")
    assert done.code == 1
    assert done.err.endswith("workbench: Reading or writing failed: No space left on device.\n")


def test_a_full_disk_is_one_sentence() -> None:
    done = run("bash", "-c", f"{INSTALLED} ls -c shop=demo://shop > /dev/full")
    assert (done.code, done.err) == (1, "workbench: Reading or writing failed: No space left on device.\n")


@pytest.mark.parametrize(
    "url", ["amqp://u:plain@h", "amqp://u:plain${X}@h", "amqp://h?management=http://admin:plain%40h:15672"]
)
def test_no_password_is_written_into_the_configuration(tmp_path: Path, url: str) -> None:
    env = {**os.environ, "XDG_CONFIG_HOME": str(tmp_path)}
    done = run("workbench", "connections", "add", "shop", url, env=env, cwd=tmp_path)
    assert done.code == 2
    assert "plain" not in done.err
    assert not list(tmp_path.iterdir())


def test_an_added_connection_is_listed_without_secrets(tmp_path: Path) -> None:
    env = {**os.environ, "XDG_CONFIG_HOME": str(tmp_path)}
    url = "amqps://ops:${SHOP}@h/v?ca=/etc/ca.pem"
    assert run("workbench", "connections", "add", "shop", url, "--guard", "look", env=env, cwd=tmp_path).code == 0
    [listed] = run("workbench", "connections", env=env, cwd=tmp_path).records
    assert listed == {"name": "shop", "url": "amqps://ops:${SHOP}@h/v?ca", "guard": "look", "environment": ""}


def test_a_connection_is_added_from_a_clients_properties_file(tmp_path: Path) -> None:
    env = {**os.environ, "XDG_CONFIG_HOME": str(tmp_path)}
    (tmp_path / "client.properties").write_text(
        "bootstrap.servers=h:9092\nsecurity.protocol=SASL_SSL\nsasl.username=ops\nsasl.password=hunter2\n"
    )
    done = run("workbench", "connections", "add", "log", "client.properties", env=env, cwd=tmp_path)
    assert done.code == 0 and "Its password was left out" in done.err
    [listed] = run("workbench", "connections", env=env, cwd=tmp_path).records
    assert listed["url"] == "kafka://ops@h:9092?tls&sasl"
    assert not any("hunter2" in path.read_text() for path in tmp_path.rglob("*.toml"))


def test_a_connection_is_added_from_a_connection_string(tmp_path: Path) -> None:
    env = {**os.environ, "XDG_CONFIG_HOME": str(tmp_path)}
    string = "Endpoint=sb://ns.example/;SharedAccessKeyName=ops;SharedAccessKey=c2VjcmV0;EntityPath=orders"
    done = run("workbench", "connections", "add", "eh", string, env=env, cwd=tmp_path)
    assert done.code == 0 and "Its password was left out" in done.err
    variable = string.replace("c2VjcmV0", "${KEY}")
    assert run("workbench", "connections", "add", "eh2", variable, env=env, cwd=tmp_path).code == 0
    [file] = tmp_path.rglob("*.toml")
    file.write_text(f'{file.read_text()}\n[connections.by-hand]\nurl = "{string}"\n')
    done = run("workbench", "connections", env=env, cwd=tmp_path)
    assert [listed["url"] for listed in done.records] == [
        "eventhubs://ops@ns.example/orders",
        "eventhubs://ops:${KEY}@ns.example/orders",
        "eventhubs://ops@ns.example/orders",
    ]
    assert "c2VjcmV0" not in done.out


def test_a_command_that_will_not_end_is_ended(kafka: KafkaAddress, topic: str) -> None:
    stubborn = ("sh", "-c", "trap '' TERM; echo $$ >&2; sleep 300")
    done = run("workbench", "expect", "-c", f"k={kafka.url}", topic, "-w", "x", "--timeout", "1s", "--", *stubborn)
    assert done.code == 1
    assert "was still running" in done.err
    assert not Path(f"/proc/{done.err.split()[0]}").exists()


def test_a_slow_pipe_is_read_as_it_comes_and_ends_on_term(kafka: KafkaAddress, topic: str) -> None:
    command = [str(INSTALLED), "publish", "-c", f"k={kafka.url}", topic, "--file", "-"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin and process.stdout
        process.stdin.write(b'{"body":{"text":"one"}}\n')
        process.stdin.flush()
        assert b'"offset":1' in process.stdout.readline()
        process.terminate()
        assert process.wait(DEADLINE) == 130
