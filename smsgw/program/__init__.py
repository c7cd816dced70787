"""The program as a whole: its parts, and how it starts, reloads and stops."""
