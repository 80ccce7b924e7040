"""What an event says of itself: conventions, facts, and what of it is masked."""
