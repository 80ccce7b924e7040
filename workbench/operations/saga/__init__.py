"""Sagas: the usual path of a type of flow, learned from the flows that were seen, and which flows left it."""
