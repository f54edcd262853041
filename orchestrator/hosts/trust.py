"""Which hosts are trusted, and which addresses a trusted name may lead to.

This machine is always trusted; everything else is what the config lists. Rule: a name is compared as text, exactly;
then each of its addresses must be public, or listed itself, so that a name server can't lead into a private network.
"""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from orchestrator.hosts.url import DEFAULT_PORTS, Address, Url, UrlError, parse_host, split_authority

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Kind = Literal["loopback", "public", "private", "never"]

LOCALHOST: tuple[Address, ...] = (ipaddress.IPv4Address("127.0.0.1"), ipaddress.IPv6Address("::1"))
_LOOPBACK = tuple(map(ipaddress.ip_network, ("127.0.0.0/8", "::1/128")))
# Addresses of no single machine, and those that carry another address within, which nobody has checked.
_NEVER = tuple(
    map(
        ipaddress.ip_network,
        (
            "0.0.0.0/8", "192.88.99.0/24", "224.0.0.0/4", "240.0.0.0/4",
            "::/96", "::ffff:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "2001::/32", "2002::/16", "ff00::/8",
        ),
    )
)  # fmt: skip
# What `is_global` takes for public, and is not: protocol assignments and documentation.
_NOT_PUBLIC = tuple(map(ipaddress.ip_network, ("192.0.0.0/24", "3fff::/20")))
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")


class HostError(UrlError):
    """This host is not trusted, or leads to an address that is not."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One item of `trusted_hosts`: a name, the names below one (`below`), or addresses. `port` None is the
    scheme's own."""

    name: str
    below: bool
    network: Network | None
    port: int | None

    def names(self, url: Url) -> bool:
        """Whether it lists the host of a URL, at its port."""
        if url.port != (self.port or DEFAULT_PORTS[url.scheme]):
            return False
        if self.network is not None:
            return url.address is not None and url.address in self.network
        return url.host.endswith(f".{self.name}") if self.below else url.host == self.name

    def covers(self, address: Address, port: int) -> bool:
        """Whether it lists an address that a name led to."""
        return self.network is not None and address in self.network and self.port in (None, port)


class TrustedHosts:
    """What `trusted_hosts` lists. Raises HostError for an item that is not understood."""

    __slots__ = ("_entries",)

    def __init__(self, items: Iterable[str] = ()) -> None:
        self._entries = tuple(map(_entry, items))

    def check(self, url: Url) -> None:
        """Raises HostError, with the line of config that would allow it, for a host that is not trusted."""
        if not is_local(url) and not any(entry.names(url) for entry in self._entries):
            raise HostError(
                f"`{url.authority}` is neither this machine nor a trusted host: to allow it, add "
                f'"{url.authority}" to trusted_hosts in section [http] of config/orchestrator.toml'
            )
        if url.address is not None and kind(url.address) == "never":
            raise HostError(f"{url.address} is not the address of one machine, or hides another address")

    def check_addresses(self, url: Url, addresses: Iterable[Address]) -> None:
        """Raises HostError if any of the addresses that a trusted URL's host has may not be connected to."""
        for address in addresses:
            sort = kind(address)
            if sort == "never":
                raise HostError(f"`{url.host}` leads to {address}, which is not one machine or hides another address")
            if sort == "public" and not is_local(url):
                continue
            if sort == "loopback" and is_local(url):
                continue
            if not any(entry.covers(address, url.port) for entry in self._entries):
                raise HostError(
                    f"`{url.host}` leads to {address}, which is {sort}: where that is meant, add "
                    f'"{address}" to trusted_hosts in section [http] of config/orchestrator.toml, too'
                )


@functools.lru_cache(maxsize=8)
def trust(items: tuple[str, ...]) -> TrustedHosts:
    """The same as TrustedHosts, remembered: each task asks for it."""
    return TrustedHosts(items)


def is_local(url: Url) -> bool:
    """Whether a URL names this machine: `localhost`, a name below it (RFC 6761), or a loopback address."""
    if url.address is not None:
        return kind(url.address) == "loopback"
    return url.host == "localhost" or url.host.endswith(".localhost")


def kind(address: Address) -> Kind:
    """What sort of address it is; "private" is also what is reserved for other ends."""
    if _within(address, _LOOPBACK):
        return "loopback"
    if _within(address, _NEVER):
        return "never"
    if not address.is_global or _within(address, _NOT_PUBLIC):
        return "private"
    return "public" if address.version == 4 or address in _GLOBAL_UNICAST else "private"


def _within(address: Address, networks: Iterable[Network]) -> bool:
    return any(address in network for network in networks)


def _entry(item: str) -> Entry:
    try:
        if "://" in item:
            raise UrlError("write the host alone, without http:// and path")
        if "/" in item or (item.count(":") > 1 and item[:1] != "["):
            return Entry("", below=False, network=ipaddress.ip_network(item), port=None)
        below = item.startswith("*.")
        host, port = split_authority(item.removeprefix("*."))
        name, address = parse_host(host)
        if below and address is not None:
            raise UrlError("an address has nothing below it; write a network as 10.0.0.0/8")
    except ValueError as error:
        raise HostError(f"{item!r} is not a host that can be trusted: {error}") from None
    if address is not None:
        return Entry("", below=False, network=ipaddress.ip_network(address), port=port)
    return Entry(name, below, None, port)
