"""What of a URL is shown while it is being typed."""

import pytest

from workbench.connecting.typed_url import while_typed


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("amqp://ops:h", "amqp://ops:•"),
        ("amqp://ops:1", "amqp://ops:•"),
        ("amqp://ops:$ecret", "amqp://ops:••••••"),
        ("amqp://ops.team:hunter2", "amqp://ops.team:•••••••"),
        ("amqp://ops:hunter2@rabbit/v", "amqp://ops:•••••••@rabbit/v"),
        ("shop=amqp://ops:hunter2@h", "shop=amqp://ops:•••••••@h"),
        ("amqp://ops:p@ss/w:d@h:5672/v", "amqp://ops:••••••••@h:5672/v"),
        ("ops:hunter2@h:5672", "ops:•••••••@h:5672"),
        ("shop=amqp:/ops:hunter2@h", "shop=amqp:/ops:•••••••@h"),
        ("AMQP://ops:hunter2@h", "AMQP://ops:•••••••@h"),
        ("amqp//ops:hunter2@h", "amqp//ops:•••••••@h"),
        ("ops:${PW}@h", "ops:${PW}@h"),
        ("localhost:5672", "localhost:5672"),
        ("amqp://ops:${PW}@h", "amqp://ops:${PW}@h"),
        ("amqp://ops:…@h", "amqp://ops:•@h"),
        ("kafka://localhost:9092", "kafka://localhost:9092"),
        ("kafka://k1.example:9092,k2.example:9093", "kafka://k1.example:9092,k2.example:9093"),
        ("amqp://rabbit:5672/v", "amqp://rabbit:5672/v"),
        ("amqp://[::1]:5672", "amqp://[::1]:5672"),
        ("amqp://h?management=http://admin:pw", "amqp://h?management=http://admin:••"),
        ("amqp://h?management=http://admin:pw%40x:15672", "amqp://h?management=http://admin:••%40x:15672"),
        ("amqp://h?management=http://api.example:15672", "amqp://h?management=http://api.example:15672"),
        (
            "Endpoint=sb://h/;SharedAccessKeyName=p;SharedAccessKey=ab=",
            "Endpoint=sb://h/;SharedAccessKeyName=p;SharedAccessKey=•••",
        ),
        ("orders.properties", "orders.properties"),
        ("x=amqp://svc.orders:98", "x=amqp://svc.orders:••"),
        ("x=amqp://svc.orders:98765432", "x=amqp://svc.orders:••••••••"),
        ("amqp://rabbit.example:5673/v", "amqp://rabbit.example:5673/v"),
        ("amqp://127.0.0.1:52137", "amqp://127.0.0.1:52137"),
        ("e=Endpoint=sb://n/;SharedAccessKey = Zq7", "e=Endpoint=sb://n/;SharedAccessKey = •••"),
        ("amqp://ops:hun/ter", "amqp://ops:•••••••"),
        ("amqp://ops:1/ter", "amqp://ops:•••••"),
        ("amqp://ops:hun,ter", "amqp://ops:•••••••"),
        ("amqp://ops:hun?ter", "amqp://ops:•••••••"),
        ("amqp://ops:hun?ter@h", "amqp://ops:•••••••@h"),
        ("amqp://o/ps:ter", "amqp://o/ps:•••"),
        ("kafka://h1:9092,ops:hunter", "kafka://h1:9092,ops:••••••"),
        ("AMQP://ops:hunter", "AMQP://ops:••••••"),
        ("amqp:/ops:hunter", "amqp:/ops:••••••"),
        ("ops:/hunter", "ops:/••••••"),
        ("ops:hunter", "ops:••••••"),
        ("amqp://ops:${PW", "amqp://ops:${PW"),
        ("amqp://ops:${PW}x", "amqp://ops:••••••"),
        ("amqp://h?management=http%3A//ops%3Ahun%2Fter&x", "amqp://h?management=http%3A//ops%3A•••••••••••"),
        ("amqp://h?management=http://ops:hun&ter%40h", "amqp://h?management=http://ops:•••••••%40h"),
        ("amqp://h?management=http://ops:${PW}%40h&ca=x", "amqp://h?management=http://ops:${PW}%40h&ca=x"),
    ],
)
def test_what_may_become_a_password_is_dots_from_its_first_character_on(typed: str, shown: str) -> None:
    assert while_typed(typed) == shown
