"""Tasks of Celery that call one another: `celery_tasks.py URL`."""

import os
import sys
import threading

from celery import Celery
from celery.contrib.testing.worker import start_worker

app = Celery(broker=sys.argv[1], broker_connection_retry_on_startup=True)
app.conf.task_default_queue = "tasks"
charged = threading.Event()


@app.task(name="payments.charge")
def charge(total: int) -> None:
    """Charge a total."""
    charged.set()


@app.task(name="orders.place")
def place(total: int) -> None:
    """Place an order, which is paid later."""
    charge.delay(total)


with start_worker(app, pool="solo", perform_ping_check=False):
    place.apply_async((12,), task_id="flow-celery")
    ran = charged.wait(30)
    # Its worker takes its time to end.
    os._exit(0 if ran else 1)
