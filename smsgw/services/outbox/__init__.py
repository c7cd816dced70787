"""What senders are owed: events, until they are acknowledged."""
