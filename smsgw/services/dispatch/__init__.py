"""From stored messages to connectors, and from their answers back to the store."""
