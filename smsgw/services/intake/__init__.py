"""Intake: makes stored messages of submissions."""
