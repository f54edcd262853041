"""Code in other languages on a command line: what it runs, deletes, writes and reads, as commands.

Rule: what is handed to a shell is read as a script, a path that is deleted becomes `rm`. Where the code makes up what
it runs or deletes, the command has `$unknown` for it, so that it needs approval. Languages whose syntax the reader of
expressions does not know (awk, Tcl, Lisp) are searched for the few forms in which they start programs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from orchestrator.shell.code_folds import UNKNOWN, Value
from orchestrator.shell.code_text import Reader
from orchestrator.shell.command import Command, Redirect

MAX_CODE = 64 * 1024
_MAX_DEPTH = 3


# What a call does, by the last part of its name.
_NAMES = """
    run: exec execSync system popen shell_exec passthru execute doShellScript capture2 capture2e capture3 run
        spawn spawnSync execFile execFileSync proc_open system2 execa execv execvp execvpe pcntl_exec `
    delete: rmSync rm rmdirSync rmdir unlinkSync unlink rm_rf rm_r rm_f rmtree remove_tree remove_dir
        removeSync RemoveAll remove_dir_all remove_file deleteDirectory deleteRecursively deleteIfExists
        removeItem DeleteDirectory deleteFile removeDirectory deltree rm_tree removeRecursively
        remove_entry_secure remove_entry delete remove rimraf del emptyDirSync emptyDir file.remove
    write: writeFileSync writeFile appendFileSync appendFile createWriteStream file_put_contents truncateSync
        writeTextFile writeTextFileSync truncate outputFileSync touch binwrite ftruncate
    read: readFileSync readFile createReadStream file_get_contents readfile readlines readTextFile binread
        readTextFileSync slurp fpassthru highlight_file show_source read
    open: open fopen openSync new_file sysopen
    cp: copyFileSync copyFile cpSync copy cp cp_r copy_file
    mv: renameSync rename mv move
    chmod: chmodSync chmod chmod_R lchmod
    chown: chownSync chown chown_R
    ln: symlinkSync symlink ln_s linkSync
    code: eval Function instance_eval class_eval module_eval loadstring load create_function assert
        runInThisContext runInNewContext runInContext compileFunction
    kill: kill posix_kill
"""
_CALLS = {
    name: kind
    for kind, names in re.findall(r"(\w+): ((?:(?!\n +\w+: ).)+)", _NAMES, re.DOTALL)
    for name in names.split()
}
_FILES = re.compile(
    r"(?i)(?:^|\.)(?:fs|promises|fsp|File|FileUtils|Dir|IO|os|Deno|Bun|Pathname|Path|fse|f|fsPromises)$"
)
_AMBIGUOUS = frozenset(
    ("delete", "remove", "run", "execute", "read", "open", "copy", "move", "load", "touch", "truncate")
)
_STARTS = re.compile(r"child_|execa|shelljs|\bzx\b|Deno|Bun|\$`|Runtime")
_AWK_SCRIPT = re.compile(r'"((?:\\.|[^"\\])*)"\s*\|&?\s*getline|\|&?\s*"((?:\\.|[^"\\])*)"')
_AWK_FILE = re.compile(r'(getline\s*\w*\s*<|>>?)\s*"((?:\\.|[^"\\])*)"')
_LISP = re.compile(
    r"\((shell-command(?:-to-string)?|async-shell-command|compile|call-process-shell-command|delete-directory|delete-file"
    r'|write-region[^"]*|insert-file-contents|find-file|term|ansi-term|load-file|call-process|start-process[^"]*"[^"]*")\s+'
    r'"((?:\\.|[^"\\])*)"([^)]*)'
)
_TCL = re.compile(r"(?:^|[\s;\[{])(exec|spawn|system|file\s+delete)\s+([^;\]\n}]+)|open\s+[\"{]\|\s*([^\"}]+)")


_SENDS = re.compile(
    r"\bfetch\s*\(|\baxios\b|https?\.request|Net::HTTP|LWP::|HTTP::|curl_exec|Faraday|RestClient|\bnet\.connect"
    r"|IO::Socket|TCPSocket|fsockopen|stream_context_create|socket\.http|\.sendFile|XMLHttpRequest"
)
_LOADS = re.compile(r"(?:require|import|from)\s*\(?\s*[\"'`](?:node:)?child_process")


def other_commands(code: str, language: str, via: tuple[str, ...], item: Value = UNKNOWN) -> list[Command | str]:
    """What the code would run: commands, and scripts for a shell. `language` is the interpreter's name; `item` what
    it gets on its input, line by line."""
    made_up = Command(("$code",), "code that is made up", (0,), via=via)
    if len(code) > MAX_CODE:
        return [made_up]
    if language in ("tclsh", "expect", "wish"):
        return list(_tcl(code))
    if language == "emacs":
        return list(_lisp(code, via))
    try:
        calls = _Calls(code, _FAMILIES.get(language, language), via, item=item)
    except RecursionError:
        return [made_up]
    if not calls.ran and _LOADS.search(code):
        # It is loaded for something that was not found.
        calls.found.append(made_up)
    if _SENDS.search(code):
        read = [item for item in calls.found if isinstance(item, Command) and item.words[0] == "cat" and item.words[1:]]
        calls.found += [replace(item, words=("python-send", *item.words[1:])) for item in read]
    return [*(_awk(code, via) if language in ("awk", "gawk", "mawk", "nawk") else ()), *calls.found]


