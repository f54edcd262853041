"""What git is told to run: aliases, settings that are scripts, `rebase -x`, `bisect run`, `submodule foreach`."""

from __future__ import annotations

import re

from orchestrator.shell.command import Command, Unwrapped

# Settings that are scripts for a shell.
_SCRIPTS = re.compile(
    r"(?i)(?:core\.(?:sshcommand|editor|pager|fsmonitor|askpass|gitproxy|alternaterefscommand)|sequence\.editor|pager\.\w+"
    r"|credential\.(?:.*\.)?helper|diff\.external|interactive\.difffilter|uploadpack\.packobjectshook|gpg\.(?:\w+\.)?program"
    r"|(?:diff|filter|merge|difftool|mergetool|trailer|browser|man|tar|sendemail|submodule|hook)\..+\.?"
    r"(?:command|cmd|textconv|clean|smudge|process|driver|update|smtpserver))"
)
_FILTER = re.compile(r"--(?:tree|index|msg|env|commit|parent|tag-name|subdirectory)-filter|--setup")


def _setting(key: str, value: str) -> Unwrapped:
    if key.lower().startswith("alias."):
        yield value[1:] if value[:1] == "!" else f"git {value}"
    elif value and _SCRIPTS.fullmatch(key):
        yield value.removeprefix("!")


def git_scripts(command: Command) -> Unwrapped:
    """The scripts and commands that a git command is told to run: by its settings, its aliases and its options."""
    words = command.words
    configures = words.index("config", 1) if "config" in words[1:] else len(words)
    for at, word in enumerate(words[1:], 1):
        before = words[at - 1]
        if before in ("-c", "--config") and "=" in word:
            yield from _setting(*word.split("=", 1))
        elif (before in ("--exec", "-x") and "rebase" in words[:at]) or _FILTER.fullmatch(before):
            yield word
        elif word.startswith("ext::"):
            yield re.sub(r"%(.)", lambda found: "%" if found[1] == "%" else f"\\{found[1]}", word[5:])
        elif word.startswith("--exec=") and "rebase" in words[:at]:
            yield word.partition("=")[2]
        elif before == "foreach" and "submodule" in words[:at]:
            yield " ".join(item for item in words[at:] if item != "--recursive")
        elif before == "run" and words[at - 2 : at - 1] == ("bisect",) and (inner := command.tail(at)):
            yield inner
        elif at > configures:
            yield from _setting(before, word)
