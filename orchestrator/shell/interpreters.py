"""Interpreters: where in a command their program stands, and what that amounts to.

Rule: code on a command line counts with all that it does; of code in a file only what it surely does.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import pairwise

from orchestrator.shell.ansible import playbook_commands
from orchestrator.shell.builders import BUILDERS, holds_tasks, is_program
from orchestrator.shell.code_calls import called_commands, sent
from orchestrator.shell.code_deeds import told_by_words
from orchestrator.shell.code_folds import UNKNOWN
from orchestrator.shell.code_home import with_names_known
from orchestrator.shell.code_patterns import (
    awk_commands,
    named_in,
    program_commands,
    remote_shell,
    with_names,
    with_variables,
)
from orchestrator.shell.command import Command
from orchestrator.shell.containers import compose_commands
from orchestrator.shell.database_code import database_commands
from orchestrator.shell.environment_facts import environment_sent
from orchestrator.shell.escapes import sed_escapes
from orchestrator.shell.fetched_code import with_origin
from orchestrator.shell.finds import named_by
from orchestrator.shell.known import State, file_text, input_of
from orchestrator.shell.python_code import python_commands
from orchestrator.shell.read import LARGEST_SCRIPT
from orchestrator.shell.recipes import recipe_lines, settings_of, settled
from orchestrator.shell.shells import SHELLS, STDIN

_INTERPRETER = re.compile(r"#!\s*(?:/\S*/)?(?:env\s+(?:-S\s+)?)?([\w.+-]+)")
_CODE_OPTIONS: dict[str, tuple[str, ...]] = {
    "node": ("-e", "--eval", "-p", "--print", "-pe"), "perl": ("-e", "-E", "-ne", "-pe", "-le", "-lne", "-we"),
    "ruby": ("-e", "-ne", "-pe"), "php": ("-r", "-B", "-R"), "lua": ("-e",), "luajit": ("-e",), "osascript": ("-e",),
    "Rscript": ("-e",), "R": ("-e",), "julia": ("-e", "-E"), "expect": ("-c",), "tclsh": (), "wish": (),
    "emacs": ("--eval", "-eval", "-e", "--execute"), "groovy": ("-e",), "jrunscript": ("-e",), "elixir": ("-e",),
    "octave": ("--eval",), "octave-cli": ("--eval",), "crystal": ("eval",), "irb": (), "jjs": (), "scala": ("-e",),
}  # fmt: skip
_CODE_OPTIONS |= dict.fromkeys(("tsx", "ts-node", "esno", "vite-node"), ("-e", "--eval"))
_CODE_OPTIONS |= {"nodejs": _CODE_OPTIONS["node"], "bun": _CODE_OPTIONS["node"], "deno": ("eval", "-e")}
# Code that is all one variable or substitution: a run would tell what it is.
_MADE_UP = re.compile(r"\$(?:[A-Za-z_@*\d]\w*|\{[^}]*\}|\(.*\))\s*$|`.*`\s*$", re.DOTALL)
_CLUSTER = re.compile(r"-[a-zA-Z0-9]{2,6}")
_READ_WELL = frozenset(
    ("node", "nodejs", "bun", "deno", "tsx", "ts-node", "esno", "vite-node", "perl", "ruby", "php", "lua", "luajit")
)
# Read by patterns alone: their calls look like none that `code_calls` knows.
_PATTERNED = frozenset(("osascript", "Rscript", "tclsh", "expect", "wish", "emacs"))
_AWK_VARIABLE = re.compile(r"([A-Za-z_]\w*)=([^={}]*)")
_IMPORTED = re.compile(r"\b(?:import|from)\s+([\w.]+)")
_AWK = frozenset(("awk", "gawk", "mawk", "nawk"))
_LANGUAGES = (
    ("py pyw", "python3"), ("js mjs cjs ts tsx jsx mts cts", "node"), ("pl pm", "perl"),
    ("rb ru rake Rakefile Gemfile Vagrantfile Guardfile", "ruby"), ("php", "php"), ("lua", "lua"), ("awk", "awk"),
    ("sed", "sed"), ("sh bash envrc", "sh"), ("npmrc yarnrc", "npm"), ("config.toml", "cargo"),
    ("Makefile makefile GNUmakefile mk", "make"),
)  # fmt: skip
# Files of settings, as the commands that would make the same settings.
_SETTINGS = {"npm": ("config", "set"), "cargo": ("--config",)}
# Whatever such a file says, people read it, or it happens in a container of its own.
_DOCUMENTS = (
    "Dockerfile",
    "Containerfile",
    ".md",
    ".rst",
    ".txt",
    ".adoc",
    ".html",
    ".csv",
    ".log",
    ".tex",
    ".org",
    ".sql",
    ".patch",
    ".diff",
)
_PLAYERS = frozenset(("ansible-playbook", "ansible-pull", "ansible-runner", "ansible-navigator"))
_ENDINGS = {ending: language for endings, language in _LANGUAGES for ending in endings.split()}
ELF = "\x7fELF"
"""How machine code begins: the kernel runs it by itself, and only a shell that is handed it takes it for a script."""


def _is_python(name: str) -> bool:
    return name.startswith(("python", "pypy", "ipython"))


def is_interpreter(name: str) -> bool:
    return name in _CODE_OPTIONS or name in _AWK or _is_python(name)


def is_read_well(name: str) -> bool:
    return name in _READ_WELL or name in _AWK or _is_python(name)


def by_first_line(text: str, command: Command, on_disk: bool) -> list[Command | str]:
    """What a script file amounts to, by the interpreter that its `#!` line names. `on_disk`: the script that runs it
    has not written it."""
    via = (*command.via, command.name)
    if text.startswith(ELF):
        return []
    interpreter = _INTERPRETER.match(text)
    name = interpreter.group(1) if interpreter else "sh"
    if _is_python(name):
        commands = python_commands(text, via, command.words[1:], at_worst=not on_disk)
        return _definite(commands) if on_disk else commands
    return [text] if name in SHELLS else list(_program(text, name, via))


def _program(text: str, name: str, via: tuple[str, ...]) -> Iterator[Command | str]:
    """What a program in a file does, by the name of the language's interpreter."""
    if _is_python(name):
        yield from _definite(python_commands(text, via, at_worst=False), ("python-fork", "python-send"))
    elif name in _AWK:
        yield from awk_commands(text, via)
        yield from called_commands(text, name, via)
    elif name in ("sed", "gsed"):
        yield from sed_escapes(Command(("sed", text), ""))
    elif name in SHELLS:
        yield text
    elif name in _SETTINGS:
        yield from (Command((name, *_SETTINGS[name], setting), text, via=via) for setting in settings_of(text))
    elif name in _CODE_OPTIONS:
        yield from program_commands(text, name, via) if name in _PATTERNED else called_commands(text, name, via)
    elif name != "make":  # which says itself what of its files it needs: see `projects`
        yield from compose_commands(text, via)
        yield from playbook_commands(settled(text), via) if via[-1] in _PLAYERS else ()
        yield from recipe_lines(text)


