"""What a project's own files say that a command runs: Makefile recipes, package.json scripts, git aliases.

Rule: text in, scripts out.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable

from orchestrator.shell.command import Command, Unwrapped
from orchestrator.shell.elsewhere import placed
from orchestrator.shell.makefiles import included, make_folder, make_scripts, makefiles, told

PACKAGE = "package.json"
GIT_CONFIGS = (".git/config", "~/.gitconfig", "~/.config/git/config")
_LIFECYCLE = {
    "install": ("preinstall", "install", "postinstall", "prepublish", "prepare"),
    "ci": ("preinstall", "install", "postinstall", "prepublish", "prepare"),
    "publish": ("prepublishOnly", "prepack", "prepare", "postpack", "publish", "postpublish"),
    "pack": ("prepack", "prepare", "postpack"),
    "version": ("preversion", "version", "postversion"),
}
_LIFECYCLE |= {"i": _LIFECYCLE["install"], "add": _LIFECYCLE["install"]}
_SHORT_SCRIPTS = {"t": "test", "tst": "test"}
_OWN_VERBS = frozenset(("test", "start", "stop", "restart"))
_GIT_OWN_NAMES = """
    add am apply archive bisect blame branch bundle cat-file check-ignore checkout cherry cherry-pick clean clone commit
    config count-objects describe diff difftool fetch filter-branch for-each-ref format-patch fsck gc grep hash-object
    help init log ls-files ls-remote ls-tree maintenance merge merge-base mergetool mv notes prune pull push range-diff
    rebase reflog remote repack replace rerere reset restore rev-list rev-parse revert rm send-email shortlog show
    show-ref sparse-checkout stash status submodule switch symbolic-ref tag update-index update-ref version
    whatchanged worktree
"""
# git itself never looks for an alias of one of its own names.
GIT_OWN = frozenset(_GIT_OWN_NAMES.split())


def package_scripts(text: str, command: Command) -> list[str]:
    """The scripts of a package.json that `npm`, `yarn`, `pnpm` or `bun`, called like this, would run."""
    try:
        scripts = json.loads(text).get("scripts", {})
    except (ValueError, AttributeError, RecursionError):
        return []
    if not isinstance(scripts, dict):
        return []
    return [script for name in _script_names(command) if isinstance(script := scripts.get(name), str)]


def _script_names(command: Command) -> tuple[str, ...]:
    operands = [word for word in command.words[1:] if word[:1] != "-"]
    verb = _SHORT_SCRIPTS.get(operands[0], operands[0]) if operands else "install"
    if verb in ("run", "run-script", "rum", "urn"):
        verb = operands[1] if len(operands) > 1 else ""
    elif verb in _LIFECYCLE and command.name != "bun":
        # A package that is named runs its own scripts, not those of the project.
        return _LIFECYCLE[verb] if len(operands) == 1 or verb in ("publish", "version") else ()
    elif command.name == "npm" and verb not in _OWN_VERBS:
        return ()
    return f"pre{verb}", verb, f"post{verb}"


def package_file(command: Command) -> str:
    """The package.json that such a command means."""
    for option, value in command.followed:
        if option in ("--prefix", "-C", "--dir", "--cwd") and value:
            return f"{value.rstrip('/')}/{PACKAGE}"
        if option.startswith(("--prefix=", "--dir=", "--cwd=")):
            return f"{option.partition('=')[2].rstrip('/')}/{PACKAGE}"
    return PACKAGE


def git_verb(command: Command) -> int:
    """Where the subcommand of a git command stands; 0 if it has none."""
    at, words = 1, command.words
    while at < len(words) and words[at][:1] == "-":
        at += 2 if words[at] in ("-c", "-C", "--git-dir", "--work-tree", "--namespace", "--config-env") else 1
    return at if at < len(words) else 0


def git_alias(text: str, name: str) -> str | None:
    """What `alias.NAME` is in a git config file; None where it is not set."""
    section, value = "", None
    for line in text.replace("\\\n", "").splitlines():
        line = line.strip()
        if line[:1] == "[":
            section = line[1:].partition("]")[0].strip().lower()
        elif section == "alias" and "=" in line:
            key, _, said = line.partition("=")
            if key.strip().lower() == name.lower():
                value = _unquoted(said.strip())
    return value


def _unquoted(text: str) -> str:
    """A git config value without its quotes and escapes."""
    if len(text) > 1 and text[0] == text[-1] == '"':
        text = text[1:-1]
    return text.replace('\\"', '"').replace("\\\\", "\\")


def project_scripts(command: Command, text_of: Callable[[str], str | None]) -> Unwrapped:
    """The scripts behind a command that only names them. `text_of` gives a file's text, None where there is none."""
    if command.name in ("make", "gmake"):
        known = (text for name in makefiles(command) if (text := text_of(name)) is not None)
        text = included(next(known, ""), text_of)
        if text := "\n".join((text, *told(command))).strip("\n"):
            scripts = make_scripts(text, command)
            yield from placed(folder, iter(scripts)) if (folder := make_folder(command)) else scripts
    elif command.name in ("npm", "yarn", "pnpm", "bun"):
        if (text := text_of(package_file(command))) is not None:
            yield from package_scripts(text, command)
    elif command.name == "git" and (at := git_verb(command)) and command.words[at] not in GIT_OWN:
        more = [word.partition("=")[2] for word in command.words if word.lower().startswith("include.path=")]
        for config in (*more, *GIT_CONFIGS):
            if (text := text_of(config)) is not None and (said := git_alias(text, command.words[at])) is not None:
                rest = shlex.join(command.words[at + 1 :])
                yield f"{said[1:]} {rest}" if said[:1] == "!" else f"git {said} {rest}"
                return
