"""Orchestrator: drop a spec file in a folder; this machine does the work safely."""

__version__ = "0.1.0"
