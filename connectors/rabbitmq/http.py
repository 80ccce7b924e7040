"""httpx without its command line, which its package imports, too: with what that colours and draws with, it takes a
third of the whole import, for which the first picture would wait."""

import sys
from typing import Any, Final, cast

__all__ = ["httpx"]

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
