"""The embeddable protocols."""
