"""RabbitMQ, by AMQP 0-9-1 and its management API."""

from connectors.rabbitmq.connector import RabbitMQConnector

__all__ = ["RabbitMQConnector"]
