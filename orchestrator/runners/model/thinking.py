"""A model's reasoning, taken out of its answer where the server has not done so.

Rule: only what comes first is reasoning. A tag further on is part of what was asked for, such as a file about tags.
"""

from __future__ import annotations

import re

_OPENED = re.compile(r"\s*<(think|thinking)>(.*?)(?:</\1>|\Z)", re.DOTALL)
# Some templates write the opening tag into the prompt, so that the answer begins within the reasoning.
_CLOSED = re.compile(r"(.*?)^[ \t]*</(?:think|thinking)>[ \t]*$", re.DOTALL | re.MULTILINE)


def split_reasoning(content: str) -> tuple[str, str]:
    """The answer and the reasoning. One that was cut off within its reasoning has no answer."""
    if opened := _OPENED.match(content):
        return content[opened.end() :].lstrip(), opened[2].strip()
    if (closed := _CLOSED.match(content)) and "<think" not in closed[1]:
        return content[closed.end() :].lstrip(), closed[1].strip()
    return content, ""
