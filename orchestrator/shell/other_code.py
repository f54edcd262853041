"""Code in other languages on a command line: what it visibly runs, deletes and writes, by careful patterns.

Rule: these languages are not parsed. A string that is handed to a shell is read as a script, a path that is
deleted as `rm`; that finds the plain cases, and rules on the code itself ask for approval of the rest.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from orchestrator.shell.command import Command, Redirect

_STRING = r"""(?:"((?:\\.|[^"\\])*)"|'((?:\\.|[^'\\])*)'|`((?:\\.|[^`\\])*)`|q[qx]?[{(]([^})]*)[})])"""
_RUNS = re.compile(
    r"(?:\b(?:exec|execSync|system|popen|shell_exec|passthru|proc_open|spawn|spawnSync|execFile|execFileSync|"
    r"IO\.popen|os\.execute|io\.popen|Open3\.\w+|\$|doShellScript)\s*\(?\s*)" + _STRING + r"(\s*,\s*[\[\"'][^)\]]*)?"
)
_BACKTICKS = re.compile(r"`([^`]+)`|%x[({\[]([^)}\]]+)|\bqx[({/]([^)}/]+)")
_DELETES = re.compile(
    r"\b(?:rmSync|rm|rmdirSync|rmdir|unlinkSync|unlink|rm_rf|rm_r|rmtree|remove_tree|remove_dir|removeSync|"
    r"remove_entry_secure|remove_entry|delete|File\.delete|os\.remove|rimraf)\s*\(?\s*" + _STRING
)
_WRITES = re.compile(
    r"\b(?:writeFileSync|writeFile|appendFileSync|appendFile|createWriteStream|File\.write|file_put_contents)"
    r"\s*\(\s*" + _STRING
)
_READS = re.compile(r"\b(?:readFileSync|readFile|createReadStream|File\.read|IO\.read|file_get_contents|readfile)"
                    r"\s*\(\s*" + _STRING)  # fmt: skip
_PIECES = re.compile(_STRING)
_HOME = re.compile(
    r"(?:process\.env\.HOME|os\.homedir\(\)|ENV\[['\"]HOME['\"]\]|\$ENV\{HOME\}|Dir\.home)(?:\s*[+.]\s*)?"
)


def other_commands(code: str, language: str, via: tuple[str, ...]) -> Iterator[Command | str]:
    """What the code would run: commands, and scripts for a shell. `language` is the interpreter's name."""
    for found in _RUNS.finditer(code):
        script = _string(found.groups()[:4])
        rest = [_string(item.groups()) for item in _PIECES.finditer(found.group(5) or "")]
        yield Command((script, *rest), found.group(), via=via) if rest else script
    if language not in ("node", "nodejs", "bun", "deno"):
        for found in _BACKTICKS.finditer(code):
            yield _string(found.groups())
    code = _HOME.sub("'~'", code).replace("'~''", "'~").replace("'~'\"", '"~')
    for found in _DELETES.finditer(code):
        yield _command(("rm", "-r"), _string(found.groups()), found.group(), via)
    for found in _READS.finditer(code):
        yield _command(("cat",), _string(found.groups()), found.group(), via)
    for found in _WRITES.finditer(code):
        path = _string(found.groups())
        yield Command(("cat",), found.group(), redirects=(Redirect(">", path, path[:1] == "~"),), via=via)


def _command(words: tuple[str, ...], path: str, text: str, via: tuple[str, ...]) -> Command:
    return Command((*words, path), text, (len(words),) if path[:1] == "~" else (), via=via)


def _string(groups: tuple[str | None, ...]) -> str:
    return next((text for text in groups if text is not None), "").replace('\\"', '"').replace("\\'", "'")
