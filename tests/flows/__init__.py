"""Whole flows: the real program in a process of its own, driven over sockets."""
