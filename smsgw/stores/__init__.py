"""Memory that survives: implementations of IMessageStore."""
