"""What Python's calls amount to: `shutil.rmtree(x)` is `rm -r x`, `subprocess.run([...])` the program with its words.

Rule: a call is judged by its full name and by the values that it is given, wherever these come from. What is not known
is `$unknown`; a program or a script that is not known is the command `python-dynamic`.
"""

from __future__ import annotations

import posixpath
import re
import shlex
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from orchestrator.shell.command import Command, Redirect
from orchestrator.shell.python_calls import (
    FILES,
    FILES_BY_END,
    FIRST,
    KILL_CALLS,
    METHODS,
    OPENERS,
    PROGRAMS,
    REBOOT_CALLS,
    SCRIPTS,
    SECOND,
    WRITE_METHODS,
    WRITERS,
)
from orchestrator.shell.python_folds import text_of
from orchestrator.shell.python_listings import EVERY_PROCESS
from orchestrator.shell.python_names import Opened, Partly
from orchestrator.shell.python_results import Results
from orchestrator.shell.shells import SHELLS

UNKNOWN = "$unknown"
_ASKS = re.compile(r"(?i)\s*(?:select|explain|with|pragma)\b")
_SQL_METHODS = frozenset(("execute", "executescript", "executemany", "raw", "exec_driver_sql"))
_KILLS = frozenset(("kill", "terminate", "send_signal", "suspend"))
_SENDS_TO_PROGRAM = frozenset(("communicate", "sendline", "stdin.write"))
_WRITE_FLAGS = 3
# Whatever follows, it is one of the orchestrator's own files, or a device.
_BEGINS_BADLY = re.compile(r"(?:\./)?(?:policy|skills|config|state)/|/dev/(?:sd|hd|vd|xvd|nvme|mmcblk|disk|dm-|mapper)")
# What these are handed, they read.
_READS = frozenset(
    ("linecache.getlines", "linecache.getline", "fileinput.input", "fileinput.FileInput", "shutil.make_archive",
     "numpy.fromfile", "numpy.loadtxt", "np.fromfile", "np.loadtxt", "netrc.netrc", "configparser.read")
)  # fmt: skip
_READING = frozenset(("read", "add", "write", "read_csv", "read_json", "read_file", "from_file", "load_file"))
_PATH = re.compile(r"(?:~|/(?!/))[^\n]*")


@dataclass(frozen=True, slots=True)
class Call:
    """One call, all worked out: the full name of the function, empty where it has none; the method and what it is
    called on; the arguments."""

    name: str
    method: str
    own: object
    values: Sequence[object]
    keywords: Mapping[str, object] = field(default_factory=dict)

    def argument(self, at: int) -> object:
        """The first or the second argument, by its place or by a name that such arguments have."""
        if at < len(self.values):
            return self.values[at]
        names = (FIRST, SECOND)[at]
        return next((self.keywords[name] for name in names if name in self.keywords), None)

    def word(self, at: int) -> str:
        return word_of(self.argument(at))


def word_of(value: object) -> str:
    """A value as a word of a command."""
    if isinstance(value, Opened):
        return value.path
    if isinstance(value, Partly) and _BEGINS_BADLY.match(value.text):
        return value.text
    return text_of(value) if isinstance(value, (str, bytes, int, float)) else UNKNOWN


