"""What the steps printed, all of it.

A StepResult carries a tail; the rest is in the run's folder. The file is opened only where the tail is not
the whole, and is read in pieces, so that no output is too large to be asked about.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from orchestrator.outcome import StepResult

CHUNK = 256 * 1024
WINDOW = 1024 * 1024


def is_whole(step: StepResult) -> bool:
    """True if the tail is all that the step printed.

    A replacement character may stand for one byte or be one of three: then only the file can tell.
    """
    tail = step.stdout
    if len(tail) >= step.stdout_bytes:
        return True
    return "�" not in tail and len(encode(tail)) >= step.stdout_bytes


def encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def printed(step: StepResult, text: str, run_dir: str) -> bool:
    """True if the step's standard output contains the text. Raises OSError if its file can't be read."""
    if text in step.stdout:
        return True
    path = None if is_whole(step) else step.stdout_path
    if path is None:
        return False
    with Path(run_dir, path).open("rb", buffering=0) as handle:
        return contains(handle, encode(text))


def contains(handle: BinaryIO | Iterable[bytes], text: bytes) -> bool:
    """True if the bytes occur in a stream, also across the borders of its pieces."""
    overlap = len(text) - 1
    held = b""
    for piece in _pieces(handle):
        held += piece
        if text in held:
            return True
        held = held[-overlap:] if overlap > 0 else b""
    return not text


def _pieces(handle: BinaryIO | Iterable[bytes]) -> Iterator[bytes]:
    if not hasattr(handle, "read"):
        yield from handle
        return
    while piece := handle.read(CHUNK):
        yield piece


def windows(step: StepResult, run_dir: str) -> tuple[list[str], bool]:
    """The output as texts for a pattern, at most its first and last WINDOW bytes, and whether that is all."""
    if is_whole(step) or step.stdout_path is None:
        return [step.stdout], True
    with Path(run_dir, step.stdout_path).open("rb") as handle:
        size = os.fstat(handle.fileno()).st_size
        head = handle.read(2 * WINDOW if size <= 2 * WINDOW else WINDOW)
        if size <= 2 * WINDOW:
            return [head.decode(errors="replace")], True
        handle.seek(size - WINDOW)
        return [part.decode(errors="replace") for part in (head, handle.read(WINDOW))], False
