"""What reaches a broker: the one protocol, the connections, the plugins."""
