"""What changes the environment of later steps, or hands it to others: facts for rules, from words, files and code.

Rule: a line in the file of variables that a CI service reads is an `export`; a line in its file of folders is one of
PATH. A program of the script's own under the name of a known one is a shim where it sees what that gets and passes it
on. Code that asks for the whole environment and speaks to other machines may send it.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping

from orchestrator.shell.command import Command
from orchestrator.shell.downloads import path_of

# Where the steps of a CI job leave variables, folders and code for those after them.
_VARIABLES = re.compile(r"\$\{?GITHUB_ENV\b|\$\{?(?:GITEA|FORGEJO)_ENV\b|\$\{?BUILDKITE_ENV_FILE\b")
_FOLDERS = re.compile(r"\$\{?(?:GITHUB|GITEA|FORGEJO)_PATH\b")
_SCRIPTS = re.compile(r"\$\{?BASH_ENV\b")
_NAMED_FILE = re.compile(r"\b(?:GITHUB|GITEA|FORGEJO|BUILDKITE)_ENV(?:_FILE)?\b")
_WITHIN = re.compile(r"(?<![\w$])([A-Za-z_]\w*=\S+)")
# The same by what is printed.
_SAID = re.compile(r"##vso\[task\.setvariable\s+variable=(\w+)[^\]]*\](.*)|::set-env\s+name=(\w+)::(.*)")
_ADDED = re.compile(r"##vso\[task\.prependpath\](.*)|::add-path::(.*)")

_KNOWN_TEXT = """
    bash cargo cat cp curl docker env find gcc git gpg go helm java kubectl ls make mkdir mv node npm npx perl php pip
    pip3 pnpm podman ps psql python python3 rm ruby scp sed sh ssh su sudo tar
    terraform wget yarn passwd login cc aws gh mvn
"""
_KNOWN = frozenset(_KNOWN_TEXT.split())
_PASSES_ON = re.compile(r"\bexec\w*\b|\bspawn\w*|\bcommand\s+-p\b|/bin/|\bwhich\s+-a\b")
_GETS = re.compile(r"\$[@*]|\$\{?[1-9@*]|\bread\s+-\w*s|\benv\b|\bprintenv\b|\bargv\b|\benviron\b|\bARGV\b")
_BESIDES = re.compile(r"\b(?:env|printenv|tee|curl|wget|nc|read\s+-\w*s)\b|>>?\s*[/~$.\w]|\.write\(|\bopen\(")

_WHOLE = re.compile(
    r"(?<![=:.{]\s)(?<![=:.{])\b(?:os\.environ(?:\.(?:copy|items)\(\))?|process\.env)\s*(?=[),}\]])"
    r"|\b(?:JSON\.stringify|Object\.(?:entries|fromEntries|assign)|dict|repr|str|dumps|urlencode)\(\s*(?:dict\(\s*)?(?:\{\}\s*,\s*)?(?:os\.environ|process\.env)\b(?![.\[]\w)"
    r"|\bENV\.(?:to_h|to_a|inspect|map|to_hash|to_json)\b|(?<![\w\\])%ENV\b|\bgetenv\(\s*\)|\bos\.Environ\(\)|\benv::vars\b"
    r"|\bSystem\.getenv\(\s*\)|\bGetEnvironmentVariables\b|/proc/self/environ"
)
_SENDS = re.compile(
    r"\burlopen\b|\brequests\.\w+\(|\bhttpx\.|\bHTTPS?Connection\b|\bfetch\s*\(|\baxios\b|\bhttps?[\"')]*\.(?:request|get|post|Post)\b"
    r"|\bNet::HTTP\b|\bhttp\.(?:Post|Get|NewRequest)\b|\bLWP::|\bHTTP::|\bcurl_exec\b|\bsocket\b|\breqwest\b|\bureq\b|\bHttpClient\b"
    r"|\bfile_get_contents\(\s*[\"']https?:|\bnet\.(?:connect|Dial)\b"
)
# A secret of the environment within an address: `"https://x/?" + ENV["A_TOKEN"]`.
_ADDRESSED = re.compile(
    r"https?://[^\s\"'`]*[\"'`]?[\s+.,#${(]{0,6}[^\"'\n]{0,20}?(?:ENV|\benv|environ|getenv)[\s\[\](\"'{.]*(?:get\([\"'])?\w*"
    r"(?:TOKEN|SECRET|PASSWORD|ACCESS_KEY|PRIVATE_KEY)\b"
)
# `NAME=value` in the strings of code that speaks of such a file.
_LINES = re.compile(r"[\"'`]([A-Za-z_]\w*=[^\"'`\\\n]*)")
_ADDRESSES = re.compile(r"\bhttps?://(localhost|127\.|\[::1\]|0\.0\.0\.0)?")


def left_for_later(target: str, text: str) -> Iterator[Command | str]:
    """What the lines amount to that are written to the files which a CI service reads before its next step."""
    if _VARIABLES.match(target):
        yield from (Command(("export", line), line) for line in text.splitlines() if "=" in line)
    elif _FOLDERS.match(target):
        yield from (Command(("export", f"PATH={line}:$PATH"), line) for line in text.splitlines() if line.strip())
    elif _SCRIPTS.match(target):
        yield text


def said_for_later(text: str) -> Iterator[Command]:
    """The same of what is printed for the service to read."""
    for found in _SAID.finditer(text):
        name, value, other, given = found.groups()
        yield Command(("export", f"{name or other}={value if name else given}"), found.group())
    for found in _ADDED.finditer(text):
        yield Command(("export", f"PATH={found.group(1) or found.group(2)}:$PATH"), found.group())


def shims(command: Command, files: Mapping[str, str]) -> Iterator[Command]:
    """A fact for each program that the script has put before a known one of that name, to see what it is told."""
    path = dict(command.assigns).get("PATH", "") if files else ""
    for folder in path.split(":") if path else ():
        here = path_of(folder or ".")
        for file, text in tuple(files.items()):
            name = posixpath.basename(file)
            if name in _KNOWN and posixpath.dirname(file) == here and _is_shim(text):
                yield Command(("program-shim", name), f"{folder}/{name}", via=command.via)


def _is_shim(text: str) -> bool:
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    code = "\n".join(lines)
    return bool(_PASSES_ON.search(code) and _GETS.search(code) and _BESIDES.search(code))


def environment_sent(code: str, via: tuple[str, ...]) -> Iterator[Command]:
    """A fact for rules: the code asks for the whole environment, or a secret in it, and speaks to another machine."""
    if "_ENV" in code or "_PATH" in code:
        yield from _left_by_code(code, via)
    if not _ADDRESSED.search(code) and not (_WHOLE.search(code) and _SENDS.search(code)):
        return
    addresses = _ADDRESSES.findall(code)
    if not (addresses and all(addresses)):
        yield Command(("sends-environment",), code.strip()[:200], via=via)


def _left_by_code(code: str, via: tuple[str, ...]) -> Iterator[Command]:
    if _NAMED_FILE.search(code):
        yield from (Command(("export", line), line, via=via) for line in _LINES.findall(code))


def set_in_place(command: Command) -> Iterator[Command]:
    """What a program adds to such a file that it is told by name: `sed -i '1i NAME=value' "$GITHUB_ENV"`."""
    if any(map(_VARIABLES.match, command.words[1:])):
        for word in command.words[1:]:
            yield from (Command(("export", line), line, via=command.via) for line in _WITHIN.findall(word))
