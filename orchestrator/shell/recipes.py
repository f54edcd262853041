"""Files that some program carries out, whatever their format: justfiles, playbooks, units, crontabs, HCL, ninja, tox.

Rule: no format is parsed. A name to which the text gives a path is put in where it is used. Then a line counts that
begins with a program that matters, once what formats put before it is taken away (a key, a schedule, a mark of a list,
quotes), and so does a string that starts one. What is a title or a message is neither.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from orchestrator.shell.shells import SHELLS
from orchestrator.shell.strangers import matters

_BEFORE = re.compile(r"^\s*(?:-\s+)*(?:[\w.-]+\s*(?::(?!/)|=>?|:=)\s*)?(?:\[\s*)?[\"'|>]*\s*[@+!-]*(?:\bBUILTIN\s+)?")
_STARTED = re.compile(r"(?:^|[,\s])(?:Exec\w*|RUN|PROGRAM|ProxyCommand|LocalCommand)\s*[+:]?=?\s*[\"'-]*(.+?)[\"']*$")
_SCHEDULE = re.compile(r"^\s*(?:@\w+|(?:[\d*/,-]+|\w{3}(?:-\w{3})?)(?:\s+(?:[\d*/,-]+|\w{3}(?:-\w{3})?)){4})\s+(.*)$")
_NO_USER = re.compile(r"^(?:root|\w+)\s+(?=\S)")
# What a unit of systemd does with the machine once it has ended, failed or waited too long.
_ACTION = re.compile(
    r"\s*(?:\w+Action\s*=\s*|(?:Unit|OnFailure|OnSuccess)\s*=\s*(?=[\w-]+\.target))(reboot|poweroff|halt|kexec|soft-reboot)\b"
)
_OPENED_BY = {'"': '"', "'": "'", "]": "["}
_MAX_LINES = 500
_STRING = re.compile(r"\"((?:\\.|[^\"\\\n])*)\"|'((?:\\.|[^'\\\n])*)'")
_STARTS = re.compile(
    r"(?:^[!@%+]*|[;&|(]|\b(?:then|do|else|sudo|exec|time|nohup)\s)\s*(?:[\w./]*/)?([\w.+-]+)\s+(?=[-/~$]|\.\.?(?:[/\s]|$)|of=)"
)
_TITLES = "name|desc\\w*|title|help|summary|message|msg|label|comment|about|doc"
_TITLE = re.compile(rf"\s*(?:-\s+)?[\"']?(?:{_TITLES})[\"']?\s*[:=]", re.IGNORECASE)
_SAYS = re.compile(
    rf"\b(?:echo|print\w*|puts|say|log\w*|info|warn\w*|error|fail|debug|assert\w*|expect|{_TITLES})[\"']?\s*[(:=]*\s*$",
    re.IGNORECASE,
)
# `Run    rm -rf x`: what stands in a column of its own.
_COLUMN = re.compile(r"(?:\s{2,}|\t)((?:[\w./]*/)?([\w.+-]+)\s+(?:[-/~$]|of=).*)")
# `[rm, -rf, x]`: the words of a command, as lists of YAML and JSON have them.
_LIST = re.compile(r"[\s\w:-]*?\[([^\[\]]*)\],?\s*")
# Salt calls by this name what it runs.
_RUN_BY_NAME = re.compile(r"\bcmd\.(?:run|script|wait)\b")
_COMMENT = re.compile(r"<!--.*?-->")
_DELETES = re.compile(r"<delete\s[^<>]*\b(?:dir|file)=[\"']([^\"']+)[\"'][^<>]*>")
_TAG = re.compile(r"<(/?(?:exec|target|configuration|execution|java|taskdef)\b)?[^<>]*>")
_VALUE = re.compile(r"\b(?:executable|line|value|command|path)=[\"']([^\"']*)[\"']")
_PLACE = r"(?:[/~][\w./*~-]*|\$HOME(?:/[\w./*-]*)?)"
# `NAME = /x`, `NAME := /x`, `name: "/x"`, `set(NAME /x)`, `{ name = "/x" }`, `variable "name" { default = "/x" }`
_GIVEN = re.compile(
    rf"(?m)(?:^|[{{,(;])[ \t]*(?:-[ \t]+)?(?:(?:export|local|let|var|const|def|set)[ \t(]+)?\$?([A-Za-z_][\w-]*)[\"']?"
    rf"[ \t]*[:?+]?[:=\s][ \t]*[\"']?({_PLACE})[\"']?(?=[ \t]*(?:[,;)}}#]|$))"
    rf"|\bvariable\s+\"(\w+)\"\s*\{{[^{{}}]*?\bdefault\s*=\s*\"({_PLACE})\""
)
# `$(NAME)`, `${NAME}`, `${var.NAME}`, `{{ .NAME }}`, `{{ NAME | filter }}`, `#{NAME}`, `%(NAME)s`, `@NAME@`, `$NAME`
_USED = re.compile(
    r"\$?\{\{-?\s*\.?(?:[\w-]+\.)*([A-Za-z_][\w-]*)\s*(?:\|[^{}\n]*)?-?\}\}|[$#]?\{(?:[\w-]+[.:])*([A-Za-z_][\w-]*)\}"
    r"|[$%]\(([A-Za-z_][\w-]*)\)s?|@([A-Za-z_]\w*)@|\$([A-Za-z_]\w*)"
)
_HOME = re.compile(
    r"(?:\$\{\{|\{\{-?|[$#]\{|\$\()[^{}\n]{0,30}?(?:\bHOME\b|[\"']~/?[\"'])[\"')\s]*-?(?:\}\}|\}|\))|(?<!\w)\{(?:env:)?HOME\}"
)


def settled(text: str) -> str:
    """The text with the paths put in that it gives to names, and with `$HOME` for each way to ask for that."""
    text = _HOME.sub("$HOME", text)
    given = {one or other: path or value for one, path, other, value in _GIVEN.findall(text)}
    return _USED.sub(lambda found: given.get(found[found.lastindex or 0], found[0]), text) if given else text


def recipe_lines(text: str) -> Iterator[str]:
    """What of a text starts a program that matters, as scripts."""
    text = settled(text.replace("\\\n", " "))
    if text.lstrip()[:1] == "<":
        text = _of_elements(text)
    named = _RUN_BY_NAME.search(text)
    for line in text.splitlines()[:_MAX_LINES]:
        if named or not _TITLE.match(line):
            yield from _of_line(line)


def _of_elements(text: str) -> str:
    """XML as lines of words: what its attributes and elements say, one program a line."""
    text = _DELETES.sub(r"\nrm -r \1\n", _COMMENT.sub("", " ".join(text.split())))
    return _TAG.sub(lambda tag: " ".join(("\n" * bool(tag[1]), *_VALUE.findall(tag[0]), "")), text)


def _of_line(line: str) -> Iterator[str]:
    if found := _ACTION.match(line):
        yield f"systemctl {found.group(1)}"
    if found := _SCHEDULE.match(line):
        line = found.group(1)
        if not _matters(line) and _matters(shorter := _NO_USER.sub("", line)):
            line = shorter
    started = _STARTED.search(line)
    for script in (line.strip(), started.group(1) if started else "", _closed(_BEFORE.sub("", line).strip())):
        if _matters(script):
            yield script
            return
    if (column := _COLUMN.search(line.strip())) and matters(column.group(2)):
        yield column.group(1)
        return
    if listed := _LIST.fullmatch(line):
        words = [word.strip("\"' ") for word in listed.group(1).split(",")]
        if _matters(script := " ".join(words)):
            yield script
            return
    if line.lstrip()[:1] not in ("#", ";", "/", "*"):
        yield from _of_strings(line)


def _closed(text: str) -> str:
    """The text without the quotes and brackets at its end that nothing in it opens."""
    while text[-1:] in _OPENED_BY and text.count(_OPENED_BY[text[-1]]) < max(text.count(text[-1]), 2):
        if text[-1] != "]" and text.count(text[-1]) % 2 == 0:
            break
        text = text[:-1].rstrip()
    return text


def _of_strings(line: str) -> Iterator[str]:
    for found in _STRING.finditer(line):
        said = found.group(1) or found.group(2) or ""
        starts = (matters(program.group(1)) for program in _STARTS.finditer(said))
        if any(starts) and not _SAYS.search(line[: found.start()]):
            yield said.replace('\\"', '"').lstrip("!@%+")


def settings_of(text: str) -> Iterator[str]:
    """The settings of an INI or TOML file as `section.key=value`."""
    section = ""
    for line in text.splitlines()[:_MAX_LINES]:
        if found := re.match(r"\s*\[+([^\]]*)\]+", line):
            section = found.group(1).strip() + "."
        elif (found := re.match(r"\s*([^#;=\s][^=]*?)\s*[=:]\s*(.*?)\s*$", line)) and "=" in line:
            yield f"{section}{found.group(1)}={found.group(2).strip(chr(34))}"


def _matters(script: str) -> bool:
    words = script.split(maxsplit=1)
    name = words[0].rpartition("/")[2] if words else ""
    return (len(words) > 1 and words[1][0] != "{" and (matters(name) or name in SHELLS)) or name in (
        "reboot",
        "poweroff",
        "halt",
        "shutdown",
    )
