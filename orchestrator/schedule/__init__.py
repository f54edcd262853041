"""Recurring tasks: when their moments are, which of them become firings, and what is known of that on disk.

Rule: whether a task is fired is decided by what lies on disk and by a time that is given; no clock is read here.
"""