class Deeds(Results):
    """The commands that calls amount to, in their order."""

    def __init__(self, via: tuple[str, ...]) -> None:
        super().__init__()
        self.via = via
        self.found: list[Command | str] = []
        self.mentioned: dict[str, None] = {}
        self.databases: list[str] = []
        self.feeds_shell = False
        self.lists_processes = self.looks_closer = False

    def add(self, *words: str, redirects: tuple[Redirect, ...] = (), forks: bool = False) -> None:
        expands = tuple(at for at, word in enumerate(words) if at and (word[:1] == "~" or "$" in word or "*" in word))
        text = shlex.join(words) if words[0] != "python-code" else "the Python code"
        self.found.append(Command(words, text, expands, redirects=redirects, via=self.via, forks=forks))

    def does(self, call: Call) -> None:
        """Add what a call amounts to, if it amounts to anything."""
        name, method = call.name, call.method
        if name in SCRIPTS:
            self.script(call.argument(0), call)
        elif name in PROGRAMS or name.startswith(("os.exec", "os.spawn")):
            self.program(call)
        elif name in FILES or name.rpartition(".")[2] in FILES_BY_END:
            self.file(FILES.get(name, FILES_BY_END.get(name.rpartition(".")[2], ())), call)
        elif name in OPENERS:
            self.opened(call, call.word(0))
        elif name in WRITERS:
            self.written(call.word(0))
        elif name in ("os.kill", "os.killpg", "signal.pidfd_send_signal"):
            self.killed(call)
        elif name.startswith("os.") and method in ("reboot", "syscall"):
            self.below(call)
        elif not self._of_a_library(call) and not self._of_a_database(call):
            self._of_an_object(call)

    def _of_a_library(self, call: Call) -> bool:
        """Calls of modules that need more than a row in a table; whether it was one."""
        name, method = call.name, call.method
        if name in ("os.chdir", "os.fchdir", "contextlib.chdir"):
            self.moved(call.word(0))
        elif (
            name.startswith("sh.") and name.count(".") == 1 and self.names.get("sh", "sh") == "sh"
        ) or name.startswith("plumbum.cmd."):
            self.add(method or name.rpartition(".")[2], *map(word_of, call.values))
        elif name in ("urllib.request.urlretrieve", "wget.download") and len(call.values) > 1:
            self.add("curl", "-o", word_of(call.values[1]), call.word(0))
        elif name in ("sys.path.insert", "sys.path.append", "site.addsitedir") and call.values:
            path = word_of(call.values[-1])
            self.found.append(
                Command(("python3",), f"PYTHONPATH={path}", assigns=(("PYTHONPATH", path),), via=self.via)
            )
        elif name.startswith("fileinput."):
            for item in _each(call.argument(0)):
                self.written(item) if call.keywords.get("inplace") else self.add("cat", item)
        elif name in _READS:
            self.reads(call.values or ["~/.netrc"])
        elif name == "os.putenv" and len(call.values) > 1:
            self.environment[call.word(0)] = call.values[1]
        elif name == "runpy.run_path":
            self.add("python3", call.word(0))
        elif name == "shutil.unpack_archive":
            self.written(
                call.word(1) if call.argument(1) is not None else word_of(call.keywords.get("extract_dir", "."))
            )
        elif name == "print":
            self._said_into(call.keywords.get("file"), call.argument(0))
        else:
            return False
        return True

    def _of_a_database(self, call: Call) -> bool:
        method, said = call.method, call.argument(0)
        if call.name == "sqlite3.connect":
            self.databases += [call.word(0)]
            self.reads(call.values)
        elif method in _SQL_METHODS and isinstance(said, str):
            if not any("sqlite" in known for known in (*self.mentioned, *self.names.values())):
                self.add("psql", "-c", said)
            elif not _ASKS.match(said):
                # A database is written where not all that is asked of it are questions.
                for path in self.databases:
                    self.written(path)
        elif method == "exec_command" or (method in ("run", "sudo") and "fabric.Connection" in self.names.values()):
            self.add("ssh", "host", *map(word_of, call.values[:1]))
        else:
            return False
        return True

    def _of_an_object(self, call: Call) -> None:
        """Methods, by their names and by what they are called on."""
        method, own = call.method, call.own
        if method in ("put", "upload_file", "storbinary", "putfo", "upload", "fput_object") and call.values:
            self.reads(call.values)
        elif method == "open" and isinstance(own, str):
            self.opened(replace(call, values=(own, *call.values)), own)
        elif method in _READING and not isinstance(own, str) and _PATH.fullmatch(call.word(0)):
            self.reads(call.values)
        elif isinstance(own, Opened) and method in ("write", "writelines"):
            self._said_into(own, call.argument(0))
        elif method == "add_argument" and call.values:
            self._option(call)
        elif method in _SENDS_TO_PROGRAM and self.feeds_shell and isinstance(call.argument(0), (str, bytes)):
            self.found.append(text_of(call.argument(0)))
        elif method in METHODS and not (method == "replace" and len(call.values) != 1):
            if call.name.startswith("pathlib."):
                own, call = call.argument(0), replace(call, values=call.values[1:])
            if method not in ("rename", "replace") or (call.values and own is not None):
                self.file(METHODS[method], replace(call, values=(own, *call.values)))
        elif method in ("extractall", "extract"):
            folder = next((value for key, value in call.keywords.items() if "path" in key), None)
            self.written(
                word_of(folder) if folder is not None else call.word(method == "extract") if call.values else "."
            )
        elif method in WRITE_METHODS:
            self.written(word_of(own if own is not None else call.argument(0)), call.argument(0))
        elif method in _KILLS and own in (EVERY_PROCESS, 1):
            self.add("kill", "-9", "1" if own == 1 else "-1")

    def _option(self, call: Call) -> None:
        """What `argparse` gives: what stands on the command line, or the default."""
        names = [word_of(value).lstrip("-") for value in call.values]
        given = self.fields.get("argv")
        words = list(map(word_of, given[1:])) if isinstance(given, list) else []
        known = [after for option, after in pairwise(words) if option.lstrip("-") in names and option[:1] == "-"]
        known += [
            word.partition("=")[2] for word in words if word.partition("=")[0].lstrip("-") in names and "=" in word
        ]
        if call.word(0)[:1] != "-":
            known += [word for word in words if word[:1] != "-"]
        value = known[0] if known else call.keywords.get("default")
        self.fields[max(names, key=len).replace("-", "_")] = value

    def reads(self, values: Sequence[object]) -> None:
        for word in map(word_of, values[:3]):
            if _PATH.fullmatch(word):
                self.add("cat", word)

    def moved(self, folder: str) -> None:
        """What follows runs in another folder."""
        self.add("cd", folder)
        self.found[-1] = replace(self.found[-1], then="&&")  # type: ignore[type-var]

    def killed(self, call: Call) -> None:
        """Processes that are not known here, found among all there are, are others'."""
        whom = call.word(0) if call.values or call.keywords else ""
        if whom == EVERY_PROCESS or (whom == UNKNOWN and self.lists_processes and not self.looks_closer):
            whom = "-1"
        elif whom == UNKNOWN and self.lists_processes:
            whom = "$every-found"
        how = call.argument(1)
        self.add("kill", *([] if how is None else [_signal(how)]), whom)

    def below(self, call: Call) -> None:
        """What is asked of the kernel itself, through ctypes."""
        number = call.argument(0)
        if call.method == "reboot" or number in REBOOT_CALLS:
            self.add("reboot")
        elif number in KILL_CALLS:
            self.killed(replace(call, values=call.values[1:]))

    def script(self, known: object, call: Call) -> None:
        """A script for a shell, in the folder and with the variables that it is given."""
        if not isinstance(known, (str, bytes)):
            self.add("python-dynamic")
            if isinstance(known, Partly):
                self.found.append(known.text)
            return
        script, folder = text_of(known), word_of(call.keywords.get("cwd"))
        if folder != UNKNOWN:
            script = f"(cd {_quoted(folder)} && {script}\n)"
        for name, value in self._variables(call).items():
            if f"${name}" in script or f"${{{name}" in script:
                script = f"{name}={_quoted(value)}\n{script}"
        self.found.append(script)

    def _variables(self, call: Call) -> dict[str, str]:
        given = call.keywords.get("env")
        known = {**self.environment, **(given if isinstance(given, dict) else {})}
        return {str(name): text_of(value) for name, value in known.items() if isinstance(value, (str, bytes))}

    def program(self, call: Call) -> None:
        words = _argv(call)
        if isinstance(call.argument(0), Partly):
            self.add("python-dynamic")
        shell = "shell" in call.keywords and call.keywords["shell"] is not False
        if isinstance(words, str):
            if not shell and " " in words:
                words = shlex.join(shlex.split(words))
            self.script(words, call)
            self._fed([words], call)
            return
        if not words or word_of(words[0]) == UNKNOWN:
            if words is not None:
                self.add("python-dynamic")
            return
        plain = list(map(word_of, words))
        if shell:
            self.script(plain[0], call)
            return
        plain[:1] = [word_of(call.keywords["executable"])] if "executable" in call.keywords else plain[:1]
        if word_of(call.keywords.get("cwd")) != UNKNOWN:
            self.script(" ".join(map(_quoted, plain)), call)
        else:
            self.add(*plain)
            given = tuple(self._variables(call).items())
            self.found[-1] = replace(self.found[-1], assigns=given) if given else self.found[-1]  # type: ignore[type-var]
        self._fed(plain, call)

    def _fed(self, words: list[str], call: Call) -> None:
        """A shell runs what it is given on its input, now or later."""
        self.feeds_shell |= words[0].rpartition("/")[2] in SHELLS and len(words) == 1
        given = call.keywords.get("input")
        if isinstance(given, (str, bytes)):
            self.found.append(Command(tuple(words), words[0], stdin=text_of(given), via=self.via))

    def file(self, words: tuple[str, ...], call: Call) -> None:
        """What is done to a file, or to two, as the command that does the same."""
        first, second = call.word(0), call.word(1)
        kind = words[0]
        if kind in ("rm", "rmdir"):
            # Which file it is, a run would tell; it may be any of them.
            words = ("rm", "-r") if first == UNKNOWN or first.endswith("*") else words
            self.add(*words, first)
        elif kind in ("chmod", "chown", "truncate"):
            tree = ("-R",) if first.endswith("/*") and kind != "truncate" else ()
            self.add(kind, *tree, _mode(second) if kind == "chmod" else second, first)
        elif kind == "cat":
            self.add("cat", first)
        elif call.method in ("symlink_to", "hardlink_to"):
            self.add(*words, second, first)
        else:
            self.add(*words, first, second)

    def opened(self, call: Call, path: str) -> None:
        mode = call.argument(1)
        asked = len(call.values) > 1 or "mode" in call.keywords or "flags" in call.keywords
        if isinstance(mode, int):
            writes = bool(mode & _WRITE_FLAGS)
        else:
            writes = bool(set(mode) & set("wax+")) if isinstance(mode, str) else asked
        if writes:
            self.written(path)
        elif path != UNKNOWN:
            self.add("cat", path)

    def written(self, path: str, text: object = None) -> None:
        if path != UNKNOWN:
            redirect = Redirect(">", path, path[:1] == "~" or "*" in path or "$" in path)
            self.add("cat", redirects=(redirect,))
            if isinstance(text, (str, bytes)):
                self.found[-1] = replace(self.found[-1], stdin=text_of(text))  # type: ignore[type-var]
                self.files[posixpath.normpath(path)] = text_of(text)

    def _said_into(self, file: object, text: object) -> None:
        """What is written into an open file is what a program finds there that is started on it."""
        if isinstance(file, Opened) and isinstance(text, (str, bytes)):
            self.written(file.path, text)


