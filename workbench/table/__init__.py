"""What a table of events shows: its columns, and what stands in them, for the screen and the command line."""
