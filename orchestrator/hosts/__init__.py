"""Which machines may be spoken to: URLs read strictly, names compared exactly, every address checked.

Rule: pure. Nothing here looks a name up or connects; whoever does asks here first, and again for each redirect.
"""

from orchestrator.hosts.trust import LOCALHOST, HostError, TrustedHosts, is_local, trust
from orchestrator.hosts.url import Address, Url, UrlError, join, parse

__all__ = ["LOCALHOST", "Address", "HostError", "TrustedHosts", "Url", "UrlError", "is_local", "join", "parse", "trust"]
