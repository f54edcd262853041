"""Whether SQL text destroys data, changes who may do what, or leaves the database for a program or a file.

Rule: text is cut into words, strings and comments first, so that a `DROP TABLE` within a string or a comment is
data. Where dialects read a text in two ways (a backslash in a string), both ways are looked at. Nothing here knows
a schema: a DELETE is judged by whether its WHERE can be false.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

_LEXEMES = r"""
    (?P<space>\s+|--[^\n]*|/\*(?!!)(?:[^*]|\*(?!/))*\*/|/\*!\d*|\*/)
    |(?P<string>{string}|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$)
    |(?P<name>"(?:[^"]|"")*"|`[^`]*`)
    |(?P<word>[^\W\d][\w$]*)
    |(?P<number>\d[\w.]*)
    |(?P<mark><=>|<=|>=|<>|!=|==|.)
"""
_READINGS = tuple(
    re.compile(_LEXEMES.replace("{string}", string), re.VERBOSE | re.DOTALL)
    for string in (r"'(?:[^']|'')*'", r"'(?:[^'\\]|''|\\.)*'")
)
# Lines that the client itself obeys: a shell escape, or a pipe to a program.
_CLIENT = re.compile(
    r"""(?im)^\s*(?:system\s+\S|\.(?:system|shell|load)\b|\.(?:once|output|o|log|read|import)\s+['"]?\|)"""
)
_CLIENT_LETTERS = frozenset(("!", "gexec"))
_CLIENT_PIPES = frozenset(("o", "g", "gx", "w", "out", "write"))
_OBJECTS_WORDS = """
    aggregate assembly bucket certificate collection column columnfamily constraint continuous credential database
    domain event extension external foreign function graph group index keyspace language login materialized measurement
    operator owned package partition policy procedure publication role rule schema sequence series server stage stream
    subscription synonym table tables tablespace task topic trigger type user view warehouse
"""
_OBJECTS = frozenset(_OBJECTS_WORDS.split())
# What may stand before the first word of a statement.
_OPENERS = frozenset(("", ";", "(", ")", "begin", "then", "else", "loop", "analyze", "verbose", "immediate", "go"))
_PRIVILEGE = frozenset(("user", "role", "system", "login", "group"))
_FUNCTIONS_WORDS = """
    load_extension load_file lo_export lo_import pg_ls_dir pg_read_binary_file pg_read_file pg_terminate_backend
    sp_oacreate sp_configure sys_eval sys_exec writefile xp_cmdshell xp_regwrite
"""
_FUNCTIONS = frozenset(_FUNCTIONS_WORDS.split())
# Whatever these give back, it is not what stands there.
_MAKES_UP = frozenset(
    ("reverse", "unhex", "from_base64", "char", "chr", "decode", "aes_decrypt", "uncompress", "replace")
)
_SET = re.compile(r"(?m)^\s*\\set\s+(\w+)\s+'?([^'\n]*)'?\s*$")
_USED = re.compile(r"(?<!:):(['\"]?)(\w+)\b\1")
_SECRET_TABLES = frozenset(("pg_authid", "pg_shadow"))
_UNTRUSTED = re.compile(r"c|pl(?:python|perl)\w*u|plsh|plpythonu")
_COMPARE: dict[str, Callable[[object, object], bool]] = {
    "=": operator.eq, "==": operator.eq, "is": operator.eq, "<=>": operator.eq, "like": operator.eq,
    "<>": operator.ne, "!=": operator.ne,
}  # fmt: skip
_ORDER: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt, ">": operator.gt, "<=": operator.le, ">=": operator.ge,
}  # fmt: skip
_ALWAYS = frozenset(("true", "not false", "not 0", "exists ( select 1 )"))


@lru_cache(maxsize=256)
def destroys(text: str) -> bool:
    """Whether running this text, one statement or many, may destroy data, change rights or start a program."""
    if _CLIENT.search(text):
        return True
    values = dict(_SET.findall(text))
    if values:
        text = _USED.sub(lambda found: values.get(found[2], found[0]), text)
    readings = _READINGS if "\\" in text else _READINGS[:1]
    return any(_any_destroys(_cut(pattern, text)) for pattern in readings)


