"""HTTP requests, made by the daemon itself.

Rule: a request reaches only an address that was checked, ends within its step's timeout, keeps a bounded amount of
memory, and leaves nothing behind: no cookie, no connection. The HTTP library is imported at the first request.
"""

from orchestrator.runners.http.runner import HttpRunner

__all__ = ["HttpRunner"]
