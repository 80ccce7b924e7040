"""Services of nameko that call one another: `nameko_services.py URL`. Run in an environment that has nameko."""

import sys
from typing import Any

import eventlet

eventlet.monkey_patch()

from nameko import config  # noqa: E402
from nameko.rpc import ServiceRpc, rpc  # noqa: E402
from nameko.runners import ServiceRunner  # noqa: E402
from nameko.standalone.rpc import ServiceRpcClient  # noqa: E402


class Payments:
    """Takes money."""

    name = "payments"

    @rpc
    def charge(self, total: int) -> dict[str, int]:
        """Charge a total."""
        return {"charged": total}


class Orders:
    """Takes orders."""

    name = "orders"
    payments = ServiceRpc("payments")

    @rpc
    def place(self, total: int) -> Any:
        """Place an order, which is paid at once."""
        return self.payments.charge(total)


config.setup({"AMQP_URI": sys.argv[1]})
runner = ServiceRunner()
for service in (Payments, Orders):
    runner.add_service(service)
runner.start()
with ServiceRpcClient("orders") as orders:
    orders.place(12)
runner.stop()
