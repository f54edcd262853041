"""Secrets of channels: `${NAME}` in the configuration, looked up when it is needed, and never shown.

Whatever may come to a log, a result, a list or telemetry goes through a `Mask` first, because libraries put whole URLs
into their errors.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from urllib.parse import unquote

from orchestrator.masking import Masker

HIDDEN = "***"
_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_PARTS = re.compile(r"[/:@?&=#,]+")
_SHORTEST = 6  # a shorter piece of a URL is a word such as `api`, or a port
Lookup = Callable[[str], str | None]


class NotSet(Exception):
    """A name that the configuration refers to has no value."""


def resolve(text: str, lookup: Lookup) -> str:
    """The text with every `${NAME}` replaced. Raises NotSet."""

    def value(found: re.Match[str]) -> str:
        if (known := lookup(found[1])) is None:
            raise NotSet(f"${{{found[1]}}} is not set, neither as a secret nor in the environment")
        return known

    return _REFERENCE.sub(value, text)


def shown(url: str, *, host: bool) -> str:
    """What may be seen of a URL: its scheme, and the host only where it is one: in the URLs of some services every part
    is a secret."""
    scheme, separator, rest = url.partition("://")
    if not separator or "$" in scheme:
        return HIDDEN
    where = re.split(r"[/?#]", rest)[0].rpartition("@")[2] if host else ""
    return f"{scheme}://{where}/{HIDDEN}" if where and "$" not in where else f"{scheme}://{HIDDEN}"


class Mask:
    """Masks secrets in a text: each as a whole, and of a URL each part that is long enough to be one, unless it is
    `visible`."""

    def __init__(self, secrets: Iterable[str] = (), urls: Iterable[str] = (), visible: Iterable[str] = ()) -> None:
        words = set(secrets)
        for url in urls:
            rest = url.partition("://")[2]
            words |= {url, rest} | {part for part in _PARTS.split(rest) if len(part) >= _SHORTEST}
            password = re.match(r"[^/?#]*?:([^/?#]*)@", rest)
            words |= {password[1]} if password else set()
        words |= {unquote(word) for word in words}
        self._masker = Masker(words - {"", *visible})

    def __call__(self, text: str) -> str:
        return self._masker.text(text)
