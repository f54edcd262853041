"""Which task may start once others have ended: the graph of what they need, and what follows from how they end.

Rule: pure. It knows ids and how their tasks ended; where that is written, and what is done about it, others know. So
the daemon, `submit` and `list` come to the same conclusions.
"""
