"""Whether a database client works on a database that was made to be emptied: one for tests, on this machine.

Rule: what says so must be in the client's own words: a local host, and a name with `test` in it (or a file in a
temporary folder, or a framework's environment for tests). SQL that reaches beyond that database is never such work.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from orchestrator.policy.scene import Seen
from orchestrator.shell import received

_FILES = frozenset(("sqlite3", "sqlite", "duckdb"))
_FRAMEWORKS = frozenset(("rails", "rake", "bundle", "mix", "php", "artisan", "console", "sequelize", "knex"))
_TEST_ENVIRONMENT = re.compile(r"(?:RAILS|RACK|MIX|APP|NODE)_ENV=test(?:ing)?")
_VALUES_WORDS = """
    -h -U -u -c -e -f -v -o --host --port --user --username --command --execute --eval --set --query -P --file
    --owner -O -T -l --template --locale --maintenance-db
"""
_VALUES = frozenset(_VALUES_WORDS.split())
_NAMES = frozenset(("-d", "-D", "--dbname", "--database"))
_HOST = re.compile(r"(?:-h|--host=|(?:PG|MYSQL_|MYSQL_TCP_)HOST=)(.*)", re.DOTALL)
_URL = re.compile(r"[a-z][a-z0-9+]*://(?:[^@/]*@)?(\[[^\]]*\]|[^:/?]*)(?::\d+)?/([^?]*)")
_LOCAL = frozenset(("localhost", "127.0.0.1", "::1", "[::1]"))
_TEST = re.compile(r"(?i)(?:.*[_-])?(?:tests?|testing|e2e)(?:\d*|[_-].*)")
_BEYOND = re.compile(
    r"(?i)\b(?:program|database|role|user|system|tablespace|extension|language|(?:out|dump)file|shutdown|attach|use"
    r"|grant|getSiblingDB|adminCommand|getMongo|connect|admin|load_\w+|pg_\w+|lo_\w+|xp_\w+|sys\w*_exec)\b|\\|^\s*\."
)


def is_scratch(seen: Seen) -> bool:
    """Whether all that a client names is such a database."""
    words = seen.command.words[1:]
    if seen.name in _FRAMEWORKS:
        # A framework keeps the databases of its environments apart.
        return any(_TEST_ENVIRONMENT.fullmatch(f"{key}={value}") for key, value in seen.command.assigns)
    if any(map(_BEYOND.search, (received(seen.command) or "", *seen.command.named, *_code(words)))):
        return False
    names = list(_databases(words))
    if seen.name in _FILES:
        return bool(names) and (names[0] == ":memory:" or seen.places.classify(names[0], False) == ("tmp",))
    hosts = list(_hosts(seen))
    return bool(hosts) and bool(names) and _LOCAL.issuperset(hosts) and all(map(_TEST.fullmatch, names))


def _code(words: tuple[str, ...]) -> Iterator[str]:
    return (word for word in words if " " in word or "(" in word or word[:1] in ("\\", "."))


def _hosts(seen: Seen) -> Iterator[str]:
    words = (*seen.command.words[1:], *(f"{key}={value}" for key, value in seen.command.assigns))
    for at, word in enumerate(words):
        if url := _URL.match(word):
            yield url.group(1)
        elif found := _HOST.match(word):
            yield found.group(1) or "".join(words[at + 1 : at + 2])
        elif word == "--host":
            yield "".join(words[at + 1 : at + 2])


def _databases(words: tuple[str, ...]) -> Iterator[str]:
    """The databases named: by an option, in an address, or else by the first operand."""
    at, operands = 0, 0
    while at < len(words):
        word, after = words[at], words[at + 1 : at + 2]
        option, _, value = word.partition("=")
        if option in _NAMES:
            at += not value
            yield value or "".join(after)
        elif word in _VALUES or (word == "-p" and after and after[0].isdigit()):
            at += 1
        elif url := _URL.match(word):
            operands += 1
            yield url.group(2)
        elif word[:1] != "-":
            operands += 1
            if operands == 1:
                yield word
        at += 1
