"""The real program against clients that were written by others."""
