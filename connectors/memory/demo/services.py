"""The services of the shop: what each does with an event, and how it gives one up.

    storefront ─▶ orders ─▶ payments ─▶ (kafka) payments ─▶ orders ─▶ shipping, billing, email
                                                         ├▶ ledger
                                                         └▶ fraud-scoring

Every event of one order has the same correlation id, on both brokers, and names the one that caused it.
"""

import gzip
from collections import deque
from collections.abc import Iterator
from functools import partial
from random import Random
from typing import Final

import msgspec

from connectors.memory.broker import Broker
from connectors.memory.demo import frameworks, layout, story
from connectors.memory.demo.frameworks import Cause
from connectors.memory.demo.messages import (
    Buyer,
    Deployment,
    IssueInvoice,
    Line,
    OrderChanged,
    OrderPlaced,
    OrderShipped,
    Payment,
    PaymentRequested,
    ShipOrder,
    StockHold,
    read,
)
from connectors.memory.demo.scheduler import Agenda
from connectors.memory.demo.workers import Pause, QueueWorker, TopicReader, Verdict
from connectors.memory.headers import with_headers
from workbench.model.content import Content, Headers
from workbench.model.event import Event

EVENTS_OF_AN_ORDER: Final = 15
"""How many events an order makes on both brokers, on average."""
PATIENCE: Final = 600
"""Milliseconds that a piece of work takes at most, however little there is to do."""


