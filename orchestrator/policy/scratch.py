"""Whether what a command empties was made to be emptied: a database or a project for tests, a passing repository.

Rule: what says so must be in the call's own words: a name with `test` in it (of the database, of the container that the
client is started in, of the project or its file), a file in a temporary folder, a framework's environment for tests.
What is on another host, and SQL that reaches beyond that database, is never such work.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from orchestrator.policy.repositories import is_passing
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
# `mysqladmin drop NAME`
_VERBS = frozenset(("drop", "create"))
_NAMES = frozenset(("-d", "-D", "--dbname", "--database"))
_HOST = re.compile(r"(?:-h|--host=|(?:PG|MYSQL_|MYSQL_TCP_)HOST=)(.*)", re.DOTALL)
_URL = re.compile(r"[a-z][a-z0-9+]*://(?:[^@/]*@)?(\[[^\]]*\]|[^:/?]*)(?::\d+)?/([^?]*)")
_LOCAL = frozenset(("localhost", "127.0.0.1", "::1", "[::1]"))
_TEST = re.compile(r"(?i)(?:.*[_-])?(?:tests?|testing|e2e)(?:\d*|[_-].*)")
# A statement about one whole database, which then is one that is named.
_DATABASE = re.compile(
    r"(?i)\b(?:drop|create)\s+database\s+(?:if\s+(?:not\s+)?exists\s+)?[`\"\[]?([\w-]+)[`\"\]]?(?=\s*(?:;|$))"
)
_CONTAINERS = frozenset(("docker", "podman", "nerdctl", "docker-compose", "podman-compose", "finch"))
_PROJECT = ("-p", "--project-name", "-f", "--file")
_ELSEWHERE = frozenset(("-H", "--host", "-c", "--context", "--connection", "--url"))
_BEYOND = re.compile(
    r"(?i)\b(?:program|database|role|user|system|tablespace|extension|language|(?:out|dump)file|shutdown|attach|use"
    r"|grant|getSiblingDB|adminCommand|getMongo|connect|admin|load_\w+|pg_\w+|lo_\w+|xp_\w+|sys\w*_exec)\b|\\|^\s*\."
)


def is_scratch(seen: Seen) -> bool:
    """Whether all that a command names is such."""
    words = seen.command.words[1:]
    if seen.name == "git":
        return is_passing(seen)
    if seen.name in _CONTAINERS:
        return _is_test_project(seen)
    if seen.name in _FRAMEWORKS:
        # A framework keeps the databases of its environments apart.
        return any(_TEST_ENVIRONMENT.fullmatch(f"{key}={value}") for key, value in seen.command.assigns)
    texts = (received(seen.command) or "", *seen.command.named, *_code(words))
    if any(_BEYOND.search(_DATABASE.sub("", text)) for text in texts):
        return False
    names = [*_databases(words), *(name for text in texts for name in _DATABASE.findall(text))]
    if seen.name in _FILES:
        return bool(names) and (names[0] == ":memory:" or seen.places.classify(names[0], False) == ("tmp",))
    if not _LOCAL.issuperset(_hosts(seen)):
        return False
    return _in_test_container(seen) or (bool(names) and all(map(_TEST.fullmatch, names)))


def _is_test_project(seen: Seen) -> bool:
    """`docker compose -p app_test …`, `docker volume rm app_test_data`."""
    words, assigned = seen.command.words, dict(seen.command.assigns)
    if "DOCKER_HOST" in assigned or not _ELSEWHERE.isdisjoint(words[1:3]):
        return False
    if seen.words_after_options[:1] == ("volume",):
        return len(seen.operands) > 2 and all(_is_test(words[at]) for at in seen.operands[2:])
    return any(map(_is_test, (*_project(words), assigned.get("COMPOSE_PROJECT_NAME", ""))))


def _project(words: tuple[str, ...]) -> Iterator[str]:
    """What names the project: itself, or its file."""
    yield from (value for option, value in pairwise(words) if option in _PROJECT)
    yield from (word.partition("=")[2] for word in words if word.startswith(("--project-name=", "--file=")))


def _is_test(name: str) -> bool:
    return any(map(_TEST.fullmatch, name.rpartition("/")[2].split(".")))


def _in_test_container(seen: Seen) -> bool:
    """Whether a client is started in a container for tests: `docker exec test-redis redis-cli …`."""
    around = seen.earlier[-1] if seen.earlier else None
    if around is None or around.name not in _CONTAINERS or "exec" not in around.words_after_options[:2]:
        return False
    own = around.command.words[: -len(seen.command.words)]
    return own + seen.command.words == around.command.words and (
        _is_test_project(around) or _is_test(next(iter(own[-1:]), ""))
    )


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
        elif word[:1] != "-" and word not in _VERBS:
            operands += 1
            if operands == 1:
                yield word
        at += 1
