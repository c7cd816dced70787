"""Connectors: implementations of IConnector."""
