"""A URL, read so that no two readers can take it for different hosts.

Parsers disagree about backslashes, userinfo, odd numbers and look-alike letters, and each such disagreement lets a
URL be checked as one host and fetched from another. Rule: what is not plain is refused with a sentence, never repaired.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import quote, urljoin

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

MAX_LENGTH = 8192
DEFAULT_PORTS = {"http": 80, "https": 443}
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)([^#]*)(?:#.*)?")
_AUTHORITY = re.compile(r"(\[[^\]]*\]|[^:\[\]]*)(?::([0-9]*))?")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
# A name whose last label looks like a number is an address to some resolvers, and a name to others.
_NUMERIC = re.compile(r"[0-9]+|0x[0-9a-f]*")
_TARGET_SAFE = "!$%&'()*+,/:;=?@[]~"


class UrlError(ValueError):
    """This URL, host or address is not to be used; the message says why."""


@dataclass(frozen=True, slots=True)
class Url:
    """`host` is ASCII in lower case, without brackets; `address` is set where it is an IP address; `target` is
    path and query, percent-encoded."""

    scheme: str
    host: str
    port: int
    target: str
    address: Address | None

    @property
    def origin(self) -> tuple[str, str, int]:
        return (self.scheme, self.host, self.port)

    @property
    def authority(self) -> str:
        """As a Host header has it: the port only where it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.target}"


def parse(text: str) -> Url:
    """Read an absolute URL. Raises UrlError."""
    _check_characters(text)
    found = _URL.fullmatch(text)
    if found is None:
        raise UrlError(f"{_short(text)} is not an absolute URL: write http://HOST/PATH or https://HOST/PATH")
    scheme, authority, target = found[1].lower(), found[2], found[3]
    if scheme not in DEFAULT_PORTS:
        raise UrlError(f"{_short(text)} is of the scheme `{scheme}`: only http and https are spoken")
    if "@" in authority:
        raise UrlError("the URL names a user or password before `@`: put credentials in a header instead")
    host, port = split_authority(authority)
    path = target if target.startswith("/") else f"/{target}"
    name, address = parse_host(host)
    return Url(scheme, name, port or DEFAULT_PORTS[scheme], quote(path, safe=_TARGET_SAFE), address)


def join(base: Url, location: str) -> Url:
    """Where a redirect leads: `location` may be relative to the URL that answered. Raises UrlError."""
    _check_characters(location)
    return parse(urljoin(str(base), location))


def split_authority(authority: str) -> tuple[str, int | None]:
    """`HOST`, `HOST:PORT`, `[V6]:PORT`: the host as it is written, and the port, None where there is none."""
    found = _AUTHORITY.fullmatch(authority)
    if found is None or not found[1]:
        raise UrlError(f"`{authority}` is not a host, or a host and a port (an IPv6 address stands in brackets)")
    text = found[2]
    if text is None:
        return found[1], None
    if not text or text[0] == "0" or len(text) > 5 or int(text) > 65535:
        raise UrlError(f"`{authority}` has no proper port: a number from 1 to 65535")
    return found[1], int(text)


def parse_host(text: str) -> tuple[str, Address | None]:
    """A host in its one form, and its address if it is one. Raises UrlError for every other form."""
    if text[:1] == "[":
        address = _ipv6(text[1:-1])
        return str(address), address
    if not text.isascii():
        raise UrlError(f"the host {text!a} is not ASCII: write it as `xn--…`, so that look-alike letters show")
    host = text.lower()
    if host.endswith("."):
        raise UrlError(f"the host `{host}` ends in a dot: write it without")
    if _NUMERIC.fullmatch(host.rpartition(".")[2]):
        return _ipv4(host)
    if len(host) > 253 or not all(map(_LABEL.fullmatch, host.split("."))):
        raise UrlError(f"`{_short(host)}` is not a host name: letters, digits, `-` and dots")
    return host, None


def _ipv4(host: str) -> tuple[str, Address]:
    try:
        address = ipaddress.IPv4Address(host)
    except ValueError:
        raise UrlError(
            f"`{host}` is not an address as it must be written: four decimal numbers without leading zeros"
        ) from None
    return host, address


def _ipv6(text: str) -> Address:
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError:
        raise UrlError(f"`[{text}]` is not an IPv6 address") from None
    if address.scope_id is not None or "." in text or str(address) != text.lower():
        plain = address.ipv4_mapped or ipaddress.IPv6Address(int(address))
        raise UrlError(f"`[{text}]` is not in the one form that is accepted, which would be `{plain}`")
    return address


def _check_characters(text: str) -> None:
    if len(text) > MAX_LENGTH:
        raise UrlError(f"the URL is longer than {MAX_LENGTH} characters")
    for character in text:
        if character <= " " or "\x7f" <= character <= "\xa0":
            what = "a space" if character == " " else f"the control character {character!a}"
            raise UrlError(f"the URL contains {what}; percent-encode it (a space is %20)")
        if character == "\\":
            raise UrlError("the URL contains a backslash, which some programs read as a slash")


def _short(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:77]}…"
