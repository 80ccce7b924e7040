"""What every test may use."""

from hypothesis import settings

pytest_plugins = ["tests.brokers.fixtures"]

# A deadline for each example would be a timed assertion: the machine may be busy with something else.
settings.register_profile("workbench", deadline=None)
settings.load_profile("workbench")
