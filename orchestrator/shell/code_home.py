"""How code of any language asks for the home folder, and what it gives to names: put in where they are used.

Rule: text in, text out. A look-up of the home folder becomes the string `"~"`, strings that are joined become one, and
a name to which a path or a command was given becomes that string. What is no path and no command is left alone.
"""

from __future__ import annotations

import re
from functools import partial

_NAME = r"[\"']?(?:HOME|user\.home|USERPROFILE)[\"']?"
# `os.Getenv("HOME")`, `env::var("HOME").unwrap()`, `ENV["HOME"]`, `$ENV{HOME}`, `$::env(HOME)`, `Sys.getenv "HOME"`
_ASKED = (
    r"(?:\\?\$?(?<!\w)(?!\.)[\w.:/>!-]{0,30}?(?:[eE]nv|ENV|[eE]nviron|getProperty)\w*[!?]?"
    r"(?:\.get|\.fetch|\.var|\.value|::var|::var_os)?"
    rf"(?:\s*[\[({{]\s*(?:ENV\s*,\s*)?{_NAME}(?:\s*,[^()]*)?\s*[\])}}]|\s+[\"']HOME[\"']|\.HOME\b))"
)
_CALLED = "UserHomeDir homedir home_dir user_home getHomeDir getHomeDirectory NSHomeDirectory path_home user_home_dir"
_NAMED = (
    rf"\b[\w.:/]{{0,40}}?\b(?:{'|'.join(_CALLED.split())})[!?]?\(\)|\bgetHomeDirectory\b|\b[\w.]{{0,40}}\.(?:homedir|HomeDir)\b(?!\()"
    r"|\brequire\([\"'](?:node:)?os[\"']\)\.(?:homedir\(\)|userInfo\(\)\.homedir)"
    r"|\bos\.userInfo\(\)\.homedir|\b\w+\(\w*\(?\)?\)(?:->|\.)pw_dir\b|\b[\w.]{0,40}homeDirectoryForCurrentUser(?:\.path)?"
    r"|\b(?:Dir|Path)\.home\b(?:\(\))?|\[Environment\]::GetFolderPath\([^)]*\)|Environment\.GetFolderPath\([^)]*UserProfile\)"
    r"|\$env:(?:HOME|USERPROFILE)\b|\bENV\.fetch\([\"']HOME[\"'][^()]*\)"
    r"|\b(?:path\.expand|normalizePath|fnamemodify|expand(?:_path|user)?)\(\s*[\"'](?:~|\$HOME)/?[\"'][^()]*\)"
    r"|\(user-homedir-pathname\)|\(find-system-path\s+(?:'|\(quote\s+)home-dir\)?\)|\[file normalize ~\]"
    r"|\(expand-file-name\s+\"~/?\"\)|\(System/get\w+\s+\"(?:HOME|user\.home)\"\)|\(getenv\s+\"HOME\"\)"
    r"|(?<=[(,])\s*\$HOME(?=\s*[,)])"
)
_MORE = (
    r"(?:\.(?:unwrap|expect|to_s|str|get|orElse|to_str|unwrap_or_default|path|toString|c_str)\b(?:\([^()]*\))?|!(?!=))*"
)
_LOOKED_UP = re.compile(rf"(?:{_NAMED}|{_ASKED}){_MORE}")
_WORTH = re.compile(r"HOME|[hH]ome|pw_dir|HOME|USERPROFILE|UserProfile|expand")
_JOINED = r"(\"[^\"\n]*|'[^'\n]*)[\"']\s*(?:\.\.|\+\+?|\.|<>|\^|~|&|\|\|)%s\s*\"~\""
_BEFORE = re.compile(_JOINED % "")
# In awk, strings that stand beside each other are joined.
_BESIDE = re.compile(_JOINED % "?")
_AFTER = re.compile(r"\"~\"\s*(?:\.\.|\+\+?|\.|<>|\^|~|&|\|\|)\s*([\"'])")
# A look-up within a string: `"$ENV{HOME}/x"`.
_NESTED = re.compile(r"\"\"~\"([^\"\n]*)\"")
_WITHIN = re.compile(r"(?:[#$]\{|\\\(|\{)\s*\"~\"\s*[})]")
_ASSIGNED = re.compile(
    r"(?:^|[\s;({*&:])([A-Za-z_]\w*)(?:\s*,\s*\w+)?(?:\s*:\s*[\w:.<>\[\]&*]+)?\s*(?::=|=(?!=)|<-|\s(?=\"~\"\s*\)))\s*"
    r"(\"(?:(?:[~/]|(?:policy|skills|state|config)/)[^\"\n]*|\w+ [^\"\n]*)\"|'(?:[~/][^'\n]*|\w+ [^'\n]*)')"
)
_SET = re.compile(r"(?:^|[;\n])\s*set\s+(\w+)\s+(\"~\"|~|/[\w./]*)(?=\s|;|$)")
_FORMATTED = re.compile(
    r"(?:Sprintf|format!?|sprintf|sprintf!|Printf\.sprintf)\s*\(?\s*(\"[^\"\n]*?)(?:%s|\{\}|%v)([^\"\n]*\")\s*,?\s*\"~\"\s*\)?"
)
# C says first where the text goes to.
_INTO = re.compile(r"\b\w*printf\s*\([^()\"]*,\s*(\"[^\"\n]*?)%s([^\"\n]*\")\s*,\s*\"~\"")
_MAX_NAMES = 20


def with_home(code: str, beside: bool = False) -> str:
    """The code with look-ups of the home folder, and strings that are joined to it, made plain."""
    if not _WORTH.search(code):
        return code
    code = _NESTED.sub(r'"~\1"', _WITHIN.sub("~", _LOOKED_UP.sub('"~"', code)))
    code = _AFTER.sub(
        r"\1~", (_BESIDE if beside else _BEFORE).sub(lambda found: f"{found.group(1)}~{found.group(1)[0]}", code)
    )
    return _INTO.sub(r"made(\1~\2", _FORMATTED.sub(r"\1~\2", code))


def with_names_known(code: str, beside: bool = False) -> str:
    """The same with paths and commands put in for the names to which the code gives them."""
    code = with_home(code, beside)
    for name, value in [*_ASSIGNED.findall(code)[:_MAX_NAMES], *_SET.findall(code)[:_MAX_NAMES]]:
        used = rf"(?:(?<=[(,\s\[&*=])|(?<=>>= ))\$?{name}(?=\s*(?:[),;\]\n|}}]|\.\w|$))"
        within = rf"\$\{{{name}\}}|#\{{{name}\}}|\\\({name}\)"
        code = re.sub(within, partial(_instead, value.strip("\"'")), re.sub(used, partial(_instead, value), code))
    return _FORMATTED.sub(r"\1~\2", code)


def _instead(text: str, _: re.Match[str]) -> str:
    return text
