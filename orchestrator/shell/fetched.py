"""Files and folders that came from elsewhere, through all that a script makes of them, and whether it runs them.

Rule: what is made of something fetched counts as fetched: copies, what is unpacked, decoded, compiled or filtered.
Reading it as data is not running it.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from itertools import pairwise

from orchestrator.shell.builders import builds, folders_named, looks_for
from orchestrator.shell.command import Command
from orchestrator.shell.downloads import carved_files, carves, fetched_files, fetched_folder, fetches, path_of
from orchestrator.shell.shells import SHELLS, STDIN

_RUNNERS_WORDS = """
    sh bash dash zsh ksh ash mksh fish csh tcsh nu pwsh node nodejs deno bun tsx ts-node perl ruby php lua luajit
    python python3 pypy pypy3 tclsh wish expect Rscript julia source . osascript groovy scala kotlin elixir escript
    runghc ocaml racket guile sbcl clojure bb swipl pytest wine mono wasmtime
"""
_RUNNERS = frozenset(_RUNNERS_WORDS.split())
# Whatever these are given as a file, they carry out.
_TAKERS_WORDS = """
    make gmake cmake java ansible-playbook psql mysql mariadb sqlite3 vim vi nvim ex ed emacs gdb lldb
    docker docker-compose podman pip pip3 gem npm yarn pnpm cargo dpkg rpm apt apt-get dnf yum snap flatpak installer
    go kubectl oc terraform tofu helm at batch crontab insmod modprobe launchctl systemctl swift kotlinc nim dotnet R
    octave gnuplot m4 tox nox just task rake bundle gradle mvn puppet pulumi nix-env nix-build brew wish jshell
    jrunscript tcc ghc ghci irb iex erl crystal xonsh systemd-run tmux screen dbus-send open xdg-open alacritty code
"""
_TAKERS = frozenset(_TAKERS_WORDS.split())
# These take programs in files by an option, data by operands.
_FILED = frozenset(("awk", "gawk", "mawk", "nawk", "sed", "gsed", "jq"))
_MAY_FETCH_WORDS = """
    git hg svn gh glab pip pip3 npm rsync docker podman nerdctl kubectl oc bzr lxc limactl multipass degit
    tiged jj fossil cvs sshfs
