"""What `make` would run: the recipes of its targets and of what they need, and what runs while the file is read.

Rule: text in, scripts out. A recipe is given with the variables that its file or the command line sets; what is set
elsewhere (`include`, the environment) stays a shell variable, which is unknown there too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from orchestrator.shell.command import Command
from orchestrator.shell.make_functions import expanded, shell_parts

MAKEFILES = ("GNUmakefile", "makefile", "Makefile")
_MAX_TARGETS = 50
_MAX_INCLUDED = 5
_INCLUDE = re.compile(r"\s*[-s]?include\s+([^$#]+)")
_RULE = re.compile(r"([^\s:=#][^:=#]*?)\s*::?(?!=)\s*([^;#]*)(?:;\s*(.*))?$")
_ASSIGNMENT = re.compile(r"(?:export\s+|override\s+)*([A-Za-z_][\w.-]*)\s*(?::{0,3}=|\?=|\+=|!=)\s*(.*)$")
_DEFINE = re.compile(r"define\s+([\w.-]+)\s*=?$")
# Behind the beginning of a path: what nobody has set is nothing there.
_UNSET = re.compile(r"(?<=\s)(/[\w./-]*/)\$\{[A-Za-z_]\w*\}")
_MAKE_VALUES = frozenset(
    ("-f", "-C", "-I", "-j", "-l", "-o", "-W", "-E", "--file", "--makefile", "--directory", "--eval")
)


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
    return (named if named[:1] == "/" else prefix + named,) if named else tuple(prefix + name for name in MAKEFILES)


def make_folder(command: Command) -> str:
    """The folder that `make` is told to stand in; empty where it is told none."""
    folders = [value for option, value in command.followed if option in ("-C", "--directory")]
    folders += [word.partition("=")[2] for word in command.words if word.startswith("--directory=")]
    return "/".join(folders)


def included(text: str, text_of: Callable[[str], str | None], depth: int = 0) -> str:
    """The text with those files in it that it includes, as far as they are known."""
    lines = []
    for line in text.splitlines():
        found = _INCLUDE.fullmatch(line) if depth < _MAX_INCLUDED else None
        texts = [text_of(name) for name in found.group(1).split()] if found else []
        lines += [line, *(included(more, text_of, depth + 1) for more in texts if more is not None)]
    return "\n".join(lines)


def told(command: Command) -> Iterator[str]:
    """The lines that `make` is told with `--eval`, by a word or in the variable of its options."""
    for option, value in command.followed:
        if option in ("--eval", "-E"):
            yield value
        elif option.startswith(("--eval=", "-E")):
            yield option.removeprefix("--eval=").removeprefix("-E")
    for name, value in command.assigns:
        if name in ("MAKEFLAGS", "GNUMAKEFLAGS"):
            yield from (found.replace("\\", "") for found in re.findall(r"(?:--eval=|-E ?)((?:\\.|[^\\\s])+)", value))


def make_scripts(text: str, command: Command) -> list[str]:
    """The recipe lines that `make`, called like this, would run: those of its targets and of what they need."""
    targets, overrides = _wanted(command)
    rules, variables, shells = _parse(text)
    files = makefiles(command)
    variables |= {"MAKE": f"make -f {files[0]}" if len(files) == 1 else "make", **overrides}
    first = next((name for name in rules if name[:1] != "." and "%" not in name), None)
    return [*shells, *_recipes(targets or ([first] if first else []), rules, variables)]


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


def _parse(text: str) -> tuple[dict[str, tuple[list[str], list[str]]], dict[str, str], list[str]]:
    """Each target's prerequisites and recipe lines; the variables; the scripts that run while it is read."""
    rules: dict[str, tuple[list[str], list[str]]] = {}
    variables: dict[str, str] = {}
    shells: list[str] = []
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
            current = [rules.setdefault(name, ([], [])) for name in expanded(names, variables).split()]
            for known, recipe in current:
                known += expanded(needs, variables).replace("|", " ").split()
                recipe += [recipe_line] if recipe_line else []
        if line[:1] != "\t" and "$(shell " in line:
            shells += shell_parts(line, variables)
    return rules, variables, shells


def _recipes(
    targets: list[str], rules: dict[str, tuple[list[str], list[str]]], variables: dict[str, str]
) -> Iterator[str]:
    waiting, seen = list(targets), set[str]()
    while waiting and len(seen) < _MAX_TARGETS:
        name = waiting.pop(0)
        if name in seen:
            continue
        seen.add(name)
        needs, recipe, stem = (*rules[name], "") if name in rules else _by_pattern(name, rules)
        waiting += needs
        own = variables | {"@": name, "<": needs[0] if needs else "", "^": " ".join(needs), "*": stem}
        yield from (_UNSET.sub(r"\1", expanded(line.lstrip("@-+ "), own)) for line in recipe)


def _by_pattern(name: str, rules: dict[str, tuple[list[str], list[str]]]) -> tuple[list[str], list[str], str]:
    for pattern, rule in rules.items():
        before, sign, after = pattern.partition("%")
        if sign and name.startswith(before) and name.endswith(after):
            return [], rule[1], name[len(before) : len(name) - len(after)]
    return [], [], ""
