"""Code in the arguments, the input and the files of programs that nobody calls interpreters: gdb, sqlite3, nmap, pip.

Rule: whatever a program is, text that reads like code is taken for code, except where a program's arguments are known
to be data.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from itertools import pairwise

from orchestrator.shell.ansible import rehearses
from orchestrator.shell.builders import builds, is_idle, is_owned, is_program, is_source, is_test, looks_for
from orchestrator.shell.code_deeds import without_samples
from orchestrator.shell.code_patterns import patterned_commands, with_variables
from orchestrator.shell.command import Command
from orchestrator.shell.downloads import path_of
from orchestrator.shell.fetched_code import with_origin
from orchestrator.shell.interpreters import file_commands, is_read_well, language_of
from orchestrator.shell.known import Made
from orchestrator.shell.prints import received
from orchestrator.shell.recipes import settled
from orchestrator.shell.shells import ALL_SHELLS, SHELL_NAME, STDIN
from orchestrator.shell.starters import tmpfiles
from orchestrator.shell.strangers import TEXT_TAKERS

_DATA = TEXT_TAKERS | {
    "print", "http", "https", "xh", "while", "function", "coproc", "shift", "open", "xdg-open", "remote-shell",
}  # fmt: skip
_INTERPRETERS_TEXT = """
    gdb lldb vim vi view nvim rvim rview vimdiff gvim ex ed red emacs emacsclient nano gimp sqlite3 sqlite psql
    mysql mariadb sqlplus mongo mongosh wish tclsh expect jrunscript jjs jshell groovy scala kotlinc julia R Rscript
    octave octave-cli gnuplot maxima irb pry ghci ghc runghc erl iex elixir swift tex latex pdftex pdflatex xetex
    luatex m4 bc dc ftp lftp tftp sftp smbclient telnet nmap rpm rpmquery rpmdb rpmverify puppet ansible facter rake
    bundle bundler gem easy_install pip pip3 cpan perlbug pdb ipython python-fu sage clisp sbcl guile racket make
    gmake cmake ninja gcc g++ cc clang groff troff nroff soelim pic eqn man service pg fzf cobc runscript minicom
    msfconsole byebug crash trace-cmd systemtap stap dtrace bpftrace osascript original-awk busybox clojure clj
    crystal nim dart java rustc go