"""
_MAY_FETCH = frozenset(_MAY_FETCH_WORDS.split())
# Options of interpreters that take the next word, which is no file to be run.
_ONE_MORE = frozenset(("-c", "-e", "-W", "-X", "-E", "-O", "-o", "+o", "+O", "-C", "-m", "--rcfile", "--init-file"))
_IMPORTS = re.compile(r"\b(?:import|from)\s+([A-Za-z_]\w*)|import_module\(\s*['\"]([\w.]+)")
_LOADS = re.compile(
    r"(?i)exec|hook|command|cmd|script|plugin|preload|require|import|loader|init|rcfile|complete|handler|prog|shell|run"
    r"|call|filter|pager|editor|askpass|compiler|linker|wrapper|path|env$|ssh|config|profile|startup|options|opts|lib"
)
_CODE_VALUES_TEXT = "-jar -cp -classpath -r -l -S -x -f -L -P -u -s -i -p -M -I --file"
_CODE_VALUES = frozenset(_CODE_VALUES_TEXT.split())
_UNPACKERS = re.compile(
    r"(?:bsd|g)?tar|unzip|unar|7z\w*|bsdcpio|cpio|unrar|ar|dpkg-deb|rpm2cpio|gunzip|unxz|bunzip2|unzstd"
)
_PACKED = re.compile(r"(?:\.(?:tar|tgz|zip|gz|xz|bz2|zst|7z|tbz2?|txz|whl|crate|gem))+$")
_COMPILERS = re.compile(
    r"(?:\S+-)?(?:gcc|g\+\+|cc|c\+\+|clang(?:\+\+)?|rustc|ghc|ocamlc|ocamlopt|gfortran|nim|dmd|ldc2|fpc)"
)
_OUTPUT = (
    "-o",
    "--output",
    "-O",
    "--out",
    "-d",
    "-C",
    "--directory",
    "--target-directory",
    "-t",
    "--out-dir",
    "--dest",
)


@dataclass(slots=True)
class Fetched:
    """`files` may hold wildcards; in `unpacked` something was unpacked whose names only a run would tell."""

    files: set[str] = field(default_factory=set)
    folders: set[str] = field(default_factory=set)
    unpacked: set[str] = field(default_factory=set)

    def __bool__(self) -> bool:
        return bool(self.files or self.folders or self.unpacked)

    def holds(self, name: str, folder: str) -> bool:
        """Whether a file, or the folder that it lies in, came from elsewhere."""
        if not name or name in STDIN:
            return False
        for path in _paths(name, folder):
            if path in self.files or any(path == base or path.startswith(f"{base}/") for base in self.folders):
                return True
            if any("*" in known and fnmatchcase(path, known) for known in self.files):
                return True
            if "*" in path and any(fnmatchcase(known, path) for known in self.files):
                return True
        return False

    def note(self, command: Command, folder: str) -> None:
        """Take in what a command fetches, and what it makes of what was fetched."""
        if carves(command):
            self.add(carved_files(command), folder)
        gets = itself = fetches(command)
        if command.upstream or command.fed:
            fed = command.fed if any(item.op == "<" for item in command.redirects) else ()
            gets = itself or any(map(fetches, (*command.upstream, *fed)))
        if not (gets or self or command.name in _MAY_FETCH):
            return
        if gets or command.name in _MAY_FETCH:
            self.add(fetched_files(command, itself), folder)
            if clone := fetched_folder(command):
                self.folders.update(_paths(clone, folder))
        if gets or (self and self.reads(command, folder)):
            self.add(_made(command, gets), folder)
            if _UNPACKERS.fullmatch(command.name) and not _into(command):
                self.unpacked.add(posixpath.normpath(folder))

    def add(self, names: Iterator[str], folder: str) -> None:
        for name in names:
            if name.rstrip("/.") and not name.startswith("/dev/"):
                self.files.update(_paths(name, folder))
                self.folders.update(_paths(name, folder))

    def reads(self, command: Command, folder: str) -> bool:
        """Whether what a command prints or makes is made of something fetched."""
        # A stage knows all before it, so that none needs to be asked about its own.
        stages = (command, *command.upstream)
        given = [item.target for stage in stages for item in stage.redirects if item.op == "<"]
        given += [word for stage in stages for word in stage.words[1:] if word[:1] != "-"]
        return any(self.holds(name, folder) for name in given)

    def runs(self, command: Command, folder: str) -> bool:
        """Whether a command runs something that was fetched."""
        words = command.words
        if not words:
            return False
        if "/" in words[0] and (self.holds(words[0], folder) or self.unpacked_here(words[0], folder)):
            return True
        if any(value and _LOADS.search(key) and self.holds(value, folder) for key, value in _keyed(command)):
            return True
        if command.name in _RUNNERS or command.name.startswith(("python", "pypy")):
            return self.interprets(command, folder)
        if command.name in _FILED:
            return any(option in ("-f", "--file") and self.holds(value, folder) for option, value in pairwise(words))
        if command.name in _TAKERS and any(self.holds(word, folder) for word in _values(command)):
            return True
        return builds(command) and self.stands_in(command, folder)

    def unpacked_here(self, program: str, folder: str) -> bool:
        """Whether a program may be one of those that were unpacked where it is looked for."""
        path = posixpath.normpath(posixpath.join(folder, program))
        return any((base == "." and path[:1] not in "/.~$") or path.startswith(f"{base}/") for base in self.unpacked)

    def interprets(self, command: Command, folder: str) -> bool:
        words = command.words
        first = next(
            (at for at, word in enumerate(words) if at and word[:1] != "-" and words[at - 1] not in _ONE_MORE), 0
        )
        if (
            first
            and "-m" not in words[1:first]
            and (
                self.holds(words[first], folder)
                or (command.name in SHELLS and self.unpacked_here(words[first], folder))
            )
        ):
            return True
        before = words[: first or len(words)]
        if any(option in _CODE_VALUES and self.holds(value, folder) for option, value in pairwise(before)):
            return True
        if any(item.op.startswith("<") and self.holds(item.target, folder) for item in command.redirects):
            return True
        if not first and any(self.reads(source, folder) for source in command.upstream):
            return True
        return any(self.holds(f"{name}.py", folder) for name in _modules(command)) or (
            "-m" in words[:4] and self.holds(".", folder)
        )

    def stands_in(self, command: Command, folder: str) -> bool:
        """Whether a builder stands in a folder that was fetched, is told to work in one, or finds its file fetched."""
        if self.holds(folder or ".", "") and folder:
            return True
        if any(self.holds(name, folder) for name in folders_named(command)):
            return True
        here = posixpath.normpath(folder)
        if any(base != here and (base == "." or here.startswith(f"{base}/")) and here != "." for base in self.unpacked):
            return True
        return any(posixpath.dirname(file) in ("", folder) and looks_for(command, file) for file in self.files)


def _paths(name: str, folder: str) -> set[str]:
    """A file's name as it is written, and from where the script began."""
    return {path_of(name), path_of(posixpath.join(folder, name))}


