"""What was seen: kept, a row a batch, and looked at."""
