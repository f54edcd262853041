"""All text of a call in which code hides: as it stands, without its quotes, and out of its usual disguises.

Rule: for calls only that are suspicious already. Elsewhere text in an argument is data, and is never searched.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator

from orchestrator.policy.scene import Scene

_LONGEST = 64 * 1024
_QUOTING = re.compile(r"""["'\\]|\$(?=["'])""")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{12,}={0,2}")
_HEX = re.compile(r"(?:\\x[0-9a-fA-F]{2}|\\[0-7]{3}|\\u[0-9a-fA-F]{4})+")
_HEX_DIGITS = re.compile(r"\b(?:[0-9a-fA-F]{2}\s?){6,}\b")


def texts(scene: Scene) -> Iterator[str]:
    """The readings of a call's text, the plainest first."""
    call = scene.call
    raw = "\n".join((*call.argv[1:], *call.given.values(), *scene.found.scripts))[:_LONGEST]
    yield raw
    yield _QUOTING.sub("", raw)
    yield _HEX.sub(_unescaped, raw)
    yield from filter(None, map(_decoded, _BASE64.findall(raw)))
    yield from filter(None, map(_from_digits, _HEX_DIGITS.findall(raw)))
    yield raw[::-1]


def _unescaped(found: re.Match[str]) -> str:
    return found.group().encode("ascii", "replace").decode("unicode_escape")


def _decoded(token: str) -> str:
    plain = token.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4)).decode()
    except (binascii.Error, ValueError):
        return ""  # most long words are no such thing


def _from_digits(digits: str) -> str:
    try:
        return bytes.fromhex(digits).decode()
    except ValueError:
        return ""
