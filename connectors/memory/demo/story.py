"""What the shop's events tell of: its customers, its goods, and what goes wrong with them. Data only."""

from typing import Final

import msgspec


class Customer(msgspec.Struct, frozen=True):
    """Who buys.

    Attributes:
        id: The shop's number for them.
        name: As they write it.
        city: Where the parcel goes.
        language: Of the storefront that they use.
        currency: What they pay in.
    """

    id: str
    name: str
    city: str
    language: str
    currency: str


class Article(msgspec.Struct, frozen=True):
    """What is sold.

    Attributes:
        sku: Its number.
        name: As the storefront shows it.
        cents: What one costs.
    """

    sku: str
    name: str
    cents: int


class Failure(msgspec.Struct, frozen=True):
    """What a service says when it cannot do its work.

    Attributes:
        type: The exception's class.
        message: Its message.
        stack: The lines below these two, as its language writes them.
    """

    type: str
    message: str
    stack: str

    @property
    def trace(self) -> str:
        """The whole stack trace."""
        return f"{self.type}: {self.message}\n{self.stack}"


CUSTOMERS: Final = (
    Customer("c-401", "Ada Okafor", "Lagos", "en", "USD"),
    Customer("c-402", "Zoë Müller", "Köln", "de", "EUR"),
    Customer("c-407", "Łukasz Wójcik", "Kraków", "en", "EUR"),
    Customer("c-411", "山田 花子", "京都", "ja", "JPY"),
    Customer("c-415", "Seán Ó Briain", "Gaillimh", "en", "EUR"),
    Customer("c-418", "Marta Nilsson", "Malmö", "en", "SEK"),
    Customer("c-422", "Иван Петров", "София", "en", "EUR"),
    Customer("c-426", "Jürgen Groß", "Groß-Gerau", "de", "EUR"),
    Customer("c-430", "Chloé Lefèvre", "Besançon", "en", "EUR"),
    Customer("c-433", "مريم حداد", "بيروت", "en", "USD"),
    Customer("c-437", "Sam O'Neil; DROP TABLE", "Salem", "en", "USD"),
    Customer("c-440", "Bo Li", "Aarhus", "en", "DKK"),
)
"""The German storefront writes a comma into its amounts."""

ARTICLES: Final = (
    Article("SKU-2041", "Espresso machine", 32900),
    Article("SKU-2042", "Coffee grinder", 12990),
    Article("SKU-2077", "Tea kettle 🫖", 4950),
    Article("SKU-2103", "Crème brûlée set", 2495),
    Article("SKU-2110", "Kitchen scale", 1899),
    Article("SKU-2188", "抹茶 bowl", 3600),
    Article("SKU-2201", "Apron, size 38/40", 1750),
    Article("SKU-2299", "Cast-iron pan", 5999),
)

CARRIERS: Final = ("DHL", "UPS", "PostNord", "Colissimo")
PAGES: Final = ("/", "/search", "/basket", "/checkout", "/account", "/articles/SKU-2041")
DECLINES: Final = ("card declined", "insufficient funds", "card expired", "3-D Secure was abandoned")

_LISTENER: Final = (
    "\tat org.springframework.amqp.rabbit.listener.AbstractMessageListenerContainer.invokeListener"
    "(AbstractMessageListenerContainer.java:1602)\n"
    "\tat java.base/java.lang.Thread.run(Thread.java:1583)\n"
)

