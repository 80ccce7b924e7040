"""The command line: thin calls into the core, printed as NDJSON or as a table."""
