"""The administrator's listener: health, metrics, and what the command ``smsgw`` asks."""
