"""aiokafka without its clients, which the package imports and which are not used here."""

import sys
from importlib.util import find_spec, module_from_spec
from typing import Any


def import_late(package: str) -> None:
    """Let modules of a package be imported without the package's own imports, which happen when it is asked for a name.

    Those of aiokafka, its consumer and its producer, take a tenth of the time of a `publish` of one event.

    Args:
        package: Its name; nothing happens where it is imported already, or not installed.
    """
    spec = None if package in sys.modules else find_spec(package)
    if spec is None or spec.loader is None:
        return
    module, loader = module_from_spec(spec), spec.loader

    def import_now(name: str) -> Any:
        del module.__dict__["__getattr__"]
        loader.exec_module(module)
        return getattr(module, name)

    module.__dict__["__getattr__"] = import_now
    sys.modules[package] = module
