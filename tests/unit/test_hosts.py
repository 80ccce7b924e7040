"""Which hosts are this machine, however they are written."""

import pytest

from workbench.connecting.config import Connection, is_on_this_machine

HERE = ["localhost", "LOCALHOST", "localhost.", "shop.localhost", "127.0.0.1", "127.1", "0x7f000001", "2130706433",
        "0.0.0.0", "[::1]", "[::]", "[::ffff:127.0.0.1]", "ip6-localhost", "\uff4cocalhost"]  # fmt: skip
ELSEWHERE = ["localhost.example", "127.0.0.1.example", "10.0.0.1", "126.1", "[2001:db8::1]", "[::ffff:10.0.0.1]"]


@pytest.mark.parametrize(("hosts", "here"), [(HERE, True), (ELSEWHERE, False)], ids=["here", "elsewhere"])
def test_a_host_is_this_machine_in_any_spelling(hosts: list[str], here: bool) -> None:
    for host in hosts:
        url = f"amqp://{host}:5672/shop"
        assert (host, Connection.parse(f"x={url}").loopback, is_on_this_machine(url)) == (host, here, here)