def _cut(pattern: re.Pattern[str], text: str) -> list[str]:
    """The tokens: words in lower case, quoted names without their quotes, strings with them."""
    tokens = []
    for found in pattern.finditer(text):
        kind = found.lastgroup
        if kind == "word":
            tokens.append(found.group().lower())
        elif kind == "name":
            # A name in quotes is never a keyword.
            tokens.append('"' + found.group()[1:-1])
        elif kind != "space":
            tokens.append(found.group())
    return tokens


def _any_destroys(tokens: list[str]) -> bool:
    return any(_destroys_at(tokens, at) for at in range(len(tokens)))


def _destroys_at(tokens: list[str], at: int) -> bool:
    """Whether a statement, or the part of one, that begins with this piece destroys."""
    word, after = tokens[at], tokens[at + 1 : at + 4]
    following = after[0] if after else ""
    if word == "\\":
        return following in _CLIENT_LETTERS or (following in _CLIENT_PIPES and after[1:2] == ["|"])
    if word == "drop":
        return following in _OBJECTS or (following == "all" and after[1:2] == ["objects"])
    if word in _FUNCTIONS:
        return word in ("xp_cmdshell", "sp_configure") or following == "("
    if (word, following) in (("delete", "from"), ("detach", "delete"), ("truncate", "table")):
        return word != "delete" or _unlimited(tokens, at)
    if word in _SECRET_TABLES or (word == "into" and following in ("outfile", "dumpfile")):
        return True
    if word == "program":
        return "copy" in tokens[:at]
    before = tokens[at - 1] if at else ""
    return (before in _OPENERS or not before[0].isalnum()) and word in _HEADS and _HEADS[word](tokens, at)


def _statement(tokens: Sequence[str], at: int) -> Iterator[tuple[str, int]]:
    """The tokens of the statement that begins here, each with its depth in brackets; it ends at `;` or where a
    bracket closes that was open before."""
    depth = 0
    for piece in tokens[at:]:
        if piece == ";" or (piece == ")" and depth == 0):
            return
        depth += (piece == "(") - (piece == ")")
        yield piece, depth


def _unlimited(tokens: Sequence[str], at: int) -> bool:
    """Whether a DELETE or UPDATE meets every row: it has no WHERE of its own, or one that is always true."""
    words = list(_statement(tokens, at))
    where = next((index for index, (piece, depth) in enumerate(words) if piece == "where" and depth == 0), None)
    if where is None:
        return True
    condition = []
    for piece, depth in words[where + 1 :]:
        if depth == 0 and piece in ("returning", "limit", "order"):
            break
        condition.append(piece)
    return not condition or _always(condition)


def _always(condition: list[str]) -> bool:
    while condition[:1] == ["("] and _closes_last(condition):
        condition = condition[1:-1]
    for connective, decide in (("or", any), ("and", all)):
        parts = _split(condition, connective)
        if len(parts) > 1:
            return decide(map(_always, parts))
    return _tautology(condition)


def _closes_last(condition: list[str]) -> bool:
    depth = 0
    for at, piece in enumerate(condition):
        depth += (piece == "(") - (piece == ")")
        if depth == 0:
            return at == len(condition) - 1
    return False


def _split(condition: list[str], connective: str) -> list[list[str]]:
    parts: list[list[str]] = [[]]
    depth, between = 0, False
    for piece in condition:
        depth += (piece == "(") - (piece == ")")
        between |= piece == "between"
        if depth == 0 and piece == connective and not (between and piece == "and"):
            parts.append([])
        else:
            between = between and piece != "and"
            parts[-1].append(piece)
    return parts


def _tautology(words: list[str]) -> bool:
    if len(words) == 1:
        return words[0] == "true" or (words[0][0].isdigit() and float(_number(words[0])) != 0)
    if " ".join(words) in _ALWAYS or words[-2:] == ["like", "'%'"]:
        return True
    if words[0].endswith("id") and " ".join(words[1:]) in ("is not null", "> 0", ">= 0", "<> 0", "!= 0", "> - 1"):
        return True
    if len(words) != 3:
        return False
    left, sign, right = words
    literal = left[0] in "'0123456789" and right[0] in "'0123456789"
    if sign in _ORDER and literal:
        return _ORDER[sign](_number(left), _number(right))
    if sign in ("<>", "!="):
        return literal and left != right
    return sign in _COMPARE and left == right