def file_commands(path: str, text: str, via: tuple[str, ...]) -> Iterator[Command | str]:
    """What a file amounts to that the last of `via` carries out, as far as its name, its first line, or that program
    says in what language."""
    found = _INTERPRETER.match(text)
    base = posixpath.basename(path)
    name = found.group(1) if found else language_of(path)
    if name or not (is_program(base) or base.endswith(_DOCUMENTS)):
        yield from with_origin(text, _program(text, name, via), via)
        if name not in ("", "make"):
            yield from named_in(text, via)
            yield from told_by_words(text, via)
        if is_read_well(name) and holds_tasks(base):
            yield from recipe_lines(with_names_known(text))


def language_of(path: str) -> str:
    """The interpreter of the language that a file is in, by its name; empty where none is known."""
    base = posixpath.basename(path)
    return _ENDINGS.get(base, _ENDINGS.get(base.rpartition(".")[2], ""))


def _definite(commands: list[Command | str], facts: tuple[str, ...] = ("python-fork",)) -> list[Command | str]:
    """Of a program in a file, what it surely does: that it computes something is no news there."""
    return [
        item
        for item in commands
        if isinstance(item, str)
        or not ((item.name.startswith("python-") and item.name not in facts) or "$unknown" in item.words)
    ]


def interpreted(command: Command, state: State) -> list[Command | str]:
    """What an interpreter's program amounts to, where it is given on the command line or its input."""
    code, via = _code(command, state), (*command.via, command.name)
    if code is None:
        return list(_module(command, via)) if _is_python(command.name) else []
    state.found.codes.append(next(_operands(command), "") if command.name in _AWK else code)
    return list(with_origin(" ".join((code, *command.words[1:3])), _read(code, command, state, via), via))


