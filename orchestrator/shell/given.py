"""Variables that a command sets for others, and settings of tools, which are variables by another name.

Rule: one form for all of them, `NAME=value`: `export A=b`, `make CC=x`, `npm config set script-shell x`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from orchestrator.shell.command import Command

Given = Iterator[tuple[str, str]]
_OF_WEIGHT = re.compile(
    r"--(?:\S*registry|script-shell|node-options|\w*config$|globalconfig|userconfig|git$|init-module|\S*proxy|strict-ssl"
    r"|ignore-scripts|\S*index\S*|find-links|trusted-host)(?:=|$)"
)
_NAME = re.compile(r"[A-Za-z_][\w.]*")


def given(command: Command) -> tuple[tuple[str, str], ...]:
    """What a command sets for whatever runs after it, or for what it runs itself."""
    giver = _GIVERS.get(command.name)
    return tuple(giver(command)) if giver is not None and len(command.words) > 1 else ()


def _words(command: Command) -> Given:
    """Each `NAME=value` among its words."""
    for word in command.words[1:]:
        name, mark, value = word.partition("=")
        if mark and _NAME.fullmatch(name.rstrip("%:?+")):
            yield name.rstrip(":?+"), value


def _exported(command: Command) -> Given:
    if any(word[:1] == "-" and "x" in word for word in command.words[1:]):
        yield from _words(command)


def _two(command: Command) -> Given:
    """`setenv NAME value`, also behind a verb and options."""
    yield from _words(command)
    words = [word for word in command.words[1:] if word[:1] != "-"]
    verb = next((at for at, word in enumerate(words) if word in ("setenv", "set-environment", "setenv-global")), -1)
    named = words[verb + 1 :] if verb >= 0 else words if command.name == "setenv" else []
    if len(named) > 1 and _NAME.fullmatch(named[0]):
        yield named[0], named[1]


def _keyed(command: Command) -> Given:
    """`envman add --key NAME --value value`."""
    given = dict(command.followed)
    if "--key" in given:
        yield given["--key"], given.get("--value", "")


def _definitions(command: Command) -> Given:
    """`cmake -DNAME=value`."""
    for word in command.words[1:]:
        if found := re.fullmatch(r"-D(\w+)(?::\w+)?=(.*)", word, re.DOTALL):
            yield found.group(1), found.group(2)


def _go(command: Command) -> Given:
    if command.words[1:3] == ("env", "-w"):
        yield from _words(command)


_EDITORS = {"core.editor": "GIT_EDITOR", "sequence.editor": "GIT_SEQUENCE_EDITOR"}


def _git(command: Command) -> Given:
    """`git -c sequence.editor=x`."""
    if "-c" not in command.words:
        return
    for option, value in command.followed:
        key, mark, editor = value.partition("=")
        if option == "-c" and mark and key.lower() in _EDITORS:
            yield _EDITORS[key.lower()], editor


def _settings(prefix: str) -> Callable[[Command], Given]:
    """`config set KEY value`, `--KEY=value`: the variable that a tool knows the setting by."""

    def name_of(key: str) -> str:
        key = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", key.rpartition("global.")[2])
        return prefix + re.sub(r"[.-]", "_", key).lower()

    def giver(command: Command) -> Given:
        words = [word for word in command.words[1:] if word[:1] != "-"]
        if words[:2] in (["config", "set"], ["c", "set"]) or words[:1] == ["set"] or words[:1] == ["config"]:
            said = command.words[command.words.index("set" if "set" in words[:2] else "config") + 1 :]
            said = said[next((at for at, word in enumerate(said) if word[:1] != "-"), 0) :]
            if len(said) > 1:
                yield name_of(said[0]), said[1]
            yield from ((name_of(key), value) for key, mark, value in (word.partition("=") for word in said) if mark)
        for option, value in command.followed:
            if option == "--":
                break
            if _OF_WEIGHT.match(option):
                key, mark, attached = option[2:].partition("=")
                yield name_of(key), attached if mark else value
            if option in ("--config",) and "=" in value:
                key, _, setting = value.partition("=")
                yield name_of(key), setting.strip("\"'")

    return giver


_GIVERS: dict[str, Callable[[Command], Given]] = {
    **dict.fromkeys(("declare", "typeset"), _exported), **dict.fromkeys(("export", "make", "gmake"), _words),
    **dict.fromkeys(("dbus-update-activation-environment", "just", "nmake", "bmake"), _words),
    **dict.fromkeys(("setenv", "launchctl", "tmux", "systemctl"), _two),
    **dict.fromkeys(("cmake", "ccmake", "meson"), _definitions),
    "go": _go, "git": _git, "envman": _keyed, "buildkite-agent": _words,
    **dict.fromkeys(("npm", "pnpm"), _settings("npm_config_")), "yarn": _settings("yarn_"),
    **dict.fromkeys(("pip", "pip3"), _settings("pip_")), "cargo": _settings("cargo_"), "bundle": _settings("bundle_"),
    "poetry": _settings("poetry_"), "conda": _settings("conda_"), "composer": _settings("composer_"),
}  # fmt: skip
