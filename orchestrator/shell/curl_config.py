"""What curl and wget are told by a file of options (`-K FILE`, `--config=FILE`), as the command that has them as words.

Rule: a line is an option with its value, or a remark; the dashes before its name, and `=` and quotes, are optional.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace

from orchestrator.shell.command import Command

_LINE = re.compile(r"\s*(-{0,2}[A-Za-z][\w-]*)(?:\s*[=:\s]\s*(?:\"((?:\\.|[^\"\\])*)\"|(\S.*?)))?\s*")
_PLACE = re.compile(r"[\w=]*@?[~$]")
_CLUSTER = re.compile(r"-[a-zA-Z]*?K(.*)")
_MAX_LINES = 100


def configured(command: Command, text_of: Callable[[str], str | None]) -> Iterator[Command]:
    """`text_of` gives a file's text, None where that is not known."""
    told = [("", value) for name, value in command.assigns if name == "WGETRC"]
    for option, value in (*command.followed, *told):
        name, _, attached = option.partition("=")
        cluster = _CLUSTER.fullmatch(option) if command.name == "curl" else None
        if name not in ("", "--config") and cluster is None:
            continue
        file = (cluster[1] if cluster else attached) or value
        if (text := text_of(file)) is not None:
            words = tuple(word for line in text.splitlines()[:_MAX_LINES] for word in _words(line))
            # The file itself is no word of it, or it would be read again.
            kept = tuple(word for word in command.words if word not in (option, value))
            expands = tuple(at for at, word in enumerate((*kept, *words)) if _PLACE.match(word))
            yield replace(command, words=(*kept, *words), expands=expands)


def _words(line: str) -> Iterator[str]:
    found = _LINE.fullmatch(line)
    if found is None:
        return
    name, quoted, bare = found.groups()
    yield name if name[:1] == "-" else f"--{name.replace('_', '-')}" if len(name) > 1 else f"-{name}"
    if value := quoted or bare:
        yield value
