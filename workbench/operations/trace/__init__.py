"""One flow across all brokers: which events belong to it, what caused what, and where it stands."""
