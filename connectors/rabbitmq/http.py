"""httpx, and bodies that are read up to a bound.

It is imported without its command line, which its package imports, too: with what that colours and draws with, it takes
a third of the whole import, for which the first picture would wait.
"""

import sys
import zlib
from typing import Any, Final, cast

__all__ = ["ENCODINGS", "TooLarge", "httpx", "read_bounded"]

_COMMAND_LINE: Final = "httpx._main"

_modules = cast(dict[str, Any], sys.modules)
_was_there: Final = _COMMAND_LINE in _modules
if not _was_there:
    # What stands there as None cannot be imported (https://docs.python.org/3/reference/import.html#the-module-cache);
    # httpx provides for that, for whoever has installed it without what its command line needs.
    _modules[_COMMAND_LINE] = None
try:
    import httpx
finally:
    if not _was_there:
        del _modules[_COMMAND_LINE]


ENCODINGS: Final = "gzip"
"""What to ask for: of other encodings nobody could say how large a body becomes before it is there."""


class TooLarge(Exception):
    """A body that is longer than it may be."""


async def read_bounded(reply: "httpx.Response", most: int) -> bytes:
    """The body of a reply, decompressed no further than it may be long.

    Args:
        reply: Whose body is still to be read.
        most: Bytes.

    Raises:
        TooLarge: It is longer.
        httpx.DecodingError: It is in another encoding, or damaged.
    """
    encoding = reply.headers.get("content-encoding", "identity").lower()
    if encoding not in ("identity", "gzip"):
        raise httpx.DecodingError(f"the encoding {encoding!r} was not asked for")
    # 16 more than a window's bits: with the header of gzip (https://zlib.net/manual.html#Advanced).
    inflate = zlib.decompressobj(16 + zlib.MAX_WBITS) if encoding == "gzip" else None
    pieces: list[bytes] = []
    size = 0
    async for chunk in reply.aiter_raw():
        try:
            piece = inflate.decompress(chunk, most - size + 1) if inflate is not None else chunk
        except zlib.error as error:
            raise httpx.DecodingError(str(error)) from None
        size += len(piece)
        if size > most:
            raise TooLarge
        pieces.append(piece)
    return b"".join(pieces)
