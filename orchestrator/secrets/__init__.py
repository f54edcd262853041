"""Secrets: by name in a spec, by value in the environment of that task's steps, and nowhere else.

Rule: a value is looked up right before a task's first step, is handed to its programs' environment alone, and is masked
in all that is written from then on (`masking`). No error tells one, and no spec, call or decision ever holds one.
"""

from __future__ import annotations

from orchestrator.secrets.known import Known, SecretError, Secrets, why_no_secret

__all__ = ["Known", "SecretError", "Secrets", "why_no_secret"]
