"""Terminal multiplexers: tmux, tmate and screen, which start programs in terminals of their own and type into them.

Rule: what is typed counts as a script, a line for each Enter.
"""

from __future__ import annotations

import re

from orchestrator.shell.command import Command, Unwrapped

_TMUX_COMMANDS = frozenset(
    ("new", "new-session", "new-window", "neww", "split-window", "splitw", "run-shell", "run", "respawn-pane")
)
_TYPES = ("send-keys", "send", "send-prefix", "set-buffer", "setb")
# What stands for a key rather than for text that is typed.
_KEY = re.compile(r"(?:[CMS]-)+\S+|Escape|Space|Tab|BSpace|F\d+|Up|Down|Left|Right")
_ENTER = ("Enter", "C-m", "KPEnter")


def multiplexer_commands(command: Command) -> Unwrapped:
    """`tmux new-session CMD`, `screen -dm CMD`, and what is typed into either: `send-keys`, `-X stuff`."""
    words = command.words
    if command.name == "tmux":
        begins = [at for at, word in enumerate(words) if word in _TMUX_COMMANDS]
        if begins:
            values = frozenset(("-s", "-t", "-n", "-c", "-x", "-y", "-e", "-F"))
            yield " ".join(words[command.operands(values, begins[0] + 1) :])
        yield from _typed(command)
    elif "stuff" in words[:-1]:
        yield re.sub(r"\\(?:n|r|015|012)|\^M", "\n", words[words.index("stuff") + 1])
    elif inner := command.tail(command.operands(frozenset(("-S", "-c", "-h", "-t", "-T", "-p")))):
        yield inner


def _typed(command: Command) -> Unwrapped:
    """What `tmux send-keys` types, a line for each Enter."""
    words = command.words
    at = next((index + 1 for index, word in enumerate(words) if index and word in _TYPES), 0)
    if at:
        given = words[command.operands(frozenset(("-t", "-N", "-b", "-n")), at) :]
        yield "".join("\n" if word in _ENTER else word for word in given if word in _ENTER or not _KEY.fullmatch(word))
