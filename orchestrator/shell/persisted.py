"""What a script leaves behind to run later: the text that it writes to where shells, timers, logins and git look.

Rule: such text counts as if it ran now, read as what the place makes of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from orchestrator.shell.command import Command
from orchestrator.shell.environment_facts import left_for_later, said_for_later, set_in_place
from orchestrator.shell.interpreters import file_commands
from orchestrator.shell.known import WRITERS, written
from orchestrator.shell.prints import printed
from orchestrator.shell.recipes import recipe_lines

_SHELL_FILES = re.compile(
    r"(?:^|/)\.(?:bash\w*|profile|zsh\w*|zprofile|zlog\w+|kshrc|cshrc|tcshrc|login|logout|xprofile|xinitrc|xsession\w*|envrc)$"
    r"|(?:^|/)etc/(?:profile|bash|zsh|rc\.local|init\.d/|rc\d?\.d/|cron\.(?:hourly|daily|weekly|monthly)/)"
    r"|(?:^|/)(?:\.git|\.?git-?hooks?|\.husky|hooks)/(?:hooks/)?[\w-]+$|\.ssh/rc$"
)
_OTHER_FILES = re.compile(
    r"cron|systemd/|\.(?:service|timer|path|desktop|plist)$|autostart/|udev/|dispatcher\.d/|\.?vimrc$|nvim/|\.ssh/config$"
    r"|(?:site|user)customize\.py$|\.pth$|fish/|apt\.conf|\.(?:tmux\.conf|screenrc|gdbinit|lldbinit|gitconfig|mailcap)$"
    r"|logrotate|sudoers|\.git/config$|supervisor|monitrc|inittab"
)


def persisted(command: Command) -> Iterator[Command | str]:
    """What runs later of the text that a command writes."""
    if command.name == "echo" and ("##vso[" in command.text or "::" in command.text):
        yield from said_for_later(" ".join(command.words[1:]))
    if "_ENV" in command.text and not command.redirects:
        yield from set_in_place(command)
    if not (command.redirects or command.name in WRITERS):
        return
    for target, _, source in written(command):
        if target[:1] == "$" and (text := printed(source)) is not None:
            yield from left_for_later(target, text.text)
        in_shell = _SHELL_FILES.search(target)
        if not in_shell and not _OTHER_FILES.search(target):
            continue
        if (said := printed(source)) is None:
            continue
        via = (*command.via, command.name)
        yield from _read(target, said.text, bool(in_shell), via)


def _read(target: str, text: str, in_shell: bool, via: tuple[str, ...]) -> Iterator[Command | str]:
    if in_shell and not text.startswith("#!"):
        yield text
        return
    known = list(file_commands("x.py" if target.endswith(".pth") else target, text, via))
    yield from known or recipe_lines(text)
