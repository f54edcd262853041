"""Intake: bytes become a Task, or a list of everything that is wrong with them, each with its line."""
