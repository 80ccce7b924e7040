"""What makes events readable."""
