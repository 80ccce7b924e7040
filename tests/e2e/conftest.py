"""Every end-to-end test may use tools that we did not write."""

import pytest


@pytest.fixture(autouse=True)
def _tools(tools: None) -> None:
    """kcat, amqp-tools and tmux are installed."""
