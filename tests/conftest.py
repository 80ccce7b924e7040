"""What every test may use."""

import signal

from hypothesis import settings

pytest_plugins = ["tests.brokers.fixtures", "tests.contract.selection"]

# A deadline for each example would be a timed assertion: the machine may be busy with something else.
settings.register_profile("workbench", deadline=None)
settings.load_profile("workbench")

# What a shell starts in the background ignores Ctrl+C, and so would the programs under test.
signal.signal(signal.SIGINT, signal.default_int_handler)
