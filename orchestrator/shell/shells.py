"""What counts as a shell: the names that shells have, and those of a shell's input.

Rule: `SHELLS` are those whose scripts are read as scripts; `SHELL_NAME` finds these and their relatives in text.
"""

from __future__ import annotations

from orchestrator.shell.command import Command

SHELLS = frozenset(("sh", "bash", "dash", "zsh", "ksh", "ash", "mksh", "rbash"))
ALL_SHELLS = SHELLS | {"fish", "csh", "tcsh", "pwsh"}
SHELL_NAME = r"(?:ba|da|z|k|a|mk|rba|c|tc|fi)?sh"
_PARSING = frozenset(("-n", "--norc", "--noprofile"))
STDIN = frozenset(("-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"))


def is_only_parsed(command: Command) -> bool:
    """`bash -n FILE`: a shell that reads a script for its syntax, and runs nothing of it."""
    words, at = command.words, 1
    while words[at : at + 1] and words[at] in _PARSING:
        at += 1
    named = at < len(words) and at not in command.expands and words[at][:1] not in ("", "-", "+")
    return named and "-n" in words[1:at] and command.name in ("bash", "sh", "dash") and not command.assigns


def takes_orders(command: Command) -> bool:
    """Whether a command is a shell that runs what it is sent."""
    words = command.words
    return (
        bool(words) and command.name in ALL_SHELLS and all(word in ("-s", "-", "-i", "-l", "-x") for word in words[1:])
    )
