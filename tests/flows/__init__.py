"""Tests of complete flows: the real program in a process, driven over sockets."""
