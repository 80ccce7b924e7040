"""What the event table makes of a delivery's cells besides their texts: a time as an age, a flow as a colour."""

import time
import zlib

from views.theme import FLOWS
from workbench.model.wording import age


def flow_of(correlation: str) -> int:
    """A number below `FLOWS`, the same for all events of a correlation."""
    return zlib.crc32(correlation.encode("utf-8", "surrogatepass")) % FLOWS


def time_ago(milliseconds: int) -> str:
    """How long ago a time was, or how far ahead it is."""
    return age(time.time() - milliseconds / 1000)
