"""Ways in, and the way back to the sender."""