_FAMILIES = {"nodejs": "node", "bun": "node", "deno": "node", "jrunscript": "node", "jjs": "node", "luajit": "lua"}


class _Calls:
    """The calls of one text of code, as commands."""

    def __init__(self, code: str, language: str, via: tuple[str, ...], depth: int = 0, item: Value = UNKNOWN) -> None:
        self.language, self.via, self.depth = language, via, depth
        self.found: list[Command | str] = []
        self.ran = False
        self.starts = bool(_STARTS.search(code))
        Reader(code, language, self.called, item).read()

    def called(self, path: str, arguments: list[Value], own: Value) -> Value | None:
        name = path.rpartition(".")[2].rpartition("::")[2].removesuffix("()").removesuffix("!")
        base = path[: -len(name)].rstrip(".:")
        kind = _CALLS.get(name)
        if kind is None or (name in _AMBIGUOUS and not _FILES.search(base) and own == UNKNOWN):
            return None
        if kind == "run" and self.language == "node" and not self.starts:
            # `exec` is a method of regular expressions too.
            return None
        if (not arguments and own != UNKNOWN) or (
            own not in (UNKNOWN, "") and kind in ("delete", "write", "read") and name in ("delete", "unlink", "rmtree")
        ):
            arguments = [own]
        self.does(kind, arguments)
        return None

    def does(self, kind: str, arguments: list[Value]) -> None:
        first = arguments[0] if arguments else UNKNOWN
        paths = first if isinstance(first, list) else [first]
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
            for path in paths:
                self.write(path.lstrip("+<> "))
        elif kind == "open":
            self.opened([item for item in arguments if isinstance(item, str)])
        elif kind in ("cp", "mv", "ln"):
            self.add(kind, *map(_flat, arguments[:2]))
        elif kind in ("chmod", "chown"):
            self.add(kind, *sorted(map(_flat, arguments[:2]), key=lambda word: "/" in word or word[:1] == "~"))
        elif kind == "kill":
            self.add("kill", *(f"-{word}" for word in map(_flat, arguments) if word.isalnum() and len(arguments) > 1))
            self.add("kill", "-9", *(word for word in map(_flat, arguments) if word[:1] == "-"))

    def add(self, *words: str) -> None:
        expands = tuple(at for at, word in enumerate(words) if at and (word[:1] in ("~", "$") or "*" in word))
        self.found.append(Command(words, " ".join(words), expands, via=self.via))

    def write(self, path: str) -> None:
        if path and path != UNKNOWN:
            self.found.append(Command(("cat",), path, redirects=(Redirect(">", path, path[:1] == "~"),), via=self.via))

    def run(self, arguments: list[Value]) -> None:
        if self.language == "node" and arguments:
            self.add("code-runs", *_flat(arguments[0]).split()[:1])
        first = arguments[0] if arguments else UNKNOWN
        if isinstance(first, list):
            self.add(*first) if first else None
            return
        rest = arguments[1] if len(arguments) > 1 else None
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
            self.found += _Calls(known, self.language, self.via, self.depth + 1).found

    def for_writing(self, arguments: list[Value]) -> bool:
        mode = str(arguments[1]) if len(arguments) > 1 else str(arguments[0] if arguments else "")
        if mode[:1] in "><+" and mode[:1]:
            if len(arguments) > 2:
                arguments[0] = arguments[2]
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


def _flat(value: Value) -> str:
    return value if isinstance(value, str) else " ".join(value)


def _awk(code: str, via: tuple[str, ...]) -> Iterator[Command | str]:
    for found in _AWK_SCRIPT.finditer(code):
        yield (found.group(1) or found.group(2) or "").replace('\\"', '"')
    for found in _AWK_FILE.finditer(code):
        if found.group(1)[0] == ">":
            yield Command(("cat",), found.group(), redirects=(Redirect(">", found.group(2)),), via=via)
        else:
            yield Command(("cat", found.group(2)), found.group(), via=via)


def _tcl(code: str) -> Iterator[str]:
    for found in _TCL.finditer(code):
        action, rest, piped = found.groups()
        if piped:
            yield piped
        elif action[:4] == "file":
            yield "rm -r " + re.sub(r"-force|--", "", rest)
        else:
            yield re.sub(r"^(?:-\w+\s+)+", "", rest.strip().strip('{}"'))


def _lisp(code: str, via: tuple[str, ...]) -> Iterator[Command | str]:
    for found in _LISP.finditer(code):
        action, text, rest = found.groups()
        if action.startswith("delete"):
            yield Command(("rm", "-r", text), found.group(), (2,) if text[:1] == "~" else (), via=via)
        elif action.startswith("write"):
            yield Command(("cat",), found.group(), redirects=(Redirect(">", text, text[:1] == "~"),), via=via)
        elif action in ("insert-file-contents", "find-file"):
            yield Command(("cat", text), found.group(), (1,) if text[:1] == "~" else (), via=via)
        elif action in ("call-process", "term", "ansi-term") or action.startswith("start"):
            yield Command((text, *re.findall(r'"([^"]*)"', rest)), found.group(), via=via)
        else:
            yield text
