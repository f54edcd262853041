"""What a step can reach: the wall under the gate.

The host is asked once what it offers (`host`), a call's reach is worked out from its skill's manifest and the
configuration (`reach`), and `Sandbox.confine` puts both together. Rule: never silently less than what was asked for.
A wall that can't be built is the end of the step, not a reason to go without. docs/sandbox.md tells the whole.
"""

from __future__ import annotations

from orchestrator.sandbox.host import Host, probe
from orchestrator.sandbox.sandbox import Sandbox, choose

__all__ = ["Host", "Sandbox", "choose", "probe"]
