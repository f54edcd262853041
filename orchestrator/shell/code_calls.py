"""Code in other languages, by its calls: what it runs, deletes, writes and reads, as commands.

Rule: what is handed to a shell is read as a script, a path that is deleted becomes `rm`. Where the code makes up what
it runs or deletes, the command has `$unknown` for it, so that it needs approval.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from orchestrator.shell.code_acts import AMBIGUOUS, CALLS, writes
from orchestrator.shell.code_folds import UNKNOWN, Value
from orchestrator.shell.code_reader import Reader
from orchestrator.shell.command import Command
from orchestrator.shell.prints import printed

MAX_CODE = 64 * 1024
_MAX_DEPTH = 3

_FILES = re.compile(
    r"(?i)(?:^|\.)(?:fs|promises|fsp|File|FileUtils|Dir|IO|os|Deno|Bun|Pathname|Path|fse|f|fsPromises|fs-extra|shelljs)$"
)
# What is killed is one number after the other, or all that /proc lists.
_ALL_PROCESSES = re.compile(
    r"(?s)(?:\bglob\(\s*|\bDir(?:\.glob|\.children)?\s*[\[(]\s*|\bopendir\s*\(?\s*\$?\w+\s*,\s*)[\"']/proc\b(?!.*(?:cmdline|comm\b|status))|"
    r"readdir\w*\(\s*[\"']/proc[\"'](?!.*(?:cmdline|comm\b|status))|for\s*\(\s*(?:let|var|my)?\s*(\$?\w+)\s*=\s*\d+.{0,60}kill\(\s*\1\b"
    r"|\b\d+\s*\.\.\s*\d{4,}|[\"'`]ps\s+-?[aAe]"
)
_STARTS = re.compile(r"child_|execa|shelljs|\bzx\b|Deno|Bun|\$`|Runtime")


_SENDS = re.compile(
    r"\bfetch\s*\(|\baxios\b|https?\.request|Net::HTTP|LWP::|HTTP::|curl_exec|Faraday|RestClient|\bnet\.connect"
    r"|IO::Socket|TCPSocket|fsockopen|stream_context_create|socket\.http|\.sendFile|XMLHttpRequest"
    r"|require\(\s*[\"'](?:node:)?(?:https?|net|tls|dgram|http2)[\"']\s*\).*\b(?:request|connect|post|createConnection)\b"
    r"|\bdns\b.*\b(?:lookup|resolve\w*)\(|\bnew\s+WebSocket\b|\b(?:got|undici|nodemailer|superagent|needle)\b|globalThis\[|\bclient-s3\b"
)
_LOADS = re.compile(r"(?:require|import|from)\s*\(?\s*[\"'`](?:node:)?child_process")


def called_commands(
    code: str, language: str, via: tuple[str, ...], item: Value = UNKNOWN, at_worst: bool = True
) -> list[Command | str]:
    """What the code would run: commands, and scripts for a shell. `language` is the interpreter's name; `item` what
    it gets on its input, line by line; `at_worst`: what it may do to something unknown counts as done to what is vital
    and named in it."""
    made_up = Command(("$code",), "code that is made up", (0,), via=via)
    if len(code) > MAX_CODE:
        return [made_up]
    try:
        calls = _Calls(code, _FAMILIES.get(language, language), via, item=item)
    except RecursionError:
        return [made_up]
    calls.found += _worst(calls.found, calls.reader.said) if at_worst else []
    if not calls.ran and _LOADS.search(code):
        # It is loaded for something that was not found.
        calls.found.append(made_up)
    calls.found += sent(code, calls.found)
    calls.found += (Command(("psql", "-c", found.group(1)), "SQL", via=via) for found in _SQL.finditer(code))
    calls.found += (Command(("redis-cli", "FLUSHALL"), found.group(), via=via) for found in _EMPTIES.finditer(code))
    if _FAMILIES.get(language, language) == "node":
        calls.found += (found.group(1) for found in _TAGGED.finditer(code))
    return calls.found


def sent(code: str, commands: Sequence[Command | str]) -> list[Command]:
    """Facts for rules: what code reads that also speaks to other machines may leave."""
    if not _SENDS.search(code):
        return []
    read = [item for item in commands if isinstance(item, Command) and item.words[0] == "cat" and item.words[1:]]
    return [replace(item, words=("python-send", *item.words[1:])) for item in read]


_NODES = ("nodejs", "bun", "deno", "jrunscript", "jjs", "tsx", "ts-node", "esno", "vite-node")
_FAMILIES = {**dict.fromkeys(_NODES, "node"), "luajit": "lua", **dict.fromkeys(("gawk", "mawk", "nawk"), "awk")}
_SQL = re.compile(
    r"\b(?:query|execute\w*|\$?executeRawUnsafe|\$?queryRawUnsafe|raw|unsafe|exec|do|prepare)\s*\(\s*[\"'`]"
    r"(\s*(?:drop|truncate|delete|alter|grant|update)\b[^\"'`]*)[\"'`]",
    re.IGNORECASE,
)
_EMPTIES = re.compile(r"\.(?:dropDatabase|flush_?all|flushdb|dropCollection|drop_collection)\s*\(", re.IGNORECASE)
# `$`…``, `sh`…``: a command in a template with a tag.
_TAGGED = re.compile(r"(?:\$|\bsh|\bshell|\bexeca\w*)`([^`]+)`")


_DEFINED = re.compile(
    r"\b(?:function|def|sub)\s+(\w+)|\b(?:const|let|var|my)\s+\$?(\w+)\s*=\s*(?:async\s*)?(?:function\b|\(?[\w\s,]*\)?\s*=>|sub\b)"
)
_VITAL = re.compile(r"~/?$|/$|/(?:bin|boot|etc|home|lib|opt|root|sbin|srv|usr|var)(?:/|$)")
_BRACES = re.compile(r"\{([^{}\s,]+(?:,[^{}\s,]+)+)\}")


# A place that all hangs on, where it is all of a text; `/` alone is more often what paths are taken apart by.
_NAMED_VITAL = re.compile(
    r"(?:~|/(?:bin|boot|dev|etc|home|lib|lib64|opt|root|sbin|srv|sys|usr|var|home/[\w.-]+|dev/[\w/-]+|\*)|\.\.)/?\*?"
    r"|(?:\./)?(?:policy|skills|state)(?:/.*)?|/etc/(?:passwd|shadow|sudoers)"
)
# These are functions of their own in some languages, and mean nothing else there.
_PLAIN = frozenset(("open", "copy", "move", "truncate", "touch"))
_WRITE_FLAGS = re.compile(r"\b(?:O_WRONLY|O_RDWR|O_TRUNC|O_CREAT)$")
_UNKNOWN_TARGET = re.compile(rf"^(?:\S*/)?(?:rm|rmdir|chmod|chown|mv|truncate|find|shred)\b.*{re.escape(UNKNOWN)}")


class _Calls:
    """The calls of one text of code, as commands."""

    def __init__(
        self,
        code: str,
        language: str,
        via: tuple[str, ...],
        depth: int = 0,
        item: Value = UNKNOWN,
        within: Reader | None = None,
    ) -> None:
        self.language, self.via, self.depth = language, via, depth
        self.found: list[Command | str] = []
        self.ran = False
        self.starts = bool(_STARTS.search(code))
        self.all_processes = bool(_ALL_PROCESSES.search(code))
        self.own_functions = frozenset(one or other for one, other in _DEFINED.findall(code))
        # Paths that are given to functions of its own, which may do with them what they do with something unknown.
        self.handed: list[str] = []
        # What code comes to that is evaluated: this, or within this.
        self.evaluated: Value = UNKNOWN
        self.reader = Reader(code, language, self.called, item)
        if within is not None:
            self.reader.values, self.reader.names, self.reader.fields = within.values, within.names, within.fields
        self.evaluated = self.reader.read()
        self.go_down()

    def go_down(self) -> None:
        """What its own functions do with something unknown, they do with what is in the folders they are given."""
        for item in list(self.found) if self.handed else ():
            if isinstance(item, Command) and item.words[0] in ("rm", "chmod", "chown") and _goes_down(item):
                given = [word for word in item.words[1:2] if item.words[0] != "rm" and UNKNOWN not in word]
                self.add(item.words[0], "-R", *given, *dict.fromkeys(self.handed))

    def called(self, path: str, arguments: list[Value], own: Value) -> Value | None:
        path = path.removesuffix(".sync").removesuffix(".native")
        name = path.rpartition(".")[2].rpartition("::")[2].removesuffix("()").removesuffix("!")
        if path.endswith((".stdin.write", ".stdin.end")) and arguments and isinstance(arguments[0], str):
            self.found.append(arguments[0])
        if path == "child_process" or path.endswith("constructor.constructor"):
            # Which of its functions is called, a run would tell; the other makes a function of a text.
            self.code(arguments if path != "child_process" else [UNKNOWN])
            return None
        if name in self.own_functions or (self.language == "perl" and name in ("find", "finddepth")):
            self.handed += [item for item in arguments if isinstance(item, str) and _VITAL.match(item)]
        if name == "array_map" and len(arguments) > 1 and CALLS.get(str(arguments[0])):
            name, arguments = str(arguments[0]), arguments[1:]
        base = path[: -len(name)].rstrip(".:")
        kind = "open" if name == "new" and base in ("File", "IO::File") and len(arguments) > 1 else CALLS.get(name)
        plain = not base and name in _PLAIN and self.language in ("perl", "ruby", "php")
        if kind is None or (name in AMBIGUOUS and not _FILES.search(base) and own == UNKNOWN and not plain):
            return None
        if kind == "run" and self.language == "node" and not self.starts:
            # `exec` is a method of regular expressions too.
            return None
        if (not arguments and own != UNKNOWN) or (
            own not in (UNKNOWN, "")
            and kind in ("delete", "write", "read")
            and (
                name in ("delete", "unlink", "rmtree")
                or (name in ("write", "binwrite", "spew") and self.language != "node")
            )
        ):
            arguments = [own]
        self.does(kind, arguments)
        return self.said(kind, arguments)

    def said(self, kind: str, arguments: list[Value]) -> Value | None:
        """What a program prints that is told here, or what evaluated code comes to."""
        if kind == "code":
            return self.evaluated
        words = _flat(arguments[0]).split() if kind == "run" and arguments else []
        expands = tuple(at for at, word in enumerate(words) if word[:1] in ("~", "$"))
        known = printed(Command(tuple(words), "", expands)) if words and UNKNOWN not in words else None
        return known.text.strip("\n") if known else None

    def does(self, kind: str, arguments: list[Value]) -> None:
        first = arguments[0] if arguments else UNKNOWN
        paths = [path for item in (first if isinstance(first, list) else [first]) for path in _each(item)]
        if kind == "run":
            self.ran = True
            self.run(arguments)
        elif kind == "code":
            self.code(arguments)
        elif kind == "delete":
            self.add(
                "rm", "-r", *paths, *(item for item in arguments[1:] if isinstance(item, str) and item[:1] in "/~")
            )
        elif kind == "read":
            self.add("cat", *paths)
        elif kind == "write" or (kind == "open" and self.for_writing(arguments)):
            for path in paths if kind == "write" else [_flat(arguments[0])]:
                self.write(path.lstrip("+<> "), arguments[1] if kind == "write" and len(arguments) > 1 else UNKNOWN)
        elif kind == "open":
            self.opened([item for item in arguments if isinstance(item, str)])
        elif kind in ("cp", "mv", "ln"):
            self.add(kind, *map(_flat, arguments[:2]))
        elif kind in ("chmod", "chown", "chmod_R", "chown_R"):
            given = [word for item in arguments for word in (item if isinstance(item, list) else [item])]
            paths = [word for word in given if "/" in word or word[:1] == "~"]
            modes = [word for word in given if word not in paths and word != UNKNOWN] or [UNKNOWN]
            tree = ["-R"] if kind[-1] == "R" or any("*" in word for word in paths) else []
            self.add(kind[:5], *tree, modes[0].removeprefix("0o"), *(paths or [UNKNOWN]))
        elif kind == "chdir":
            self.add("cd", *paths)
            self.found[-1] = replace(self.found[-1], then="&&")  # type: ignore[type-var]
        elif kind == "kill":
            self.add("kill", *(f"-{word}" for word in map(_flat, arguments) if word.isalnum() and len(arguments) > 1))
            whom = [word for word in map(_flat, arguments) if word[:1] == "-" or word == "1"]
            self.add("kill", "-9", *(whom or (["-1"] if self.all_processes else [])))

    def add(self, *words: str) -> None:
        expands = tuple(at for at, word in enumerate(words) if at and (word[:1] in ("~", "$") or "*" in word))
        self.found.append(Command(words, " ".join(words), expands, via=self.via))

    def write(self, path: str, text: Value = UNKNOWN) -> None:
        if path and path != UNKNOWN:
            known = text if isinstance(text, str) and text != UNKNOWN else None
            self.found.append(replace(writes(path, path, self.via), stdin=known))

    def run(self, arguments: list[Value]) -> None:
        if self.language == "node" and arguments:
            self.add("code-runs", *_flat(arguments[0]).split()[:1])
        before = len(self.found)
        self.start(arguments)
        fields = self.reader.fields
        folder, fed = fields.pop("cwd", UNKNOWN), fields.pop("input", UNKNOWN)
        for at, item in enumerate(self.found[before:], before):
            self.found[at] = _placed(item, _flat(folder), fields)
        if isinstance(fed, str) and fed != UNKNOWN:
            self.found.append(fed)

    def start(self, arguments: list[Value]) -> None:
        """A program with its arguments, or a script."""
        first = arguments[0] if arguments else UNKNOWN
        if isinstance(first, list):
            self.add(*first) if first else None
            return
        rest = arguments[1] if len(arguments) > 1 and " " not in first else None
        if isinstance(rest, list):
            self.add(first, *rest)
        elif isinstance(rest, str) and rest != UNKNOWN and " " not in first and self.language != "node":
            self.add(first, *map(_flat, arguments[1:]))
        elif first != "":
            self.found.append(first)

    def code(self, arguments: list[Value]) -> None:
        known = _flat(arguments[-1]) if arguments else UNKNOWN
        if UNKNOWN in known or self.depth >= _MAX_DEPTH:
            self.found.append(Command(("$code",), "code that is made up", (0,), via=self.via))
        elif known:
            inner = _Calls(known, self.language, self.via, self.depth + 1, within=self.reader)
            self.found += inner.found
            self.evaluated = inner.evaluated

    def for_writing(self, arguments: list[Value]) -> bool:
        if self.reader.names.get(".write") == "true" or any(map(_WRITE_FLAGS.search, self.reader.given)):
            return True
        mode = str(arguments[1]) if len(arguments) > 1 else str(arguments[0] if arguments else "")
        if mode[:1] in "><+" and mode[:1]:
            if len(arguments) > 2:
                arguments[0] = arguments[2]
            elif len(mode.strip("+<> ")) > 0:
                arguments[0] = mode
            return mode[:1] != "<" or mode[:2] == "+<"
        return len(arguments) > 1 and bool(set(mode[:3]) & set("wax+")) and len(mode) <= 3

    def opened(self, words: list[str]) -> None:
        """`open` runs a program where its text begins or ends with a bar."""
        for word in words:
            text = word.strip()
            if text in ("-|", "|-"):
                self.run([item for item in words if item.strip() not in ("-|", "|-", UNKNOWN)])
                return
            if text[:1] == "|" or text[-1:] == "|":
                self.found.append(text.strip("|"))
                return
        if words and words[-1] != UNKNOWN:
            self.add("cat", words[-1] if words[0][:1] == "<" else words[0])


def _placed(item: Command | str, folder: str, variables: Mapping[str, Value]) -> Command | str:
    """The same in a folder, with the variables that it asks for."""
    script = item if isinstance(item, str) else " ".join(item.words)
    used = {name: value for name, value in variables.items() if f"${name}" in script and isinstance(value, str)}
    if folder == UNKNOWN and not used:
        return item
    script = "".join(f"{name}={value}\n" for name, value in used.items()) + script
    return script if folder == UNKNOWN else f"(cd {folder} && {script}\n)"


def _worst(found: Sequence[Command | str], said: Iterable[str]) -> list[Command | str]:
    """What is done to something unknown may be done to what is vital and named beside it."""
    unknown = [
        item for item in found if _UNKNOWN_TARGET.search(item if isinstance(item, str) else " ".join(item.words))
    ]
    made: list[Command | str] = []
    for path in [text for text in said if _NAMED_VITAL.fullmatch(text)][:8] if unknown else ():
        for item in unknown[:4]:
            if isinstance(item, str):
                made.append(item.replace(UNKNOWN, path))
            else:
                words = tuple(word.replace(UNKNOWN, path) for word in item.words)
                made.append(
                    replace(item, words=words, expands=tuple(at for at, word in enumerate(words) if word[:1] == "~"))
                )
    return made


def _goes_down(command: Command) -> bool:
    """Whether what it is about is not known, or all that a listing gives."""
    return any(UNKNOWN in word or word.endswith("*") for word in command.words)


def _each(path: str) -> list[str]:
    """The paths that one with braces stands for."""
    found = _BRACES.search(path)
    return [path[: found.start()] + part + path[found.end() :] for part in found[1].split(",")] if found else [path]


def _flat(value: Value) -> str:
    return value if isinstance(value, str) else " ".join(value)