def _modules(command: Command) -> Iterator[str]:
    """Python's modules by the name that a command has for them."""
    for option, value in pairwise(command.words):
        if option in ("-m", "-p"):
            yield value
        elif option[:1] == "-" and option[-1:] == "c":
            yield from (one or other for one, other in _IMPORTS.findall(value))


def _keyed(command: Command) -> Iterator[tuple[str, str]]:
    """Options and variables with their values."""
    yield from command.assigns
    for word in command.words[1:]:
        key, mark, value = word.partition("=")
        if mark and word[:1] == "-":
            yield key, value.partition("=")[2] if value[:5] in ("exec=", "path=") else value
    if command.name in ("export", "declare", "typeset"):
        yield from ((key, value) for key, _, value in (word.partition("=") for word in command.words[1:]))


def _values(command: Command) -> Iterator[str]:
    """The files that a command is given: operands, options' values, what is read in."""
    for word in command.words[1:]:
        yield word.partition("=")[2] if word[:1] == "-" else word
    yield from (item.target for item in command.redirects if item.op == "<")


def _into(command: Command) -> list[str]:
    return [value for option, value in pairwise(command.words) if option in ("-C", "-d", "--directory")]


def _made(command: Command, gets: bool) -> Iterator[str]:
    """What a command makes of what it reads."""
    name, words = command.name, command.words
    yield from (item.target for item in command.redirects if item.writes)
    operands = [word for word in words[1:] if word[:1] != "-"]
    if name == "dd":
        yield from (word[3:] for word in words if word.startswith("of="))
    elif name in ("tee", "sponge"):
        yield from operands
    elif name in ("cp", "mv", "install", "ln", "link", "ditto", "rsync") and len(operands) > 1:
        yield operands[-1]
        yield from (f"{operands[-1]}/{posixpath.basename(word)}" for word in operands[:-1])
    elif not gets or _UNPACKERS.fullmatch(name):
        yield from (value for option, value in pairwise(words) if option in _OUTPUT and value[:1] != "-")
        yield from (
            word.partition("=")[2] for word in words if word.startswith(("--output=", "--directory=", "--out="))
        )
        yield from (stem for word in operands if (stem := _PACKED.sub("", word)) != word)
        if _COMPILERS.fullmatch(name):
            yield "a.out"
            yield from (posixpath.splitext(word)[0] for word in operands)
