"""The body of an answer, unpacked a little at a time.

Rule: what a piece unpacks to is handed out in parts of at most 64 KiB, so that a few bytes that unpack to gigabytes
cost time until the limit is reached, and never memory.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Protocol

from orchestrator.runners.http.failure import Code, HttpFailure

PART = 64 * 1024
ACCEPTED = "gzip, deflate"
_GZIP = zlib.MAX_WBITS | 16
_RAW = -zlib.MAX_WBITS


class Decoder(Protocol):
    def feed(self, piece: bytes) -> Iterator[bytes]: ...

    def end(self) -> None:
        """Raises HttpFailure if the body can't have been whole."""


def decoder(encoding: str) -> Decoder:
    """The decoder for a Content-Encoding. Raises HttpFailure for what was not asked for."""
    names = [name for item in encoding.split(",") if (name := item.strip().lower()) not in ("", "identity")]
    if not names:
        return _Plain()
    if len(names) == 1 and names[0] in ("gzip", "x-gzip", "deflate"):
        return _Inflate(gzip=names[0] != "deflate")
    raise HttpFailure(Code.BAD_ENCODING, f"the answer is encoded as `{encoding}`: only {ACCEPTED} were offered")


class _Plain:
    def feed(self, piece: bytes) -> Iterator[bytes]:
        yield piece

    def end(self) -> None:
        """Its length is the protocol's affair."""


class _Inflate:
    """gzip with any number of members, or deflate, which servers send with and without its header."""

    def __init__(self, *, gzip: bool) -> None:
        self._gzip = gzip
        self._inflate = zlib.decompressobj(_GZIP if gzip else zlib.MAX_WBITS)
        self._begun = False

    def feed(self, piece: bytes) -> Iterator[bytes]:
        while piece:
            if self._inflate.eof:
                if not self._gzip:
                    return
                self._inflate = zlib.decompressobj(_GZIP)
            if part := self._unpack(piece):
                yield part
            piece = self._inflate.unused_data if self._inflate.eof else self._inflate.unconsumed_tail

    def _unpack(self, piece: bytes) -> bytes:
        first, self._begun = not self._begun, True
        try:
            return self._inflate.decompress(piece, PART)
        except zlib.error as error:
            if first and not self._gzip:
                self._inflate = zlib.decompressobj(_RAW)
                return self._unpack(piece)
            raise HttpFailure(Code.BAD_ENCODING, f"the answer's body can't be unpacked: {error}") from error

    def end(self) -> None:
        if self._begun and not self._inflate.eof:
            raise HttpFailure(Code.BAD_ENCODING, "the answer's body ends before its packed data do")
