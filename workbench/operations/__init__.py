"""What a user does."""
