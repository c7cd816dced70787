"""The program as a whole: what it is made of, how it starts, reloads and stops."""
