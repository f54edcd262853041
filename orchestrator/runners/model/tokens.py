"""How many tokens a text is, where no server counts them: an estimate, and always called one."""

from __future__ import annotations

from dataclasses import dataclass

CHARACTERS = 4


@dataclass(frozen=True, slots=True)
class Count:
    """`measured`: a server's own count for the model; else our estimate."""

    tokens: int
    measured: bool


def estimate(text: str) -> int:
    """Tokens at four characters each, as most models need for code and English."""
    return -(-len(text) // CHARACTERS)
