"""What a project's own files say that a command runs: Makefile recipes, package.json scripts, git aliases.

Rule: text in, scripts out. A recipe is given with the variables that its file or the command line sets; what is set
elsewhere (`include`, the environment) stays a shell variable, which is unknown there too.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterator

from orchestrator.shell.command import Command

MAKEFILES = ("GNUmakefile", "makefile", "Makefile")
PACKAGE = "package.json"
GIT_CONFIGS = (".git/config", "~/.gitconfig", "~/.config/git/config")
_MAX_TARGETS = 50
_MAX_VARIABLES = 8

_RULE = re.compile(r"([^\s:=#][^:=#]*?)\s*::?(?!=)\s*([^;#]*)(?:;\s*(.*))?$")
_ASSIGNMENT = re.compile(r"(?:export\s+|override\s+)*([A-Za-z_][\w.-]*)\s*(?::{0,3}=|\?=|\+=|!=)\s*(.*)$")
_DEFINE = re.compile(r"define\s+([\w.-]+)\s*=?$")
# Behind the beginning of a path: what nobody has set is nothing there.
_UNSET = re.compile(r"(?<=\s)(/[\w./-]*/)\$\{[A-Za-z_]\w*\}")
_REFERENCE = re.compile(r"\$(?:\$|\(([^()]*)\)|\{([^{}]*)\}|([@<^+*?%]))")
_MAKE_VALUES = frozenset(("-f", "-C", "-I", "-j", "-l", "-o", "-W", "--file", "--makefile", "--directory", "--eval"))
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


def makefiles(command: Command) -> tuple[str, ...]:
    """The files that `make` would read, by the words of its command: the first of them that is there counts."""
    folder, named = "", ""
    for option, value in command.followed:
        if option in ("-f", "--file", "--makefile"):
            named = value
        elif option.startswith(("--file=", "--makefile=")):
            named = option.partition("=")[2]
        elif option in ("-C", "--directory"):
            folder = value
        elif option.startswith("--directory="):
            folder = option.partition("=")[2]
    prefix = f"{folder.rstrip('/')}/" if folder else ""
    return (prefix + named,) if named else tuple(prefix + name for name in MAKEFILES)


def make_scripts(text: str, command: Command) -> list[str]:
    """The recipe lines that `make`, called like this, would run: those of its targets and of what they need."""
    targets, overrides = _wanted(command)
    rules, variables = _parse(text)
    files = makefiles(command)
    variables |= {"MAKE": f"make -f {files[0]}" if len(files) == 1 else "make", **overrides}
    first = next((name for name in rules if name[:1] != "." and "%" not in name), None)
    return list(_recipes(targets or ([first] if first else []), rules, variables))


def _wanted(command: Command) -> tuple[list[str], dict[str, str]]:
    targets: list[str] = []
    overrides: dict[str, str] = {}
    skip = False
    for word in command.words[1:]:
        if skip:
            skip = False
        elif word[:1] == "-":
            skip = word in _MAKE_VALUES
        elif found := _ASSIGNMENT.match(word):
            overrides[found.group(1)] = found.group(2)
        else:
            targets.append(word)
    return targets, overrides


def _parse(text: str) -> tuple[dict[str, tuple[list[str], list[str]]], dict[str, str]]:
    """Each target's prerequisites and recipe lines; the variables."""
    rules: dict[str, tuple[list[str], list[str]]] = {}
    variables: dict[str, str] = {}
    current: list[tuple[list[str], list[str]]] = []
    defined = ""
    for line in text.replace("\\\n", " ").splitlines():
        if defined and line.strip() != "endef":
            variables[defined] = "; ".join(filter(None, (variables.get(defined), line.strip())))
        elif found := _DEFINE.match(line):
            defined = found.group(1)
        elif line.strip() == "endef":
            defined = ""
        elif line[:1] == "\t":
            for _, recipe in current:
                recipe.append(line.strip())
        elif found := _ASSIGNMENT.match(line.strip()):
            variables[found.group(1)] = found.group(2).partition(" #")[0].strip()
        elif found := _RULE.match(line):
            names, needs, recipe_line = found.groups()
            current = [rules.setdefault(name, ([], [])) for name in _expanded(names, variables).split()]
            for known, recipe in current:
                known += _expanded(needs, variables).replace("|", " ").split()
                recipe += [recipe_line] if recipe_line else []
    return rules, variables


def _recipes(
    targets: list[str], rules: dict[str, tuple[list[str], list[str]]], variables: dict[str, str]
) -> Iterator[str]:
    waiting, seen = list(targets), set[str]()
    while waiting and len(seen) < _MAX_TARGETS:
        name = waiting.pop(0)
        if name in seen:
            continue
        seen.add(name)
        needs, recipe = rules.get(name) or _by_pattern(name, rules)
        waiting += needs
        own = variables | {"@": name, "<": needs[0] if needs else "", "^": " ".join(needs)}
        yield from (_UNSET.sub(r"\1", _expanded(line.lstrip("@-+ "), own)) for line in recipe)


def _by_pattern(name: str, rules: dict[str, tuple[list[str], list[str]]]) -> tuple[list[str], list[str]]:
    for pattern, rule in rules.items():
        before, sign, after = pattern.partition("%")
        if sign and name.startswith(before) and name.endswith(after):
            return [], rule[1]
    return [], []


def _expanded(text: str, variables: dict[str, str], depth: int = 0) -> str:
    def one(found: re.Match[str]) -> str:
        if found.group() == "$$":
            return "$"
        name = next(group for group in found.groups() if group is not None).strip()
        if name.startswith("shell "):
            return f"$({name[6:]})"
        if name.startswith("call ") and depth < _MAX_VARIABLES:
            called, *given = map(str.strip, name[5:].split(","))
            own = variables | {str(at): value for at, value in enumerate(given, 1)}
            return _expanded(variables.get(called, ""), own, depth + 1)
        if name in variables and depth < _MAX_VARIABLES:
            return _expanded(variables[name], variables, depth + 1)
        return f"${{{name}}}" if name.isidentifier() else "$unknown"

    return _REFERENCE.sub(one, text)


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


def project_scripts(command: Command, text_of: Callable[[str], str | None]) -> Iterator[str]:
    """The scripts behind a command that only names them. `text_of` gives a file's text, None where there is none."""
    if command.name in ("make", "gmake"):
        text = next((text for name in makefiles(command) if (text := text_of(name)) is not None), None)
        if text is not None:
            yield from make_scripts(text, command)
    elif command.name in ("npm", "yarn", "pnpm", "bun"):
        if (text := text_of(package_file(command))) is not None:
            yield from package_scripts(text, command)
    elif command.name == "git" and (at := git_verb(command)) and command.words[at] not in GIT_OWN:
        for config in GIT_CONFIGS:
            if (text := text_of(config)) is not None and (said := git_alias(text, command.words[at])) is not None:
                rest = shlex.join(command.words[at + 1 :])
                yield f"{said[1:]} {rest}" if said[:1] == "!" else f"git {said} {rest}"
                return
