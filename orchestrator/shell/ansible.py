"""What ansible's modules do on a machine, as the commands that do the same there.

Rule: a table of the modules that destroy, stop or open something, for `-m MODULE -a ARGUMENTS` and for the tasks of a
playbook alike; every other module is left alone. Which machine it happens on makes no difference.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from orchestrator.shell.command import Command, Unwrapped
from orchestrator.shell.options import in_option

# A module with what its arguments must say: the command, with `{name}` for the values of its arguments.
_MODULES = (
    ("filesystem", "state=absent", "wipefs -a {dev|device}"),
    ("filesystem", "", "mkfs {dev|device}"),
    ("parted", "state=(?:absent|present)", "parted -s {device} rm {number}"),
    ("lvg", "state=absent", "vgremove -f {vg}"),
    ("lvol", "state=absent", "lvremove -f {vg}/{lv}"),
    ("reboot", "", "reboot"),
    ("shutdown", "", "shutdown"),
    ("win_reboot", "", "reboot"),
    ("file", "state=absent", "rm -r {path|dest|name}"),
    ("file", "recurse=(?:yes|true).* owner=|owner=.* recurse=(?:yes|true)", "chown -R {owner} {path|dest|name}"),
    ("file", "recurse=(?:yes|true).* mode=|mode=.* recurse=(?:yes|true)", "chmod -R {mode} {path|dest|name}"),
    ("file", " mode=", "chmod {mode} {path|dest|name}"),
    ("user", "remove=(?:yes|true)", "userdel -r {name}"),
    ("user", "", "usermod {name}"),
    ("copy", "", "tee {dest}"),
    ("template", "", "tee {dest}"),
    ("get_url", "", "tee {dest}"),
    ("lineinfile", "", "tee {path|dest}"),
    ("blockinfile", "", "tee {path|dest}"),
    ("replace", "", "tee {path|dest}"),
    ("service", "state=(?:stopped|restarted)", "systemctl stop {name}"),
    ("systemd", "state=(?:stopped|restarted)", "systemctl stop {name}"),
    ("authorized_key", "", "tee ~/.ssh/authorized_keys"),
)
_REHEARSED = frozenset(("--check", "-C", "--syntax-check", "--list-hosts", "--list-tasks", "--list-tags"))
_HOLE = re.compile(r"\{([\w|]+)\}")
_PAIR = re.compile(r"(\w+)\s*[=:]\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s,}'\"]+))")
_NAMES = "|".join(sorted({name for name, *_ in _MODULES}, key=len, reverse=True))
# `ansible.builtin.file: {path: /x}`, `file: path=/x`, or with its arguments on lines of their own.
_TASK = re.compile(rf"(?m)^(?P<indent>[ \t]*(?:- )?)(?:[\w.]+\.)?(?P<name>{_NAMES}):[ \t]*(?P<rest>.*)$")


def rehearses(command: Command) -> bool:
    """Whether it is one of ansible's programs that only looks at what it would do."""
    return command.name.startswith("ansible") and not _REHEARSED.isdisjoint(command.words)


def ansible(command: Command) -> Unwrapped:
    """`ansible HOSTS -m MODULE -a ARGUMENTS`; without a module the arguments are a command."""
    yield from in_option("-a", "--args")(command)
    if rehearses(command):
        return
    given = dict(command.followed)
    module = given.get("-m", given.get("--module-name", ""))
    yield from _done(module.rpartition(".")[2], given.get("-a", given.get("--args", "")), command.via)


def playbook_commands(text: str, via: tuple[str, ...]) -> Iterator[Command]:
    """What the tasks of a playbook do, where its text names such modules."""
    if "hosts:" not in text and "tasks:" not in text:
        return
    for found in _TASK.finditer(text):
        depth = len(found["indent"])
        lines = text[found.end() :].splitlines()[1:]
        inner = next((at for at, line in enumerate(lines) if len(line) - len(line.lstrip()) <= depth), len(lines))
        yield from _done(found["name"], " ".join((found["rest"], *lines[:inner])), via)


def _done(module: str, said: str, via: tuple[str, ...]) -> Iterator[Command]:
    values = {key: one or other or bare for key, one, other, bare in _PAIR.findall(said)}
    stated = "".join(f" {key}={value}" for key, value in values.items())
    for name, condition, template in _MODULES:
        if name == module and re.search(condition, stated):
            words = tuple(_HOLE.sub(lambda hole: _value(hole[1], values), template).split())
            yield Command(
                words, f"{module}:{stated}", tuple(at for at, word in enumerate(words) if "~" in word), via=via
            )
            return


def _value(names: str, values: dict[str, str]) -> str:
    return next((values[name] for name in names.split("|") if name in values), "$unknown")
