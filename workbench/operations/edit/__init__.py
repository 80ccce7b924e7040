"""Editing events on their way: what is to be changed, what that makes of each, and how the two differ."""
