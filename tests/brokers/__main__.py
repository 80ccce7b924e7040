"""Run every broker until Ctrl+C, for tests that are to find them already running."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from pathlib import Path

from tests.brokers import install
from tests.brokers.install import BrokerUnavailable
from tests.brokers.shared import BROKERS, VARIABLE, SharedBrokers


def main() -> int:
    """Install, or install and run."""
    parser = argparse.ArgumentParser(prog="python -m tests.brokers", description=__doc__)
    parser.add_argument("--install", action="store_true", help="only make sure that the brokers are installed")
    parser.add_argument("--json", type=Path, help="file for their addresses (default: brokers.json in the cache)")
    options = parser.parse_args()
    try:
        if options.install:
            print("making sure that the brokers are installed; the first time takes a minute or two", flush=True)
            install.everything()
        else:
            _run((options.json or install.cache() / "brokers.json").absolute())
    except BrokerUnavailable as problem:
        print(problem, file=sys.stderr)
        return 1
    return 0


def _run(addresses: Path) -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    shared = SharedBrokers()
    try:
        shared.start(BROKERS)
        shared.write_addresses(addresses)
        for name, broker in json.loads(addresses.read_text()).items():
            print(name, *(f"  {field}: {value}" for field, value in broker.items()), sep="\n")
        print(f"export {VARIABLE}={addresses}", flush=True)
        signal.pause()
    except KeyboardInterrupt:
        print("stopping", flush=True)
    finally:
        addresses.unlink(missing_ok=True)
        shared.remove()


if __name__ == "__main__":
    sys.exit(main())
