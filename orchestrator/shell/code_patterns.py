"""Code of no known language, or of any: what it visibly runs, deletes, reads and writes, by careful patterns.

Rule: one treatment for every language, and none is parsed; Tcl, Lisp and awk have a few forms of their own besides. A
string that is handed to a shell is read as a script; a path is read, written or deleted by the verb before it and the
mode behind it. That finds the plain cases; the calls of languages that share their syntax are read in `code_calls`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial

from orchestrator.shell.code_acts import HOME, deletes, deletes_vital, named, reads, writes
from orchestrator.shell.code_deeds import deeds
from orchestrator.shell.code_home import with_names_known
from orchestrator.shell.command import Command
from orchestrator.shell.environment_facts import environment_sent
from orchestrator.shell.shells import SHELL_NAME

_STRING = r"""(?:"((?:\\.|[^"\\])*)"|'((?:\\.|[^'\\])*)'|`((?:\\.|[^`\\])*)`|q[qx]?[{(]([^})]*)[})])"""
_RUNS = re.compile(
    rf"(?:\b(?:{named('run')}|exec[lv]p?e?|os\.execute|Open3\.\w+|\$|do\s+shell\s+script|"
    r"ProcessBuilder|startProcess|commandLine|Command::new|Deno\.Command|Process\.[Ss]tart|callCommand|SYSTEM[\"']?\s+USING|os:cmd|System\.cmd|system\.call|Kernel\.\w+)"
    r"\s*[(\[{]*\s*)" + _STRING + r"(\s*,\s*[\[\"'][^)\]]*)?"
)
# These are told the program, and then once more what it is to be called.
_NAMED_TWICE = re.compile(r"exec[lv]p?e?\b")
_BACKTICKS = re.compile(r"`([^`]+)`|%x[({\[]([^)}\]]+)|\bqx[({/]([^)}/]+)")
_DELETES = re.compile(
    rf"\b(?:{named('delete')}|delete|os\.remove)\s*\(?\s*(?:POSIX\s+file\s+|file\s+)?{_STRING}", re.IGNORECASE
)
_PIECES = re.compile(_STRING)

