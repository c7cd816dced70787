"""The administrator's listener: health, metrics, and the resources of the command ``smsgw``."""
