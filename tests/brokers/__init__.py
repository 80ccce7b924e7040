"""Real brokers for the tests: installed once, started on private loopback ports, ended with the tests."""