# A path as code has it: in quotes or bare, never in the middle of something else (`x/y`, `https://…`, `s/a/b/`).
_PATH = re.compile(r"(?:(?<=[\s'\"(=,<>{\[@|:;])|^)(?:file://)?((?:~/|/(?!/))[\w.~@+-][^\s'\"`;,)}\]|<>&\\:]*)")
_WRITING = re.compile(
    r"(?:\b(?:write\w*|append\w*|createWriteStream|file_put_contents|put_contents|FileWriter|FileOutputStream|"
    r"PrintWriter|dump(?:\s+\w+)?|save\w*|export\w*|output|outfile|dumpfile|tofile|fprintf|truncate|touch|symlink|"
    r"logging\s+file|spit|write\.\w+|WriteAll\w*|saveas|w|wq|tee|transcript|out)\b[!(\s:\"'=]*(?:value\s+|memory\s+|binary\s+)?|file\s*\{\s*|(?<![-=<>])>{1,2}\s*|"
    r"\\o\s+|\.once\s+|\.log\s+|\.save\s+|\.backup\s+|\.output\s+)[\"']?$"
)
_COPIES = re.compile(
    r"\b(?:cp|copy\w*|rename|mv|move|write\w*|save\w*|sink)\s*\(?[^()]*,\s*[\"']?$|\bwrite-region\b[^()]*\"$"
    r"|\bcopy\b[^;]*\bto\s*[\"']?$",
    re.IGNORECASE,
)
_WRITTEN_TO = re.compile(r"[\"']\s*\)\s*(?:<<|\.(?:write|append|setText|withWriter|newWriter|(?:text|bytes)\s*=(?!=)))")
_HOME_WITHIN = re.compile(r"(?:\$ENV\{HOME\}|\$HOME)(?=/)")
_ASSIGNED = re.compile(r"=\s*[\"']$")
_WRITES_SOMEWHERE = re.compile(r"\bwrite\w*\s*\(|FileWriter|[\"'][wa][b+]?[\"']|put_contents|>{1,2}\s*[A-Za-z$]")
_OPENS = re.compile(r"\b(?:\w*open\w*|File\.new|fopen)\s*\(?[^()]*$", re.IGNORECASE)
_WRITE_MODE = re.compile(
    r"^[\"']\s*,\s*(?:[12]\b|O_(?:WRONLY|RDWR|CREAT|TRUNC))|^\s+[wa]\+?[\s\]]|^[\"']?\s*(?:,|:)\s*(?:mode\s*=\s*)?[\"'\[{:]*(?:w|a|r\+|write|append|>)"
)
_WRITE_MODE_BEFORE = re.compile(r"[\"'](?:\+?>{1,2}|w|a)[\"']?\s*,?\s*[\"']?$|[\"']\s*>{1,2}\s*$")
_CONNECTS = re.compile(
    r"\b(?:socket|TCPSocket|TCPServer|p?fsockopen|IO::Socket|net\.(?:connect|Socket|createConnection|createServer|"
    r"Dial\w*|Listen\w*)|TcpClient|TcpStream|TcpListener|gen_tcp|ServerSocket|AsynchronousSocketChannel|stream_socket_\w+|"
    r"UNIXSocket|HTTP::Tiny|ws\.connect|tcp-connect|open-network-stream|make-network-process)\b|/inet/(?:tcp|udp)/|/dev/(?:tcp|udp)/",
    re.IGNORECASE,
)
_SHELL_AT_WORK = re.compile(
    rf"/bin/{SHELL_NAME}\b|\bcmd\.exe|\bpowershell\b|\bdup2\b|\bpty\b|\bp?open(?:2|3)?\s*\(\s*[\w$\"']+\s*,\s*"
    r"[\"'][rw]|\bpopen\w*\b|\bexec\w*\s*[(\"'$\[]|\bsystem\s*[(\"'$]|\bproc_open|\bshell_exec|\bspawn\w*\s*\(|"
    r"\bchild_process\b|\bProcessBuilder\b|getRuntime|os\.execute|\bos:+cmd\b|:os\.cmd|System\.cmd|callCommand|Command[.:]+new|\.execute\(\)|\|&?\s*getline|\bopen\s*\(\s*STD(?:IN|OUT|ERR)"
)
_SHELL_LITERAL = re.compile(rf"[\"'](?:/usr)?(?:/local)?/bin/{SHELL_NAME}[\"']")
# `getenv("NAME")`, `os.environ["NAME"]`, `e["NAME"]`, `ENV.fetch("NAME", x)`, `$ENV{NAME}`, `$::env(NAME)`, `env.NAME`
_ASKED = (
    r"(?:[\w.:$]*(?:env|ENV)\w*(?:\.get|\.fetch)?|\be)\s*(?:\[\s*[\"']?NAME[\"']?\s*\]|"
    r"\(\s*[\"']?NAME[\"']?\s*(?:,[^()]*)?\)|\{\s*[\"']?NAME[\"']?\s*\}|\.NAME\b)"
)
_AWK_SCRIPT = re.compile(r'"((?:\\.|[^"\\])*)"\s*\|&?\s*getline|\|&?\s*"((?:\\.|[^"\\])*)"')
_AWK_FILE = re.compile(r'(getline\s*\w*\s*<|>>?)\s*"((?:\\.|[^"\\])*)"')
_LISP = re.compile(
    r"\((shell-command(?:-to-string)?|async-shell-command|compile|call-process-shell-command|delete-directory|delete-file"
    r'|write-region[^"]*|insert-file-contents|find-file|term|ansi-term|load-file|call-process|start-process[^"]*"[^"]*")\s+'
    r'"((?:\\.|[^"\\])*)"([^)]*)'
)
_TCL = re.compile(
    r"(?:^|[\s;\[{])(exec|spawn|system|file\s+delete)\s+((?:\{\*\}|\[[^\]]*\]|[^;\]\n}])+)|open\s+[\"{]\|\s*([^\"}]+)"
)

