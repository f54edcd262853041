"""`demo`: about thirty real tasks on a real daemon, watched from outside like anyone would.

The one face that starts a process: the daemon, as a service manager would, and ends it with SIGTERM.
"""
