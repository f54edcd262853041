"""How we know our own files: one line in each carries the facts it was written from, and a digest of the rest.

Rule: without that line a file is somebody else's; with it but another digest a person has changed it. Neither is
ever touched unasked.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from dataclasses import dataclass
from typing import Any, Literal

from orchestrator.units.service import Service

_LINE = re.compile(r"^(?:# |<!-- )orchestrator-service: (\{.*\})(?: -->)?\n", re.MULTILINE)
_XML_HEAD = re.compile(r"(?:<[?!][^>]*>\n)+")


@dataclass(frozen=True, slots=True)
class Found:
    """What stands at a unit's path. `service` is what one of ours was written from, if this version can read it."""

    state: Literal["absent", "foreign", "edited", "ours"]
    service: Service | None = None
    text: str = ""


def stamped(text: str, service: Service) -> str:
    """The text of a unit with the line that makes it ours."""
    facts = json.dumps({"sha256": _digest(text), "service": service.facts()})
    head = _XML_HEAD.match(text)
    if head is None:
        return f"# orchestrator-service: {facts}\n{text}"
    facts = facts.replace("--", r"-\u002d")  # two hyphens would end the comment
    return f"{head[0]}<!-- orchestrator-service: {facts} -->\n{text[head.end() :]}"


def look(path: str) -> Found:
    """What stands there. Raises OSError for what can't be read."""
    try:
        if not stat.S_ISREG(os.lstat(path).st_mode):  # such as the link by which systemd masks a unit
            return Found("foreign")
    except (FileNotFoundError, NotADirectoryError):
        return Found("absent")
    with open(path, encoding="utf-8", errors="replace", newline="") as handle:
        text = handle.read()
    line = _LINE.search(text)
    told = _facts(line[1]) if line else None
    if line is None or told is None:
        return Found("foreign", text=text)
    same = told.get("sha256") == _digest(text[: line.start()] + text[line.end() :])
    try:
        service = Service.from_facts(told["service"])
    except (KeyError, TypeError, ValueError):
        service = None
    return Found("ours" if same else "edited", service, text)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _facts(line: str) -> dict[str, Any] | None:
    try:
        told = json.loads(line)
    except ValueError:
        return None
    return told if isinstance(told, dict) else None