def _read(code: str, command: Command, state: State, via: tuple[str, ...]) -> list[Command | str]:
    if len(code) > LARGEST_SCRIPT:  # bundles; and only what code in a file surely does would count
        return []
    if _MADE_UP.match(code) and any(command.words[at] == code for at in command.expands):
        return [Command((code,), code, (0,), via=via)]
    on_disk = code in state.from_disk
    variables = {**state.made.variables, **dict(command.assigns)}
    code = with_variables(code, variables) if variables else code
    # Of what is not read well, the words and the input are read by patterns as those of any program are.
    read_again = not (on_disk or command.fed or is_read_well(command.name))
    if command.name in _PATTERNED:
        return [] if read_again else list(program_commands(code, command.name, via))
    stored = [] if on_disk else list(database_commands(code, via))
    if _is_python(command.name):
        commands = python_commands(code, via, _arguments(command, code), state.files, not on_disk)
        facts = [*remote_shell(code, via), *environment_sent(code, via)]
        return _definite(commands) if on_disk else [*commands, *stored, *facts]
    listed = named_by(command.upstream) if command.upstream else []
    commands = called_commands(code, command.name, via, listed[0][0] if listed else UNKNOWN, not on_disk)
    if command.name in _AWK:
        commands = [*awk_commands(code, via), *commands]
    # A program in a file names much that it does not touch.
    if on_disk or read_again:
        return [*commands, *stored]
    named = list(named_in(code, via))
    return [*commands, *stored, *named, *sent(code, named)]


def _arguments(command: Command, code: str) -> tuple[str, ...]:
    """What stands behind the code, or behind the file that holds it."""
    words = command.words
    at = (
        words.index(code)
        if code in words
        else next((at for at in range(1, len(words)) if words[at][:1] != "-"), len(words))
    )
    return words[at + 1 :]


def _operands(command: Command) -> Iterator[str]:
    """Of awk's operands the first is its program, the others are files."""
    for before, word in pairwise(command.words):
        if word[:1] != "-" and before not in ("-F", "-v", "-f"):
            yield word


def _module(command: Command, via: tuple[str, ...]) -> Iterator[Command]:
    """`python -m pytest` is `pytest`, where that is a program of its own too."""
    at = next((at for at, word in enumerate(command.words) if word == "-m"), 0)
    if at and command.words[at + 1 : at + 2] and command.words[at + 1] in BUILDERS and (inner := command.tail(at + 1)):
        yield replace(inner, via=via)


def _modules_text(names: Iterable[str], state: State) -> str | None:
    """The text of those modules that the script itself has written."""
    paths = (f"{name.replace('.', '/')}{end}" for name in names for end in (".py", "/__init__.py", "/__main__.py"))
    texts = [state.files[path] for path in paths if path in state.files]
    return "\n".join(texts) if texts else None


def _code(command: Command, state: State) -> str | None:
    words = command.words
    if command.name in _AWK:
        files = [value for option, value in pairwise(words) if option in ("-f", "--file")]
        if files:
            return "\n".join(filter(None, (file_text(command, name, state) for name in files)))
        found = filter(None, map(_AWK_VARIABLE.fullmatch, words[1:]))
        names = {item.group(1): item.group(2) for item in found}
        return with_names(" ".join(word for word in words[1:] if not _AWK_VARIABLE.fullmatch(word)), names)
    if _is_python(command.name):
        for at, word in enumerate(words[1:], 1):
            if word[:1] == "-" and word[:2] != "--" and "c" in word[1:]:
                attached = word[word.index("c") + 1 :]
                code = attached or (words[at + 1] if at + 1 < len(words) else None)
                more = _modules_text(_IMPORTED.findall(code), state) if code and state.files else None
                return f"{more}\n{code}" if more else code
            if word == "-m":
                if (module := _modules_text(words[at + 1 : at + 2], state)) is not None:
                    return module
                given = words[at + 2 :] if words[at + 1 : at + 2] == ("timeit",) else ()
                return "\n".join(item for item in given if not re.fullmatch(r"-\w*|\d+", item)) or None
            if word[:1] != "-":
                break
    else:
        options = _CODE_OPTIONS[command.name]
        short = {option for option in options if len(option) == 2}
        codes = [
            value
            for option, value in pairwise(words[1:])
            if option in options or (_CLUSTER.fullmatch(option) and f"-{option[-1]}" in short)
        ]
        codes += [word.partition("=")[2] for word in words[1:] if word.startswith("--eval=")]
        codes += [word[2:] for word in words[1:] if word[:2] in short and re.search(r"\W", word[2:])]
        if codes:
            return "\n".join(codes)
    operands = [word for word in words[1:] if word[:1] != "-" or word == "-"]
    if command.name in ("deno", "bun") and operands[:1] in (["run"], ["test"], ["x"]):
        del operands[0]
    if not operands or operands[0] in STDIN:
        return None if "-m" in words else input_of(command, state)
    return file_text(command, operands[0], state)
