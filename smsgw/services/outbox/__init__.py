"""The outbox: events for accounts, until they are acknowledged."""
