"""What a file name in the queue means. A file keeps the name it was dropped with; its stem is its name."""

from __future__ import annotations

SPEC_SUFFIXES = (".json", ".yaml", ".yml")
RESULT_SUFFIX = ".result.json"
CANCEL_SUFFIX = ".cancel"
PAUSE_SUFFIX = ".pause"
RESUME_SUFFIX = ".resume"
RETRY_SUFFIX = ".retry"
REQUEST_SUFFIXES = (CANCEL_SUFFIX, PAUSE_SUFFIX, RESUME_SUFFIX, RETRY_SUFFIX)
PAUSED_SUFFIX = ".paused"
"""Of the file beside a recurring spec that keeps it from being fired."""

_TEMPORARY_SUFFIXES = (
    "~",
    ".tmp",
    ".temp",
    ".part",
    ".partial",
    ".swp",
    ".swx",
    ".crdownload",
    ".download",
    ".filepart",
)
_LONGEST_NAME = 255


def is_temporary(name: str) -> bool:
    """True for names that editors, copiers and downloaders use while they write: left alone, never claimed."""
    return name[0] == "." or name.endswith(_TEMPORARY_SUFFIXES) or (name[0] == "#" and name[-1] == "#")


def stem_of(name: str) -> str:
    """The name in the queue: the file's name without its spec ending."""
    for suffix in SPEC_SUFFIXES:
        if name.endswith(suffix) and len(name) > len(suffix):
            return name[: -len(suffix)]
    return name


def result_name(stem: str) -> str:
    """The result's file name beside a spec; a stem too long for it is cut and told apart by a digest."""
    name = stem + RESULT_SUFFIX
    if len(name) * 4 <= _LONGEST_NAME:
        return name
    raw = stem.encode("utf-8", "surrogateescape")
    if len(raw) + len(RESULT_SUFFIX) <= _LONGEST_NAME:
        return name
    import hashlib

    digest = hashlib.sha256(raw).hexdigest()[:16]
    return f"{raw[:180].decode('utf-8', 'ignore')}~{digest}{RESULT_SUFFIX}"


def readable(name: str) -> str:
    """The name as text that any encoder takes: bytes that are not UTF-8 become replacement characters."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def why_not_a_name(name: str) -> str | None:
    """Why a person may not submit under this name, or None if they may."""
    if not name or "/" in name or "\0" in name or name in {".", ".."}:
        return f"{name!r} is not a file name"
    if is_temporary(name):
        return f"{name!r} looks like a temporary file, which the daemon leaves alone"
    if name.endswith(RESULT_SUFFIX):
        return f"{name!r}: names ending in {RESULT_SUFFIX} belong to results"
    if not name.endswith(SPEC_SUFFIXES):
        return f"{name!r} must end in .json, .yaml or .yml"
    return None
