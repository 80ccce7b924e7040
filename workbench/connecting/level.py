"""What may be done through a connection."""

from enum import IntEnum


class Level(IntEnum):
    """What may be done through a connection; each level allows those before it."""

    OBSERVE = 0
    """What costs the broker and its other clients nothing: list, read a log."""
    LOOK = 1
    """What costs something: browse a queue, tap an exchange."""
    PUBLISH = 2
    """Add events."""
    MOVE = 3
    """Take events out of their endpoint, once they are confirmed elsewhere."""
    DESTROY = 4
    """Delete events for good."""
