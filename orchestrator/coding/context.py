"""The files that a model is shown beside its task: read, counted, and made to fit.

Rule: nothing is ever cut silently. A file is shown whole, or as an outline that is named so; what fits neither way is
refused, with what is too large and what to do about it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from orchestrator.coding.languages.outline import outline
from orchestrator.coding.reading import Unshown, read_text, refuse_secret, text_of
from orchestrator.runners.fence import Fence
from orchestrator.runners.model.tokens import estimate

_NAMED = 3
HEADING = 12
"""What a file's heading and its fences cost, beside its path; in tokens."""


class ContextProblem(Exception):
    """The context can't be shown as it is asked for; the message says which file, why, and what to do."""


@dataclass(frozen=True, slots=True)
class Shown:
    """One file as the model sees it. `tokens` count the text and its heading."""

    path: str
    text: str
    tokens: int
    shown: Literal["whole", "outline"] = "whole"


def room_for_context(window: int | None, answer: int, rest: int, *, measured: bool) -> int | None:
    """How many tokens of a model's context (`window`) are left for files, when `answer` are kept for what it writes
    and `rest` is the prompt without them. None where the window is not known.

    A margin is kept: for the words that the server puts around messages, and much more of it where tokens are
    estimated, because code has fewer characters a token than prose."""
    if window is None:
        return None
    return window - answer - rest - (32 + window // (64 if measured else 8))


def current_text(path: str, data: bytes | None) -> str | None:
    """The file that is to be written anew as the model sees it; None where there is none yet. Raises ContextProblem
    for one that no model is shown: then none can write it anew."""
    if data is None:
        return None
    try:
        refuse_secret(path)
        return text_of(data)
    except Unshown as error:
        raise ContextProblem(f"{path} is there already, and a model would have to see it, but it {error}") from error


def read_context(
    fence: Fence,
    workspace: str,
    paths: Sequence[str],
    *,
    budget: int | None,
    count: Callable[[str], int] = estimate,
    large: Literal["outline", "refuse"] = "outline",
) -> tuple[Shown, ...]:
    """The files in their order, each once, together within the budget (in tokens; None: no limit).

    Where they are larger, the largest are shown as outlines, as far as that is needed and allowed. Raises
    ContextProblem."""
    whole = [_read(fence, workspace, path, count) for path in dict.fromkeys(paths)]
    if budget is None or not whole or _total(whole) <= budget:
        return tuple(whole)
    fitted = _outlined(whole, budget, count) if large == "outline" else whole
    if _total(fitted) > budget:
        raise ContextProblem(_too_large(whole, fitted, budget, large))
    return tuple(fitted)


def _read(fence: Fence, workspace: str, path: str, count: Callable[[str], int]) -> Shown:
    try:
        text = read_text(fence, workspace, path)
    except Unshown as error:
        raise ContextProblem(f"the context file {path} {error}") from error
    return Shown(path, text, _cost(path, text, count))


def _cost(path: str, text: str, count: Callable[[str], int]) -> int:
    return count(text) + count(path) + HEADING


def _total(files: Sequence[Shown]) -> int:
    return sum(file.tokens for file in files)


def _outlined(whole: Sequence[Shown], budget: int, count: Callable[[str], int]) -> list[Shown]:
    """The files with as many outlines as it takes, the largest file first."""
    files = list(whole)
    for index in sorted(range(len(files)), key=lambda index: -files[index].tokens):
        if _total(files) <= budget:
            break
        file = files[index]
        if (short := outline(file.path, file.text)) is not None:
            files[index] = replace(file, text=short, tokens=_cost(file.path, short, count), shown="outline")
    return files


def _too_large(whole: Sequence[Shown], fitted: Sequence[Shown], budget: int, large: str) -> str:
    if budget <= 0:
        return (
            "the model's context has no room for context files beside the task and the answer: "
            "give it a larger `context`, or a smaller `max_tokens`, in the config, or name no files"
        )
    largest = sorted(zip(whole, fitted, strict=True), key=lambda pair: -pair[1].tokens)[:_NAMED]
    named = ", ".join(_named(was, now, large) for was, now in largest)
    more = f" and {len(whole) - _NAMED} more" if len(whole) > _NAMED else ""
    return (
        f"the context files are too large for the model: {_total(fitted):,} tokens, and there is room for {budget:,}. "
        f"The largest: {named}{more}. Name fewer or smaller files, split them, or use a model with a longer context; "
        "`orchestrator tokens PATH…` shows what each costs"
    )


def _named(was: Shown, now: Shown, large: str) -> str:
    if now.shown == "outline":
        return f"{now.path} ({now.tokens:,} as an outline, {was.tokens:,} whole)"
    reason = ", of which no outline can be made" if large == "outline" else ""
    return f"{now.path} ({now.tokens:,}{reason})"