_PROGRAMMED_TEXT = """
    tclsh expect wish emacs emacsclient guile sbcl clisp racket clojure clj scala groovy kotlinc swift ghc runghc ghci
    stack erl iex elixir julia R Rscript octave octave-cli crystal nim dart java jshell jrunscript gcc g++ cc clang go
    rustc cargo dotnet osascript vim vi nvim gawk awk pwsh
"""
_REBOOTS = re.compile(r"\breboot\s*\(\s*(?:0x|RB_|LINUX_REBOOT|\d)|\bSYS_reboot\b|0xfee1dead|\b4276215469\b")
_FORKS = re.compile(r"(?:\bfor\s*\(\s*;\s*;\s*\)|\bwhile\s*\(?\s*(?:1|true)\s*\)?|\bloop)\s*\{?[^{}]{0,40}\bfork\s*\(")
# What these are given is code all through; of others, much is text.
_PROGRAMMED = frozenset(_PROGRAMMED_TEXT.split())


def patterned_commands(code: str, language: str, via: tuple[str, ...]) -> Iterator[Command | str]:
    """What the code would run: commands, and scripts for a shell. `language` is the interpreter's name, empty where
    it is no known one: backticks are quotes then."""
    code = with_names_known(code)
    if own := _OF_LANGUAGES.get(language):
        yield from own(code, via)
    if language in _PROGRAMMED and _REBOOTS.search(code):
        yield Command(("reboot",), code.strip()[:200], via=via)
    if language in _PROGRAMMED and deletes_vital(code):
        yield Command(("code-deletes",), code.strip()[:200], via=via)
    if language in _PROGRAMMED and (found := _FORKS.search(code)):
        yield Command(("while",), found.group(), via=via, forks=True)
    ran = False
    for found in _RUNS.finditer(code):
        ran = True
        script = _string(found.groups()[:4])
        rest = [_string(item.groups()) for item in _PIECES.finditer(found.group(5) or "")]
        if rest and _NAMED_TWICE.match(found.group()):
            rest = rest[1:]
        yield Command((script, *rest), found.group(), via=via) if rest else script
    if language:
        for found in _BACKTICKS.finditer(code):
            yield _string(found.groups())
    if not ran and _SHELL_LITERAL.search(code):
        yield Command(("/bin/sh",), code, via=via)
    for found in _DELETES.finditer(code):
        yield deletes(_string(found.groups()), found.group(), via)
    yield from deeds(code, via)
    yield from named_in(code, via)


def program_commands(code: str, language: str, via: tuple[str, ...]) -> Iterator[Command | str]:
    """The same of a whole program, in which quotes and prose abound: by the language's own forms, where it has such."""
    own = _OF_LANGUAGES.get(language)
    return own(with_names_known(code), via) if own else patterned_commands(code, language, via)


def named_in(code: str, via: tuple[str, ...]) -> Iterator[Command]:
    """What is told by the mere words of any code: the paths that it reads and writes, and `remote_shell`."""
    yield from _touched(code, via)
    yield from remote_shell(code, via)
    yield from environment_sent(code, via)


def remote_shell(code: str, via: tuple[str, ...]) -> Iterator[Command]:
    """A fact for rules: the code holds both a connection and a shell, or what runs the orders of another machine."""
    if _CONNECTS.search(code) and _SHELL_AT_WORK.search(code):
        yield Command(("remote-shell",), code.strip()[:200], via=via)


def with_variables(code: str, variables: Mapping[str, str]) -> str:
    """The code with the environment's variables put in where it asks for them, whatever the language's way is."""
    for name, value in variables.items():
        if name in code:
            code = re.sub(_ASKED.replace("NAME", re.escape(name)), partial(_instead, _quoted(value)), code)
    return code