"""
INTERPRETERS = frozenset(_INTERPRETERS_TEXT.split())
# How programs that are no shells are asked for one: `!cmd`, `:!cmd`, `\! cmd`, `.shell cmd`, `shell cmd`, `.sy cmd`.
_ESCAPES = re.compile(
    r"(?m)(?:^|[;,=|'\"{])\s*(?:\d+|%|\$)?(?:[:\\.]?!(?!=|/)|[:\\.]?!(?=/)|[.:]?(?:shell|system|sh)\s|\.sy\s|\.pso\s|:ter(?:minal)?\s)"
    r"\s*([^\s=][^\n]*)"
)
_TOLD = re.compile(
    r"(?m)\\?write18\s*\{([^}]*)\}|\be?syscmd\(\s*[`'\"(\[]*([^)'\"]*)|%\(([^)]*)\)|\$\(shell\s+([^)]*)\)|"
    rf"(?:^|[;\[{{\s])(?:exec|spawn|system|shell|[:~.]?!)\s*((?:/\S*/)?{SHELL_NAME}\b[^;\]}}\n\"']*)|"
    r"\b(?:shell|command|raw):\s*([^\]}\n\"']+)"
)
_AT_A_TERMINAL = re.compile(r"\s*\d*[<>]&?\s*(?:/dev/tty\w*|@?std\w+|\$\(tty\))")
_MAY_BE_CODE = re.compile(r"[\s(!{]")
_SHELL_FIRST = re.compile(rf"\s*(?:/usr)?(?:/local)?/bin/{SHELL_NAME}\b")
_ASKS_FOR_CODE = re.compile(r"--?(?:exec\w*|eval\w*|command|cmd|run|script|batch|init-\w+|ex)=(?=.)")
_SETTING = re.compile(r"[\w-]+(?:\s*=\s*.+)?")
_EQUALS = re.compile(r"\s*=\s*")
_MAX_SETTINGS = 60
# These start a program of their own to reach another machine.
_CARRIERS = frozenset(("scp", "sftp", "rsync"))
_WORTH_READING = re.compile(r"""[("'!{\\`]|\bstate=|\s[/~:.]|^:?\w+\s""")


def foreign_commands(command: Command, made: Made, files: Mapping[str, str], folder: str) -> Iterator[Command | str]:
    """What a program that is no known interpreter is told to run, delete, read and write by code. `files` are those
    that the script has written, by their names; `folder` is where it stands, as far as that is known."""
    name = command.name
    if made.runnable and (name not in _DATA or name in _CARRIERS):
        yield from _given_programs(command, made)
    if not name or (name in _DATA and not (files and builds(command))):
        return
    # What its own settings amount to is the program once more: that reads them no second time.
    if not rehearses(command) and command.via[-1:] != (name,):
        yield from _in_files(command, made, files, folder)
    if name in _DATA:
        return
    takes_code = name in INTERPRETERS
    language = name if takes_code else ""
    via = (*command.via, name)
    variables = {**made.variables, **dict(command.assigns)}
    for word in command.words[1:]:
        if len(word) > 3 and (takes_code or _MAY_BE_CODE.search(word)):
            asked = _ASKS_FOR_CODE.match(word)
            code = word[asked.end() :] if asked else word
            if _WORTH_READING.search(code):
                yield from _told(with_variables(code, variables), language, via, takes_code or bool(asked))
    if (command.upstream or command.stdin) and (text := received(command)):
        yield from _told(with_variables(text, variables), language, via, takes_code)


def _in_files(command: Command, made: Made, files: Mapping[str, str], folder: str) -> Iterator[Command | str]:
    """What the files do that the script has written and that a command is given, or looks for: each read in its own
    language, or by patterns."""
    if is_idle(command):
        return
    takes_code = command.name in INTERPRETERS
    via = (*command.via, command.name)
    variables = {**made.variables, **dict(command.assigns)}
    for path, text in _handed(command, files, folder):
        text = with_variables(text, variables)
        if is_test(path):
            text = without_samples(text)
        known = list(file_commands(path, text, via))
        yield from known
        if path in made.runnable or text.startswith("#!/bin/"):
            yield text
        if command.name == "systemd-tmpfiles":
            yield from tmpfiles(text)
        # Where these words are themselves such options, the file has been read.
        if command.via[-1:] != (command.name,) and (options := _as_options(text)):
            yield Command((command.name, *options), text, via=via)
        if not known and not is_read_well(language_of(path)):
            language = command.name if takes_code else "cc" if is_program(path) else ""
            yield from _told(settled(text), language, via, takes_code)


def _handed(command: Command, files: Mapping[str, str], folder: str) -> Iterator[tuple[str, str]]:
    """The texts that a command gets in files, or as a file on its input."""
    if files:
        yield from _named_files(command, files, folder)
    if not STDIN.isdisjoint(command.words[1:]) and (text := received(command)):
        yield "-", text


def _as_options(text: str) -> list[str]:
    """A file of nothing but settings is what the same options would be on the command line; else none."""
    lines = [line.strip() for line in text.splitlines()[:_MAX_SETTINGS]]
    lines = [line for line in lines if line and line[0] not in "#;["]
    settings = ["--" + _EQUALS.sub("=", line, count=1).replace('"', "") for line in lines if _SETTING.fullmatch(line)]
    return settings if len(settings) == len(lines) and "=" in text else []


def _given_programs(command: Command, made: Made) -> Iterator[Command]:
    """A fact for rules: a program that the script itself has made is given to another one to start."""
    for before, word in pairwise(command.words):
        value = word.partition("=")[2] if word[:2] == "--" else word if before[:1] == "-" else ""
        if value and posixpath.normpath(value) in made.runnable:
            yield Command(("made-program",), command.text, via=(*command.via, command.name))


def _told(code: str, language: str, via: tuple[str, ...], takes_code: bool) -> Iterator[Command | str]:
    scripts = [found.group(1).rstrip("'\"") for found in _ESCAPES.finditer(code)] if takes_code else []
    scripts += [next((text for text in found.groups() if text), "") for found in _TOLD.finditer(code)]
    if _SHELL_FIRST.match(code):
        scripts.append(code)
    for script in scripts:
        # A shell that is sent to the terminal for its orders has none.
        yield _AT_A_TERMINAL.sub("", script).strip()
    yield from with_origin(code, patterned_commands(code, language, via), via)


def _named_files(command: Command, files: Mapping[str, str], folder: str) -> Iterator[tuple[str, str]]:
    """Files that the script has written and that a command names: as a word, in an option or a variable, by their
    folder, or because such a program looks for them."""
    values = [*command.words[1:], *(value for _, value in command.assigns)]
    values += [value for word in values if (value := word.partition("=")[2])]
    named = {path_of(posixpath.join(folder, path_of(value))) for value in values if value and value[:2] != "--"}
    here = posixpath.normpath(folder)
    modules = {f"{value}.py" for option, value in pairwise(command.words) if option == "-m"}
    modules |= {f"{value.replace('.', '/')}.py" for _, value in command.assigns}
    folders = tuple(f"{posixpath.normpath(value)}/" for _, value in command.assigns if value)
    for path, text in tuple(files.items()):
        parent = posixpath.dirname(path)
        sought = (looks_for(command, path) or (builds(command) and is_source(path) and not is_owned(path))) and (
            here == "." or path.startswith(f"{here}/") or parent in named
        )
        given = path in named or path in modules or (bool(folders) and path.startswith(folders))
        if given or sought or (parent and parent in named):
            yield path, text


def shell_on_a_pipe(command: Command, made: Made) -> Iterator[Command]:
    """A fact for rules: a shell that takes its orders from a named pipe of the script's own, whoever fills that."""
    if not made.pipes or command.name not in ALL_SHELLS:
        return
    sources = [item.target for item in command.redirects if item.op.startswith("<")]
    sources += [word for item in (command, *command.upstream) for word in item.words[1:]]
    if any(posixpath.normpath(source) in made.pipes for source in sources):
        yield Command(("remote-shell",), command.text, via=command.via)
