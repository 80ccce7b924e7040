"""Drafts: events that a user is writing, cloned from others or new, rendered for sending, and kept over a restart."""
