"""The one read side, for every face: what waits, runs and has ended, and what was said on the way.

The rule of this room: it reads files and changes nothing (`recall` alone counts its questions), asks no daemon,
and works the same whether one runs or not. What it reads may be half-written or gone by the time it looks.
Import what you need from its modules: `entries`, `runs`, `follow`, `telemetry`, `stats`, `recall`.
"""