def _each(value: object) -> list[str]:
    return list(map(word_of, value)) if isinstance(value, list) else [word_of(value)] if value is not None else []


def _argv(call: Call) -> list[object] | str | None:
    """The words of the program that a call starts, or its script; None where it is given nothing."""
    name, values = call.name, list(call.values)
    if name.startswith(("os.exec", "os.spawn", "os.posix_spawn", "asyncio.")):
        values = values[1:] if name.startswith("os.spawn") else values
        if name.startswith("asyncio."):
            return values
        if not values:
            return None
        if "l" in name.rpartition(".")[2][4:] and name[:4] != "os.p":
            return [values[0], *[value for value in values[2:] if value is not None and not isinstance(value, dict)]]
        words = values[1] if len(values) > 1 else None
        return [values[0], *words[1:]] if isinstance(words, list) else [None]
    first = call.argument(0)
    if isinstance(first, bytes):
        return first.decode(errors="replace")
    if first is None:
        return [None] if call.values or call.keywords else None
    if isinstance(first, Partly):
        return f"{first.text}"
    return first if isinstance(first, (list, str)) else [None]


def _quoted(word: str) -> str:
    """A word as a shell takes it; what is known by `~` or a variable stays so."""
    if word[:1] == "~" or "$" in word or "*" in word:
        return re.sub(r"[^\w./~$*{}-]", r"\\\g<0>", word)
    return shlex.quote(word)


def _signal(value: object) -> str:
    """A signal as kill has it, by its name: a number might be a group of processes."""
    known = isinstance(value, int) and value in signal.valid_signals() and value
    return f"-{signal.Signals(known).name.removeprefix('SIG')}" if known else f"-{word_of(value)}"


def _mode(word: str) -> str:
    """A mode as chmod has it: Python gives a number."""
    return f"{int(word):o}" if word.isdigit() else word
