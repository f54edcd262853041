"""What counts as a shell: the names that shells have, and those of a shell's input.

Rule: `SHELLS` are those whose scripts are read as scripts; `SHELL_NAME` finds these and their relatives in text.
"""

from __future__ import annotations

from orchestrator.shell.command import Command

SHELLS = frozenset(("sh", "bash", "dash", "zsh", "ksh", "ash", "mksh", "rbash"))
ALL_SHELLS = SHELLS | {"fish", "csh", "tcsh", "pwsh"}
SHELL_NAME = r"(?:ba|da|z|k|a|mk|rba|c|tc|fi)?sh"
STDIN = frozenset(("-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"))


def takes_orders(command: Command) -> bool:
    """Whether a command is a shell that runs what it is sent."""
    words = command.words
    return (
        bool(words) and command.name in ALL_SHELLS and all(word in ("-s", "-", "-i", "-l", "-x") for word in words[1:])
    )
