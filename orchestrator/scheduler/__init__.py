"""Look at what was dropped, pick the next ready task, take a slot, claim, execute, finish."""
