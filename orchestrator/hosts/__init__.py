"""Which machines may be spoken to: URLs read strictly, names compared exactly, every address checked.

Rule: pure. Nothing here looks a name up or connects; whoever does asks here first, and again for each redirect.
"""

from orchestrator.hosts.trust import HostError, TrustedHosts, trust
from orchestrator.hosts.url import Address, Url, UrlError, join, parse

__all__ = ["Address", "HostError", "TrustedHosts", "Url", "UrlError", "join", "parse", "trust"]
