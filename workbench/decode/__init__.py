"""A body's bytes as text, structure and visible characters."""
