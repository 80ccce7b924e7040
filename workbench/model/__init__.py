"""What an event is: plain frozen data, and the bytes it travels in."""
