"""Ways out: implementations of IConnector."""
