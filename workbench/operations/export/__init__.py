"""A trace for other tools: a diagram, and spans."""
