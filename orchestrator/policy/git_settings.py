"""The settings that a git command brings: `-c key=value`, `clone --config key=value`, `git config key value`.

Rule: one form for all of them, `key=value` with the key in lower case, so that a rule names each setting once.
Reading or removing a setting brings none.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

# `--config` may be shortened; `--conf=key=value` is caught by its beginning.
_BRINGS = frozenset(("-c", "--config", "--confi", "--conf"))
# Options of `git config` that take the next word, and subcommands and options that only read or remove.
_VALUES = frozenset(("-f", "--file", "--blob", "--type", "--default", "--comment", "--value"))
_READS = frozenset(("get", "list", "unset", "edit", "remove-section", "rename-section"))
_READING = ("--get", "--list", "-l", "--unset", "--remove-section", "--rename-section", "--edit", "-e")


def settings(words: tuple[str, ...], operands: tuple[str, ...]) -> Iterator[str]:
    """Each setting as `key=value`; a value that comes from the environment as `key=$NAME`."""
    said = " ".join(words)
    if "-c" not in said and "config" not in said:
        return  # nearly every command brings none
    for option, value in pairwise((*words, "")):
        if option in _BRINGS and "=" in value:
            yield _lower(value)
        elif option == "--config-env":
            yield _lower(value.replace("=", "=$", 1))
        elif option.startswith("--config-env="):
            yield _lower(option.partition("=")[2].replace("=", "=$", 1))
        elif option.startswith("--conf") and option.count("=") > 1:
            yield _lower(option.partition("=")[2])
    if operands[:1] == ("config",):
        yield from _configured(words[words.index("config") + 1 :])


def _configured(words: tuple[str, ...]) -> Iterator[str]:
    if any(word.startswith(_READING) for word in words if word[:1] == "-"):
        return
    rest = [word for before, word in pairwise(("", *words)) if word[:1] != "-" and before not in _VALUES]
    if rest[:1] == ["set"]:
        del rest[0]
    if len(rest) > 1 and rest[0] not in _READS:
        yield _lower(f"{rest[0]}={rest[1]}")


def _lower(setting: str) -> str:
    key, mark, value = setting.partition("=")
    return key.lower() + mark + value
