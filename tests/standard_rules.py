"""The rules that are shipped. They are read, and all their examples tried, once for all tests of a process."""

from pathlib import Path

from orchestrator.policy.rules import load_rules

RULES = load_rules(str(Path(__file__).parent.parent / "policy"))
