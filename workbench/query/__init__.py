"""The one filter language: its grammar, its meaning, and the bytes that a match must hold."""