COMMA: Final = Failure(
    "java.lang.NumberFormatException",
    'Character , is neither a decimal digit number, decimal point, nor "e" notation exponential mark.',
    "\tat java.base/java.math.BigDecimal.<init>(BigDecimal.java:608)\n"
    "\tat com.acme.payments.Amount.parse(Amount.java:41)\n"
    "\tat com.acme.payments.PaymentListener.onPaymentRequested(PaymentListener.java:57)\n" + _LISTENER,
)
"""The bug of payments 1.0, which 1.1 has not."""
ACQUIRER_TIMEOUT: Final = Failure(
    "java.net.SocketTimeoutException",
    "Read timed out",
    "\tat java.base/sun.nio.ch.NioSocketImpl.timedRead(NioSocketImpl.java:278)\n"
    "\tat com.acme.payments.Acquirer.authorise(Acquirer.java:88)\n"
    "\tat com.acme.payments.PaymentListener.onPaymentRequested(PaymentListener.java:63)\n" + _LISTENER,
)
NOT_A_REQUEST: Final = Failure(
    "com.fasterxml.jackson.databind.exc.MismatchedInputException",
    "",
    "\tat com.fasterxml.jackson.databind.exc.MismatchedInputException.from(MismatchedInputException.java:59)\n"
    "\tat com.acme.payments.PaymentListener.onPaymentRequested(PaymentListener.java:51)\n" + _LISTENER,
)
"""The message is what was wrong with the JSON."""
NOT_JSON: Final = Failure(
    "org.springframework.kafka.support.serializer.DeserializationException",
    "failed to deserialize; JSON text is truncated",
    "\tat org.springframework.kafka.support.serializer.ErrorHandlingDeserializer.deserialize"
    "(ErrorHandlingDeserializer.java:218)\n",
)
NO_ACCOUNT: Final = Failure(
    "java.lang.NullPointerException",
    'Cannot invoke "com.acme.ledger.Account.currency()" because "account" is null',
    "\tat com.acme.ledger.Booking.of(Booking.java:34)\n"
    "\tat com.acme.ledger.LedgerListener.onPayment(LedgerListener.java:72)\n"
    "\tat org.springframework.kafka.listener.KafkaMessageListenerContainer$ListenerConsumer.doInvokeOnMessage"
    "(KafkaMessageListenerContainer.java:2826)\n",
)
CARRIER_TIMEOUT: Final = Failure(
    "System.TimeoutException",
    "The carrier did not answer within 00:00:30.",
    "   at Acme.Shipping.CarrierClient.BookAsync(Parcel parcel) in /src/Shipping/CarrierClient.cs:line 64\n"
    "   at Acme.Shipping.ShipOrderConsumer.Consume(ConsumeContext`1 context)\n"
    "   at MassTransit.DependencyInjection.ScopeConsumerFactory`1.Send[TMessage](ConsumeContext`1 context)",
)
NO_TAX_NUMBER: Final = Failure(
    "System.NullReferenceException",
    "Object reference not set to an instance of an object.",
    "   at Acme.Billing.TaxRules.For(Customer customer) in /src/Billing/TaxRules.cs:line 18\n"
    "   at Acme.Billing.IssueInvoiceHandler.Handle(IssueInvoice message, IMessageHandlerContext context)\n"
    "   at NServiceBus.InvokeHandlerTerminator.Terminate(IInvokeHandlerContext context)",
)
TAX_OFFICE: Final = Failure(
    "System.Net.Http.HttpRequestException",
    "Response status code does not indicate success: 503 (Service Unavailable).",
    "   at System.Net.Http.HttpResponseMessage.EnsureSuccessStatusCode()\n"
    "   at Acme.Billing.TaxOffice.RegisterAsync(Invoice invoice) in /src/Billing/TaxOffice.cs:line 51",
)
UNKNOWN_SCHEMA: Final = Failure(
    "org.apache.kafka.connect.errors.DataException",
    "Failed to deserialize data for topic inventory to Avro: Schema 43 not found; error code: 40403",
    "\tat io.confluent.connect.avro.AvroConverter.toConnectData(AvroConverter.java:148)\n"
    "\tat org.apache.kafka.connect.runtime.WorkerSinkTask.convertValue(WorkerSinkTask.java:553)\n",
)
SCORE: Final = Failure(
    "java.lang.IllegalStateException",
    "score 1.07 is outside 0..1",
    "\tat com.acme.fraud.Scoring.check(Scoring.java:93)\n"
    "\tat org.apache.kafka.streams.kstream.internals.KStreamMapValues$KStreamMapProcessor.process"
    "(KStreamMapValues.java:41)\n",
)
MAIL_SERVER: Final = Failure(
    "smtplib.SMTPServerDisconnected",
    "Connection unexpectedly closed: timed out",
    '  File "/app/shop/mail.py", line 44, in send_confirmation\n    server.send_message(message)\n',
)