def with_names(code: str, variables: Mapping[str, str]) -> str:
    """The code with the values of its own variables, as awk gets them from its command line."""
    for name, value in variables.items():
        code = re.sub(rf"(?<![\w$\"'/]){name}\b(?![\"'])", partial(_instead, _quoted(value)), code)
    return code


def _instead(text: str, _: re.Match[str]) -> str:
    return text


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _touched(code: str, via: tuple[str, ...]) -> Iterator[Command]:
    code = _HOME_WITHIN.sub("~", code)
    for found in _PATH.finditer(code):
        path, start, end = found.group(1), found.start(1), found.end(1)
        before, after = code[max(0, start - 80) : start], code[end : end + 40]
        does = writes if _writes(before, after, code) else reads
        yield does(path, f"{before[-20:]}{path}", via)


def _writes(before: str, after: str, code: str) -> bool:
    if _WRITTEN_TO.match(after):
        return True
    if _OPENS.search(before):
        return bool(_WRITE_MODE.match(after) or _WRITE_MODE_BEFORE.search(before))
    if _ASSIGNED.search(before):
        return bool(_WRITES_SOMEWHERE.search(code))
    return bool(_WRITING.search(before) or _COPIES.search(before) or _WRITE_MODE_BEFORE.search(before))


def _string(groups: tuple[str | None, ...]) -> str:
    return next((text for text in groups if text is not None), "").replace('\\"', '"').replace("\\'", "'")


def awk_commands(code: str, via: tuple[str, ...]) -> Iterator[Command | str]:
    """What awk code runs, reads and writes by its own forms: pipes, redirections and `getline`."""
    # Strings that stand beside each other are one.
    code = with_names_known(re.sub(r"\"[ \t]+\"", "", code), beside=True)
    yield from (_string(found.groups()[:4]) for found in _RUNS.finditer(code))
    for found in _AWK_SCRIPT.finditer(code):
        yield (found.group(1) or found.group(2) or "").replace('\\"', '"')
    for found in _AWK_FILE.finditer(code):
        if found.group(1)[0] == ">":
            yield writes(found.group(2), found.group(), via)
        else:
            yield reads(found.group(2), found.group(), via)


_TCL_LISTS = re.compile(r"\{\*\}\[glob\s+(?:-\w+\s+)*([^\]]*)\]|\[glob\s+(?:-\w+\s+)*([^\]]*)\]")
_ANY_HOME = re.compile(HOME)


def _tcl(code: str, _: tuple[str, ...]) -> Iterator[str]:
    code = _ANY_HOME.sub("~", _TCL_LISTS.sub(lambda found: found[1] or found[2], code))
    for found in _TCL.finditer(code):
        action, rest, piped = found.groups()
        if piped:
            yield piped
        elif action[:4] == "file":
            # What is in quotes or braces is a path as it stands; a list of a glob is what it names.
            yield "rm -r " + re.sub(r"-force|--|\{\*\}|\[glob|[\[\]{}\"]", "", rest)
        else:
            yield re.sub(r"^(?:-\w+\s+)+", "", rest.strip().strip('{}"'))


def _lisp(code: str, via: tuple[str, ...]) -> Iterator[Command | str]:
    code = _ANY_HOME.sub('"~"', code)
    for found in _LISP.finditer(code):
        action, text, rest = found.groups()
        if action.startswith("delete"):
            yield deletes(text, found.group(), via)
        elif action.startswith("write"):
            yield writes(text, found.group(), via)
        elif action in ("insert-file-contents", "find-file"):
            yield reads(text, found.group(), via)
        elif action in ("call-process", "term", "ansi-term") or action.startswith("start"):
            yield Command((text, *re.findall(r'"([^"]*)"', rest)), found.group(), via=via)
        else:
            yield text


_OF_LANGUAGES: dict[str, Callable[[str, tuple[str, ...]], Iterator[Command | str]]] = {
    **dict.fromkeys(("tclsh", "expect", "wish"), _tcl),
    "emacs": _lisp,
}
