"""Dead letters: where they are, and why."""
