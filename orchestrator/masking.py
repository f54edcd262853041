"""What must be seen nowhere becomes `***`: in text, in results, and in output that comes in pieces of any size.

Rule: each byte of each occurrence of a value, or of one of its usual encodings, is replaced, however the pieces fall
and however occurrences overlap; occurrences that overlap become one `***`. Values of fewer than MIN_LENGTH characters
can't be masked, since half of all text would be. Standard library only.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

MIN_LENGTH = 4
MASK = b"***"
_HEAD = MIN_LENGTH
_SHORT = 512  # bytes; in so few a search is quicker than anything clever
_ALL = bytes(range(256))
_WIDTHS = (64, 76)  # at which openssl and base64 break their lines
_NO_SHELL_WORD = re.compile(r"([^\w@%+=:,./-])")
# Words of ours, and names by which others find things: no value of a secret.
_STRUCTURE = frozenset(
    ("id", "name", "skill", "status", "state", "verdict", "effect", "sha256", "started_at", "finished_at", "sandbox",
     "priority", "risk", "stdout_path", "stderr_path")
)  # fmt: skip
T = TypeVar("T")


class Masker:
    """Knows what to mask. May be used by several threads; each stream by one."""

    __slots__ = ("_heads", "_needles", "_parts", "_patterns", "_starts")

    def __init__(self, values: Iterable[str]) -> None:
        found = {form for value in values for form in _forms(value) if len(form) >= MIN_LENGTH}
        self._patterns = [(form, _period(form)) for form in sorted(found, key=len, reverse=True)]
        # Where none of these is, nothing is: most of the others hold one of them.
        self._needles = [form for form in sorted(found, key=len) if not any(o != form and o in form for o in found)]
        heads: dict[bytes, list[bytes]] = {}
        for form in found:
            heads.setdefault(form[:_HEAD], []).append(form)
        self._heads = [(head, max(map(len, forms)), forms) for head, forms in heads.items()]
        # What the end of data is, where the beginning of a value stands there.
        self._parts = frozenset(form[at : at + _HEAD] for form in found for at in range(len(form) - _HEAD))
        self._starts = frozenset(head[:length] for head in heads for length in range(1, _HEAD))

    def text(self, text: str) -> str:
        data = text.encode("utf-8", "surrogatepass")
        return self.whole(data).decode("utf-8", "surrogatepass") if self.met_in(data) else text

    def whole(self, data: bytes) -> bytes:
        """All of it at once."""
        return self.cut(data, len(data), 0)[0]

    def deep(self, value: T) -> T:
        """The same with all text in it masked, but for the words by which it is found again."""
        return self._deep(value)  # type: ignore[no-any-return]

    def stream(self) -> Stream:
        return Stream(self)

    def met_in(self, data: bytes) -> bool:
        return any(needle in data for needle in self._needles)

    def witnesses(self, data: bytes) -> tuple[list[int], list[bytes]]:
        """Bytes that do not occur there and without which no value does, but for the needles that remain."""
        absent = _ALL.translate(None, data)
        found: list[int] = []
        rest: list[bytes] = []
        for needle in self._needles:
            if not any(byte in needle for byte in found):
                lacking = needle.translate(None, needle.translate(None, absent))
                found += lacking[:1]
                rest += [] if lacking else [needle]
        return found, rest

    def cut(self, data: bytes, end: int, covered: int) -> tuple[bytes, int]:
        """What the bytes before `end` become, where the first `covered` ones are masked already; and how many from
        `end` on are masked with them."""
        out: list[bytes] = []
        masked = covered
        for start, stop in self._spans(data, end):
            if start >= masked:
                out += (data[masked:start], MASK)
            masked = max(masked, stop)
        if masked < end:
            out.append(data[masked:end])
        return b"".join(out), max(masked - end, 0)

    def unsure_from(self, data: bytes) -> int:
        """Where the first occurrence begins that the next piece may complete; the end if none does."""
        end = len(data)
        if data[-_HEAD:] in self._parts and (begun := self._begun(data)) < end:
            return begun
        for at in range(max(0, end - _HEAD + 1), end):
            if data[at:] in self._starts:
                return at
        return end

    def _begun(self, data: bytes) -> int:
        """The same, of beginnings that are no shorter than a head."""
        best = end = len(data)
        for head, longest, forms in self._heads:
            at = data.find(head, max(0, end - longest + 1))
            while 0 <= at < best:
                rest = data[at:]
                if any(len(rest) < len(form) and form.startswith(rest) for form in forms):
                    best = at
                at = data.find(head, at + 1)
        return best

    def _spans(self, data: bytes, end: int) -> list[tuple[int, int]]:
        """Every occurrence that begins before `end`, in order."""
        found: list[tuple[int, int]] = []
        for form, period in self._patterns:
            at = data.find(form)
            while 0 <= at < end:
                found.append((at, at + len(form)))
                at = data.find(form, at + period)
        return sorted(found)

    def _deep(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {key: item if key in _STRUCTURE else self._deep(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return type(value)([self._deep(item) for item in value])
        if hasattr(value, "model_copy"):  # of pydantic, which need not be imported for that
            names = set(type(value).model_fields) - _STRUCTURE
            return value.model_copy(update={name: self._deep(getattr(value, name)) for name in names})
        if is_dataclass(value) and not isinstance(value, type):
            changes = {
                field.name: self._deep(getattr(value, field.name))
                for field in fields(value)
                if field.name not in _STRUCTURE
            }
            return replace(value, **changes)
        return value


class Stream:
    """Masks what comes in pieces. What might be the beginning of an occurrence is held back until it is known."""

    __slots__ = ("_covered", "_held", "_masker", "_witnesses")

    def __init__(self, masker: Masker) -> None:
        self._masker = masker
        self._held = b""
        self._witnesses: list[int] = []
        self._covered = 0  # so much of what is held belongs to an occurrence that was told already

    def feed(self, data: bytes) -> bytes:
        """What can be told now."""
        if self._held:
            data = self._held + data
        end = self._masker.unsure_from(data)
        out = self._told(data, end)
        self._held = data[end:]
        return out

    def close(self) -> bytes:
        """The rest, when nothing more comes."""
        data, self._held = self._held, b""
        return self._told(data, len(data))

    def _told(self, data: bytes, end: int) -> bytes:
        if not self._covered and self._is_clean(data):
            return data if end == len(data) else data[:end]
        out, self._covered = self._masker.cut(data, end, self._covered)
        return out

    def _is_clean(self, data: bytes) -> bool:
        """Whether no value is in it. What is printed is mostly of one kind, so that the few bytes that ruled all values
        out in the piece before mostly do it again, and looking for one byte costs next to nothing."""
        if len(data) < _SHORT:
            return not self._masker.met_in(data)
        if self._witnesses and not any(byte in data for byte in self._witnesses):
            return True
        self._witnesses, rest = self._masker.witnesses(data)
        if rest:
            self._witnesses = []
        return not any(needle in data for needle in rest)


def _forms(value: str) -> Iterator[bytes]:
    """The value as programs print it. One of several lines is seen as a whole and line by line."""
    from urllib.parse import quote, quote_plus  # only a task with secrets pays for it

    lines = [value, value.strip(), *(line.strip() for line in value.splitlines() if len(line.strip()) >= MIN_LENGTH)]
    for text in dict.fromkeys(lines):
        raw = text.encode()
        yield raw
        yield json.dumps(text)[1:-1].encode()
        yield json.dumps(text, ensure_ascii=False)[1:-1].encode()
        for quoted in (quote(text), quote(text, safe=""), quote_plus(text)):
            yield quoted.encode()
            yield re.sub(r"%[0-9A-F]{2}", lambda escape: escape[0].lower(), quoted).encode()
        yield text.replace("'", "'\\''").encode()
        yield text.replace("'", "'\"'\"'").encode()
        yield _NO_SHELL_WORD.sub(r"\\\1", text).encode()
    for text in dict.fromkeys((value, value.strip())):
        yield text.encode().hex().encode()
        yield text.encode().hex().upper().encode()
        for encoded in _base64(text.encode()):
            yield encoded
            yield encoded.replace(b"+", b"-").replace(b"/", b"_")


def _base64(raw: bytes) -> Iterator[bytes]:
    """As a whole, with the end of a line, broken into lines, and as it looks in the middle of something longer."""
    for whole in (raw, raw + b"\n"):
        encoded = base64.b64encode(whole)
        yield encoded
        yield encoded.rstrip(b"=")
        for width in _WIDTHS:
            if len(encoded) > width:
                yield from (encoded[at : at + width] for at in range(0, len(encoded), width))
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + raw)
        # Of these characters all bits are the value's own.
        yield encoded[(before * 8 + 5) // 6 : (before + len(raw)) * 8 // 6]


def _period(form: bytes) -> int:
    """How far behind an occurrence the next one may begin."""
    return next(shift for shift in range(1, len(form) + 1) if form.startswith(form[shift:]))
