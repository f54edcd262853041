"""Acceptance: is what the author asked for true, now that the steps are over?

Pure questions about results and files; nothing is changed here: a rule is answered True, False, or None where
it could not be decided (no rule understands the sentence, or the look was given up). None is a warning and never
a pass. Nothing raises, but OSError while this machine has no descriptor or process left: then ask again.

Ask `baseline` before the first step, `evaluate` after the last. Both read files and belong in a thread,
except where `needs_baseline` says no or `is_instant` says yes. `pack` and `kept` carry the baseline over a crash.
"""

from orchestrator.checks.baseline import Baseline, baseline, kept, needs_baseline, pack
from orchestrator.checks.present import MissingError, present
from orchestrator.checks.verdict import evaluate, is_instant

__all__ = [
    "Baseline", "MissingError", "baseline", "evaluate", "is_instant", "kept", "needs_baseline", "pack", "present",
]  # fmt: skip
