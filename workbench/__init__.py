"""The core: what an event is, how brokers are reached, what a user does with them. Knows no driver and no screen."""

__version__ = "0.1.0"
