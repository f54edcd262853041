"""Server-sent events, as these servers stream an answer: JSON objects, one by one, as soon as each is whole.

Lines end at a line feed alone: the text of an answer may hold any other character that some libraries end lines at.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import orjson

MAX_EVENT = 1024 * 1024
DONE = b"[DONE]"


class NotEvents(ValueError):
    """What streams in is not a stream of JSON objects; the message says what is there."""


async def read_events(pieces: AsyncIterator[bytes]) -> AsyncIterator[dict[str, Any]]:
    """The objects up to `[DONE]`, or to the end. Raises NotEvents."""
    data: list[bytes] = []
    async for line in _lines(pieces):
        if line.startswith(b"data:"):
            data.append(line[5:].removeprefix(b" "))
        elif not line and data:
            whole, data = b"\n".join(data), []
            if whole.strip() == DONE:
                return
            yield _object(whole)


async def _lines(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    rest = bytearray()
    async for piece in pieces:
        rest += piece
        *lines, last = rest.split(b"\n")
        for line in lines:
            yield bytes(line).removesuffix(b"\r")
        rest = last
        if len(rest) > MAX_EVENT:
            raise NotEvents(f"a line of the stream is longer than {MAX_EVENT} bytes")
    yield bytes(rest)
    yield b""


def _object(text: bytes) -> dict[str, Any]:
    try:
        event = orjson.loads(text)
    except ValueError as error:
        raise NotEvents(f"a part of the stream is no JSON: {text[:80]!r}") from error
    if not isinstance(event, dict):
        raise NotEvents(f"a part of the stream is no JSON object: {text[:80]!r}")
    return event
