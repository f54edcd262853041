"""How quick the daemon is, always as a ratio to a floor that is measured in the same run.

Absolute figures drift by a factor of two from hour to hour on the same machine, so none of them means anything
alone: each is taken beside the least that the machine needs for the same work (`xargs`, a bare spawn,
`python -c pass`), before and after. Nothing here asserts a time. docs/benchmarks.md tells what each figure means.
"""
