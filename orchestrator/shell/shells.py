"""What counts as a shell: the names that shells have, and those of a shell's input.

Rule: `SHELLS` are those whose scripts are read as scripts; `SHELL_NAME` finds these and their relatives in text.
"""

from __future__ import annotations

SHELLS = frozenset(("sh", "bash", "dash", "zsh", "ksh", "ash", "mksh", "rbash"))
ALL_SHELLS = SHELLS | {"fish", "csh", "tcsh", "pwsh"}
SHELL_NAME = r"(?:ba|da|z|k|a|mk|rba|c|tc|fi)?sh"
STDIN = frozenset(("-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"))
