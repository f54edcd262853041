"""One task: bind → decide → run each step under its timeout → check → Outcome.

A failing task never raises out of here; only what is wrong with the daemon itself (a full disk) does.
"""