def _number(text: str) -> float:
    try:
        return float(text.strip("'"))
    except ValueError:
        return 1.0


def _truncates(tokens: list[str], at: int) -> bool:
    return at + 1 < len(tokens) and tokens[at + 1] not in ("(", ";", ",", ".")


def _deletes(tokens: list[str], at: int) -> bool:
    return at + 1 < len(tokens) and tokens[at + 1] not in ("(", ";") and _unlimited(tokens, at)


def _updates(tokens: list[str], at: int) -> bool:
    return "set" in tokens[at + 1 : at + 12] and _unlimited(tokens, at)


def _alters(tokens: list[str], at: int) -> bool:
    words = [piece for piece, _ in _statement(tokens, at)]
    if words[1:2] and words[1] in _PRIVILEGE:
        return True
    if "delete" in words and _unlimited(tokens, at + words.index("delete")):
        return True
    drops = [words[i + 1] for i, word in enumerate(words[:-1]) if word == "drop"]
    return any(what not in ("not", "default", "identity", "expression") for what in drops) or (
        "disable" in words and "security" in words
    )


def _creates(tokens: list[str], at: int) -> bool:
    words = [piece for piece, _ in _statement(tokens, at)]
    if words[1:2] and words[1] in _PRIVILEGE:
        return bool({"superuser", "sysadmin", "createrole"} & set(words))
    kinds = set(words[1:5])
    if kinds & {"function", "procedure", "language", "extension"}:
        named = [words[i + 1].strip("\"'") for i, word in enumerate(words[:-1]) if word in ("language", "extension")]
        bodies = [piece for piece, _ in _statement(tokens, at) if _is_text(piece)]
        return (
            "soname" in words
            or any(destroys(_body(piece)) for piece in bodies if " " in piece)
            or any(_UNTRUSTED.fullmatch(name) for name in named)
        )
    return False


def _runs(tokens: list[str], at: int) -> bool:
    """EXEC, EXECUTE and PREPARE of a text: the text is SQL of its own, perhaps put together from pieces."""
    own = [piece for piece, _ in _statement(tokens, at) if _is_text(piece)]
    # What a variable holds, something before has put together.
    strings = own or [piece for piece in tokens[:at] if _is_text(piece)]
    if not own and strings and not _MAKES_UP.isdisjoint(tokens[:at]):
        return True
    return destroys("".join(_body(piece) for piece in strings)) if strings else False


def _is_text(piece: str) -> bool:
    return piece[0] in "'$" and len(piece) > 2


def _does(tokens: list[str], at: int) -> bool:
    """DO runs a whole block; what it executes is in there as code or as text."""
    blocks = [_body(piece) for piece in tokens[at + 1 : at + 4] if piece[0] in "'$"]
    texts = [_body(inner) for block in blocks for inner in _cut(_READINGS[0], block) if inner[0] == "'"]
    return any(map(destroys, (*blocks, *texts)))


def _body(piece: str) -> str:
    """What is within a string, or between dollar quotes."""
    if piece[0] == "$":
        mark = piece[: piece.index("$", 1) + 1]
        return piece[len(mark) : -len(mark)]
    return piece[1:-1].replace("''", "'")


def _follows(*words: str) -> Callable[[list[str], int], bool]:
    return lambda tokens, at: tokens[at + 1 : at + 2] != [] and tokens[at + 1] in words


def _is_statement(tokens: list[str], at: int) -> bool:
    return at == 0 or tokens[at - 1] != "("


def _merges(tokens: list[str], at: int) -> bool:
    return any(piece == "delete" for piece, _ in _statement(tokens, at))


_HEADS: dict[str, Callable[[list[str], int], bool]] = {
    "truncate": _truncates, "delete": _deletes, "update": _updates, "alter": _alters, "create": _creates,
    "grant": _is_statement, "revoke": _is_statement, "deny": _is_statement, "shutdown": _is_statement,
    "reset": _follows("master", "slave", "replica", "binary"), "purge": _follows("binary", "master", "table"),
    "flush": _follows("tables"), "install": _follows("plugin", "component"), "merge": _merges,
    "exec": _runs, "execute": _runs, "prepare": _runs, "do": _does,
}  # fmt: skip
