"""What changed, as a unified diff that `git apply` and `patch -p1` take, byte for byte.

Lines end with `\\n` and with nothing else: a `\\r` belongs to its line, and a file need be no UTF-8.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from orchestrator.coding.report import DiffStats

CONTEXT_LINES = 3
_NOTHING = b"/dev/null"


def diff_of(old: bytes | None, new: bytes, path: str) -> tuple[bytes, DiffStats]:
    """The diff from the old contents, None where there was no file, to the new; empty where they are the same. `path`
    is relative to where it will be applied."""
    before, after = _lines(old or b""), _lines(new)
    name = path.encode("utf-8", "surrogateescape")
    header = [
        b"--- " + (_NOTHING if old is None else _name(b"a/" + name)) + b"\n",
        b"+++ " + _name(b"b/" + name) + b"\n",
    ]
    hunks = list(_hunks(before, after))
    text = b"".join(header + hunks) if hunks else b""
    added = sum(1 for line in hunks if line.startswith(b"+"))
    removed = sum(1 for line in hunks if line.startswith(b"-"))
    return text, DiffStats(added, removed, len(text))


def _hunks(before: list[bytes], after: list[bytes]) -> Iterator[bytes]:
    lines = difflib.diff_bytes(difflib.unified_diff, before, after, n=CONTEXT_LINES)
    for line in list(lines)[2:]:  # without its own header, which knows nothing of names that must be quoted
        yield line if line.endswith(b"\n") else line + b"\n\\ No newline at end of file\n"


def _lines(contents: bytes) -> list[bytes]:
    lines = [line + b"\n" for line in contents.split(b"\n")]
    last = lines.pop()[:-1]
    return [*lines, last] if last else lines


def _name(path: bytes) -> bytes:
    """A path as git writes it: quoted where it holds what would end it, with a tab after it where it holds a space."""
    if any(byte < 32 or byte in b'"\\\x7f' for byte in path):
        return b'"' + b"".join(_quoted(byte) for byte in path) + b'"'
    return path + b"\t" if b" " in path else path


def _quoted(byte: int) -> bytes:
    if byte in b'"\\':
        return b"\\" + bytes([byte])
    return b"\\%03o" % byte if byte < 32 or byte == 127 else bytes([byte])