class _Failed(Exception):
    """A service cannot do its work."""

    def __init__(self, failure: story.Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class Services:
    """All of them, at work on two brokers.

    Attributes:
        versions: Which version of a service runs, by its name.
        workers: Who consumes queues and reads topics.
    """

    def __init__(self, rabbit: Broker, kafka: Broker, agenda: Agenda, chance: Random) -> None:
        self._pace = 1.0
        self._opened = 0
        self.versions = {"payments": "1.0"}
        self._rabbit = rabbit
        self._kafka = kafka
        self._agenda = agenda
        self._chance = chance
        self._orders = 1000
        self._counted = 0
        self._seen: deque[str] = deque(maxlen=100)
        self._failed: deque[tuple[str, int]] = deque(maxlen=1000)
        self.workers = tuple(self._workers())
        self._payments = [
            each for each in self.workers if isinstance(each, QueueWorker) and each.consumer.queue.name == "payments"
        ]

    def open(self, pace: float) -> None:
        """Let customers come, in place of those who came at another pace before.

        Args:
            pace: Events a second on both brokers, on average; more than 0.
        """
        self._pace = pace
        self._opened += 1
        self._expect_customer()

    def look(self) -> None:
        """Let everybody look whether there is something to do."""
        for worker in self.workers:
            if not worker.busy:
                worker.look()

    def _workers(self) -> Iterator[QueueWorker | TopicReader]:
        for queue, tag, share, prefetch, work in (
            ("orders", "order-service-7d9f", 0.65, 4, self._order),
            ("payments", "payments-1.0-a", 1.3, 2, self._pay),
            ("payments", "payments-1.0-b", 1.3, 2, self._pay),
            ("shipping", "shipping-5c8b", 1.25, 4, self._ship),
            ("billing", "Acme.Billing", 0.5, 1, self._bill),
            ("email", "celery@mail-1", 0.3, 4, self._mail),
            ("deployments", "deployer", 0.1, 1, self._deploy),
        ):
            yield QueueWorker(self._rabbit, self._agenda, queue, tag, prefetch, self._pause(share), work)
        for group, topic, share, heard in (
            ("orders", "payments", 0.6, self._on_paid),
            ("ledger", "payments", 0.7, self._book),
            ("connect-search-sink", "inventory", 0.4, self._index),
            ("warehouse", "orders-events", 0.2, self._pick),
        ):
            yield TopicReader(self._kafka, self._agenda, group, topic, self._pause(share), heard)
        yield TopicReader(
            self._kafka, self._agenda, "fraud-scoring", "payments", self._pause(0.5), self._score, last=_cut_short
        )

    @property
    def _between_orders(self) -> float:
        """Milliseconds from one order to the next, on average."""
        return 1000 * EVENTS_OF_AN_ORDER / self._pace

    def _pause(self, share: float) -> Pause:
        """Times for pieces of work that keep a worker busy for this share of the time between orders."""
        return lambda: min(share * self._between_orders, PATIENCE) * self._chance.uniform(0.5, 1.5)

    # The storefront.

    def _expect_customer(self) -> None:
        self._agenda.after(self._chance.expovariate(1) * self._between_orders, partial(self._customer, self._opened))

    def _customer(self, opened: int) -> None:
        if opened != self._opened:
            return
        self._expect_customer()
        chance, now = self._chance, self._agenda.now
        self._orders += 1
        who = chance.choice(story.CUSTOMERS)
        goods = chance.sample(story.ARTICLES, chance.randint(1, 3))
        order = OrderPlaced(
            self._orders,
            Buyer(who.id, who.name, who.city),
            sum(article.cents for article in goods) / 100,
            who.currency,
            who.language,
            [Line(article.sku, article.name, 1) for article in goods],
        )
        cause = Cause(self._id())
        id = self._id()
        placed = frameworks.spring_amqp("OrderPlaced", "order.placed", order, id, cause, now)
        if self._orders % 47 == 5:
            placed = msgspec.structs.replace(placed, body=(placed.body or b"")[:-40])
        self._rabbit.publish("orders", placed)
        self._rabbit.append(layout.AUDIT, placed)
        if self._orders % 31 == 7:
            # The storefront has lost the confirmation of its first attempt.
            self._rabbit.publish("orders", placed)
        self._click(order, cause)

    def _click(self, order: OrderPlaced, cause: Cause) -> None:
        visit = {"visitor": order.customer.id, "page": self._chance.choice(story.PAGES), "order": order.order_id}
        headers = (("content-type", "application/msgpack"), ("correlation-id", cause.correlation))
        body = msgspec.msgpack.encode({**visit, "agent": b"\x00\x9f\x92\x96"})
        self._kafka.append(
            "clickstream", Event(order.customer.id.encode(), body, None, Content(headers), self._agenda.now)
        )

    # Consumers of queues.

    def _order(self, event: Event) -> Verdict:
        """Accepts an order; one that is no JSON is rejected, and over one in sixty the service dies each time."""
        now, cause = self._agenda.now, self._cause(event)
        try:
            order = read(event.body, OrderPlaced)
        except msgspec.DecodeError:
            return "reject"
        if order.order_id % 61 == 0:
            return "return"
        if cause.message in self._seen:
            return "acknowledge"
        if cause.message is not None:
            self._seen.append(cause.message)
        comma = order.language == "de"
        amount = f"{order.total:.2f}".replace(".", "," if comma else ".")
        request = PaymentRequested(order.order_id, order.customer.id, amount, order.currency)
        self._rabbit.publish(
            "payments",
            frameworks.spring_amqp("PaymentRequested", "payment.requested", request, self._id(), cause, now),
        )
        self._change_order(order.order_id, "OrderAccepted", "accepted", cause)
        for line in order.lines:
            self._stock(line.sku, cause)
        if order.order_id % 23 == 0:
            hold = StockHold(order.order_id, order.lines[0].sku if order.lines else "", 1)
            self._rabbit.publish("", frameworks.spring_amqp("StockHold", "reservations", hold, self._id(), cause, now))
        return "acknowledge"

    def _pay(self, event: Event) -> Verdict:
        """Asks the acquirer for the money; what it cannot do it republishes to the dead letters and acknowledges."""
        cause = self._cause(event)
        try:
            self._authorise(event, cause)
        except _Failed as error:
            dead = frameworks.recovered_by_spring(event, error.failure, "payments")
            self._rabbit.publish("payments.dlx", dead)
        return "acknowledge"

    def _authorise(self, event: Event, cause: Cause) -> None:
        now, chance = self._agenda.now, self._chance
        try:
            request = read(event.body, PaymentRequested)
            comma = "," in request.amount
            amount = float(request.amount.replace(",", "."))
        except (msgspec.DecodeError, ValueError) as error:
            raise _Failed(msgspec.structs.replace(story.NOT_A_REQUEST, message=str(error))) from error
        if comma and self.versions["payments"] == "1.0":
            raise _Failed(story.COMMA)
        if request.order_id % 37 == 1 and self._first_time("payment", request.order_id):
            raise _Failed(story.ACQUIRER_TIMEOUT)
        reason = chance.choice(story.DECLINES) if request.order_id % 17 == 3 else None
        payment = Payment(request.order_id, request.customer, amount, request.currency, reason)
        type = "PaymentFailed" if reason else "PaymentAuthorised"
        source, key = f"/payments/{self.versions['payments']}", str(request.order_id)
        self._kafka.append("payments", frameworks.cloudevent(type, source, key, payment, self._id(), cause, now))

    def _ship(self, event: Event) -> Verdict:
        """Books a parcel; what fails MassTransit moves to its error queue."""
        now, chance = self._agenda.now, self._chance
        try:
            body, cause = frameworks.unwrap(event.body)
            order = read(body, ShipOrder)
        except msgspec.DecodeError as error:
            failure = story.Failure("MassTransit.SerializationException", str(error), story.CARRIER_TIMEOUT.stack)
            self._to_queue("shipping_error", frameworks.faulted_by_masstransit(event, failure, "shipping", 0, now))
            return "acknowledge"
        if order.order_id % 13 == 0 and self._first_time("shipping", order.order_id):
            dead = frameworks.faulted_by_masstransit(event, story.CARRIER_TIMEOUT, "shipping", 3, now)
            self._to_queue("shipping_error", dead)
            return "acknowledge"
        shipped = OrderShipped(
            order.order_id, order.carrier, f"{order.carrier[:2].upper()}{chance.randrange(10**9):09}"
        )
        sent = frameworks.spring_amqp("OrderShipped", "order.shipped", shipped, self._id(), cause, now)
        self._rabbit.publish("orders", sent)
        self._rabbit.append(layout.AUDIT, sent)
        self._change_order(order.order_id, "OrderShipped", "shipped", self._cause(sent))
        self._task("shop.mail.send_tracking", order.order_id, order.customer, self._cause(sent))
        return "acknowledge"

    def _bill(self, event: Event) -> Verdict:
        """Issues an invoice; what fails NServiceBus sends to its error queue."""
        now, cause = self._agenda.now, self._cause(event)
        try:
            invoice = read(event.body, IssueInvoice)
            if invoice.order_id % 29 == 0 and self._first_time("billing", invoice.order_id):
                raise _Failed(story.TAX_OFFICE)
            if invoice.customer == "c-437":
                raise _Failed(story.NO_TAX_NUMBER)
        except msgspec.DecodeError as error:
            failure = story.Failure("NServiceBus.MessageDeserializationException", str(error), story.TAX_OFFICE.stack)
            self._to_queue("error", frameworks.failed_in_nservicebus(event, failure, "billing", now))
        except _Failed as error:
            self._to_queue("error", frameworks.failed_in_nservicebus(event, error.failure, "billing", now))
        else:
            self._change_order(invoice.order_id, "InvoiceIssued", "invoiced", cause)
        return "acknowledge"

    def _mail(self, event: Event) -> Verdict:
        """Sends a mail; when the mail server does not answer, tries again later, and rejects after the third time."""
        headers = dict(event.headers)
        retries = headers.get("retries")
        if self._chance.random() >= (0.6 if retries else 0.12):
            return "acknowledge"
        if not isinstance(retries, int) or retries >= 3:
            return "reject"
        again = with_headers(event, {"retries": retries + 1})
        self._to_queue("email.retry", again)
        return "acknowledge"

    def _deploy(self, event: Event) -> Verdict:
        """Replaces a service by another version."""
        try:
            deployment = read(event.body, Deployment)
        except msgspec.DecodeError:
            return "reject"
        if deployment.service in self.versions:
            self.versions[deployment.service] = deployment.version
            for worker, letter in zip(self._payments, "ab", strict=True):
                worker.consumer.tag = f"payments-{deployment.version}-{letter}"
        return "acknowledge"

    # Readers of topics.

    def _on_paid(self, event: Event, partition: int, offset: int) -> None:
        """Has an order sent and billed when it is paid for, and cancels it when it is not."""
        now, cause = self._agenda.now, self._cause(event)
        try:
            payment = read(event.body, Payment)
        except msgspec.DecodeError:
            return
        if payment.reason is not None:
            self._change_order(payment.order_id, "OrderCancelled", "cancelled", cause, payment.reason)
            self._task("shop.mail.send_cancellation", payment.order_id, payment.customer, cause)
            return
        self._change_order(payment.order_id, "OrderPaid", "paid", cause)
        ship = ShipOrder(payment.order_id, payment.customer, self._chance.choice(story.CARRIERS))
        self._rabbit.publish(layout.CONTRACT, frameworks.masstransit(layout.CONTRACT, ship, self._id(), cause, now))
        invoice = IssueInvoice(payment.order_id, payment.customer, payment.amount, payment.currency)
        self._to_queue(
            "billing",
            frameworks.nservicebus("Acme.Billing.IssueInvoice", "billing", invoice, self._id(), cause, now),
        )
        self._task("shop.mail.send_confirmation", payment.order_id, payment.customer, cause)

    def _book(self, event: Event, partition: int, offset: int) -> None:
        """Books a payment; of customers of Beirut the ledger has no account."""
        try:
            failure = story.NO_ACCOUNT if read(event.body, Payment).customer == "c-433" else None
        except msgspec.DecodeError:
            failure = story.NOT_JSON
        if failure is not None:
            dead = frameworks.dead_in_spring_kafka(event, failure, "payments", partition, offset, "ledger")
            self._kafka.append("payments-dlt", msgspec.structs.replace(dead, timestamp=self._agenda.now))

    def _score(self, event: Event, partition: int, offset: int) -> None:
        if offset % 12 == 11:
            dead = frameworks.dead_in_streams(event, story.SCORE, "payments", partition, offset)
            self._kafka.append("fraud-dlq", msgspec.structs.replace(dead, timestamp=self._agenda.now))

    def _index(self, event: Event, partition: int, offset: int) -> None:
        if event.body is not None and event.body[4:5] == b"\x2b":
            dead = frameworks.dead_in_connect(event, story.UNKNOWN_SCHEMA, "inventory", partition, offset)
            self._kafka.append("inventory-dlq", msgspec.structs.replace(dead, timestamp=self._agenda.now))

    def _pick(self, event: Event, partition: int, offset: int) -> None:
        """The warehouse reads, and says nothing."""

    # What several of them do.

    def _change_order(self, order: int, type: str, status: str, cause: Cause, reason: str | None = None) -> None:
        change = OrderChanged(order, status, reason)
        event = frameworks.spring_kafka(type, str(order), change, self._id(), cause, self._agenda.now)
        self._kafka.append("orders-events", event)

    def _stock(self, sku: str, cause: Cause) -> None:
        """Tells how much is left of an article, now and then that there is nothing and will be nothing."""
        now = self._agenda.now
        self._counted += 1
        schema = 43 if self._counted % 53 == 0 else 42
        body = None if self._counted % 27 == 0 else _avro(sku, self._chance.randrange(200))
        type = "ArticleWithdrawn" if body is None else "StockChanged"
        self._kafka.append("inventory", frameworks.registry_record(type, sku, schema, body, self._id(), cause, now))

    def _task(self, name: str, order: int, customer: str, cause: Cause) -> None:
        self._rabbit.publish("celery", frameworks.celery(name, (order, customer), self._id(), cause, self._agenda.now))

    def _to_queue(self, queue: str, event: Event) -> None:
        self._rabbit.publish("", msgspec.structs.replace(event, key=queue.encode()))

    def _first_time(self, what: str, order: int) -> bool:
        """Whether this has not failed for this order before: what times out once succeeds when it is sent again."""
        if (what, order) in self._failed:
            return False
        self._failed.append((what, order))
        return True

    def _cause(self, event: Event) -> Cause:
        return frameworks.cause_in(event, self._id)

    def _id(self) -> str:
        digits = f"{self._chance.getrandbits(128):032x}"
        return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"

    # What was there before.

    def stock_up(self) -> None:
        """Put in what no service makes: a catalogue, returns, what comes into a warehouse, and a record cut short."""
        now = self._agenda.now
        for event in _catalogues(now):
            self._kafka.append("catalogue", event)
        for number, reason in enumerate(("wrong size", "broken on arrival", "Geschenk, doppelt bekommen 🎁"), 1):
            body = {"returnId": f"R-{number}", "orderId": 900 + number, "reason": reason}
            cause = Cause(self._id())
            returned = frameworks.spring_amqp("ReturnRequested", layout.RETURNS, body, self._id(), cause, now + number)
            self._rabbit.publish("", returned)
        arrival = {
            "lieferant": "Grüne Böhnchen GmbH & Co. KG",
            "palette": "Π-17",
            "menge": 48,
            "notiz": "vorsichtig öffnen ⚠",
        }
        arrived = frameworks.spring_amqp(
            "WareneingangGebucht", layout.MUNICH, arrival, self._id(), Cause(self._id()), now
        )
        self._rabbit.publish("", arrived)

    def cut_short(self) -> None:
        """Append a payment whose producer was killed while it wrote: one group cannot get past it."""
        payment = Payment(987, "c-407", 59.99, "EUR")
        event = frameworks.cloudevent(
            "PaymentAuthorised", "/payments/0.9", "987", payment, self._id(), Cause(self._id()), self._agenda.now
        )
        self._kafka.append("payments", msgspec.structs.replace(event, body=(event.body or b"")[:-21]))


def _cut_short(event: Event) -> bool:
    try:
        read(event.body, Payment)
    except msgspec.ValidationError:
        return False
    except msgspec.DecodeError:
        return True
    return False


def _avro(sku: str, left: int) -> bytes:
    """A record of a string and an int, each with its zigzag length."""
    text = sku.encode()
    number = left << 1
    small = bytes([number]) if number < 128 else bytes([number & 127 | 128, number >> 7])
    return bytes([len(text) << 1]) + text + small


def _catalogues(now: int) -> Iterator[Event]:
    """All articles a thousand times over, as a search engine is fed: a third of a megabyte, and compressed."""
    articles = [
        {"sku": f"{article.sku}-{size}", "name": article.name, "cents": article.cents}
        for size in range(1, 700)
        for article in story.ARTICLES
    ]
    body = msgspec.json.encode({"type": "CatalogueExported", "articles": articles})
    headers: Headers = (("content-type", "application/json"), ("event-type", "CatalogueExported"))
    yield Event(b"catalogue", body, None, Content(headers), now)
    headers = (*headers, ("content-encoding", "gzip"))
    yield Event(b"catalogue", gzip.compress(body, 1, mtime=0), None, Content(headers), now)
