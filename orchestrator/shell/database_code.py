"""Code that speaks to databases: the statements that it hands over, and the calls that empty one.

Rule: found in code that is given on a command line or that the script has written, in whatever language. Code that
names a database of its own (in memory, or made for tests on this machine) is let be.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from orchestrator.shell.command import Command

_OWN = re.compile(
    r":memory:|\b(?:sqlite3|testcontainers|fakeredis|mongomock|pytest)\b|sqlite:/{0,3}[\"']"
    r"|(?:localhost|127\.0\.0\.1)[^\"'\s]*/(?:\w*[_-])?tests?(?:[_-]\w*)?\b"
)
# Strings that are put together from pieces: `'DROP' + ' TABLE'`, `"a" . "b"`, `'a' || 'b'`.
_JOINT = re.compile(r"([\"'`])\s*(?:\+|\.|\|\|)\s*\1")
# Calls by a name that is a string: `getattr(x, "drop")(…)`, `x["drop"](…)`.
_BY_NAME = re.compile(r"\bgetattr\(\s*[\w.\[\]()\"']+\s*,\s*[\"'](\w+)[\"']\s*\)\s*\(|\[\s*[\"'`](\w+)[\"'`]\s*\]\s*\(")
# Strings with blanks in them are text, whatever calls they speak of.
_PROSE = re.compile(r"\"[^\"\n]*\s[^\"\n]*\"|'[^'\n]*\s[^'\n]*'")
_STATEMENT = re.compile(
    r"[.>:]\s*(?:execute\w*|exec\w*|\$?(?:execute|query)Raw\w*|query\w*|raw|do|run|none|any|statement|unprepared|"
    r"prepare|select_all|cypher|command)\s*(?:\(|\s)\s*(?:[\w.]*(?:text|SQL|sql|raw)\s*\(?\s*)?[rfbu]?"
    r"(?:\"\"\"(.+?)\"\"\"|'''(.+?)'''|\"((?:[^\"\\]|\\.)+)\"|'((?:[^'\\]|\\.)+)'|`([^`]+)`)",
    re.DOTALL,
)
_EMPTIES = re.compile(
    r"[.>:]\s*(?:dropDatabase|drop_database|drop_all|drop_?[cC]ollection|dropTable\w*|dropSchema|drop_table|drop_schema"
    r"|drop_index|flush_?[aA]ll|flush_?[dD]b|delete_all|destroy_all|delete_by_query)\b\s*[(;\n\"']?"
    r"|\.(?:deleteMany|delete_many)\(\s*(?:\{\s*\}\s*)?[,)]|\.remove\(\s*\{\s*\}\s*[,)]"
    r"|\bsequelize\.drop\(|\bsync\(\s*\{[^}]*force\W+true|\.objects\.(?:all\(\)\.)?delete\(\)|\.all\(\)\.delete\(\)"
    r"|(?:collection\([^()]*\)|[\w\]]\[[\"'][^\]]*\]|\bdb\.\w+)\.drop\(\s*\)"
    r"|call_command\(\s*[\"'](?:flush|reset_db|sqlflush|zero)[\"']"
    r"|\.(?:execute_command|send_?[cC]ommand|call|executeCommand|do)\(\s*\[?\s*[\"'](?i:flushall|flushdb)[\"']|indices\.delete\(|table\([^()]*\)(?:->|\.)(?:truncate|delete)\(\s*\)|\.Table\([^()]*\)\.delete\(\)"
    r"|(?:containers|volumes|images|networks)\.prune\(|privileged\s*=\s*True|[\"']?Privileged[\"']?\s*:\s*true"
)


def database_commands(code: str, via: tuple[str, ...]) -> Iterator[Command]:
    """The facts about databases in code: `sql-text` with a statement, `empties-database` with a call."""
    if ("(" not in code and "." not in code) or _OWN.search(code):
        return
    code = _BY_NAME.sub(lambda found: f".{found[1] or found[2]}(", _JOINT.sub("", code))
    for found in _STATEMENT.finditer(code):
        text = next(filter(None, found.groups()))
        if code[found.end() :].lstrip()[:1] in ("+", "%", "."):
            text += "unknown"
        yield Command(("sql-text", text), found.group(), via=via)
    for found in _EMPTIES.finditer(_PROSE.sub("''", code)):
        yield Command(("empties-database", found.group()), found.group(), via=via)
