"""What code destroys and starts in languages that nobody here parses: by a word that says so and a string beside it.

Rule: the same few shapes for all languages: the word and then the path (`remove_all("/usr")`), the path and then the
word (`File("/usr").deleteRecursively()`), and a program with its arguments, as one string or as several. Whoever
prints such a string does not run it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from orchestrator.shell.code_acts import deletes
from orchestrator.shell.command import Command

_TEXT = r"(?:\"((?:\\.|[^\"\\\n])*)\"|'((?:\\.|[^'\\\n])*)')"
_WORDS_TEXT = r"""
    remove_all remove_dir_all remove_tree RemoveAll removeAll rmtree rm_rf!? rm_r removeDir rmDir rmdir_all rmdirRecurse
    removeDirectoryRecursive removePathForcibly del_dir_r deleteDir deleteDirectory deleteRecursively deleteTree
    deleteTreeAbsolute delete-tree delete-directory(?:/files|-tree)? delete_directory_and_contents delete_directory
    removeItem removeSync rmSync rimraf(?:\.sync)? emptyDirSync f-delete REMOVE_RECURSE unlink rmdir deltree
    Directory\.Delete DirectoryInfo file\s+delete(?:\s+-force)?(?:\s+--)? Remove-Item(?:\s+-\w+)* File\.rm_rf!?
    delete rm deleteSync
"""
_WORDS = "|".join(_WORDS_TEXT.split())
# Calls and options that may stand between the word and its path: `(Path(`, `(atPath: `, `[glob `, `(&`.
_BETWEEN = (
    r"[\s(\[{&!']*(?:[\w.:-]+[!]?\s*[(:=]\s*|\(?(?:fs::)?path\s*|\[\s*glob\s+(?:-\w+\s+)*|\{\*\}|-\w+\s+|\$?\(){0,3}"
)
# What makes another path of it: `("~", ".cache")`, `"~" + x`, `"/usr" / "x"`.
_LONGER = r"(?!\s*\)?\s*(?:[+/^]|\.\.|<>|,\s*[\"'](?!(?:rf?|s)[\"'])[\w./]))"
_DELETES = re.compile(rf"(?<![\w-])(?:{_WORDS})\b{_BETWEEN}{_TEXT}{_LONGER}|(?:{_WORDS})\s*\(\s*(?=\x00){_TEXT}")
_BARE = re.compile(rf"(?<![\w-])(?:{_WORDS})[\s({{*}}\[]+(?:glob\s+)?([~/][\w./*~]*)(?=[\s)\]}};]|$)")
_DELETED = re.compile(
    rf"{_TEXT}[\s)\]]*(?:\.\w+(?:\([^()]*\))?)*?\s*(?:\.|->|\|>\s*(?:\w+\.)*|>>=\s*|\|>>\s*)"
    rf"(?:{_WORDS}|deleteOnExit|remove)\b"
)
_EMPTIED = re.compile(
    rf"\b(?:walk\w*|list(?:Files|_dir|Dir)?|glob|rglob|read_dir|ReadDir|scandir|find\w*|recursive_directory_iterator)\s*\(?[\w.:(\s]*{_TEXT}"
    r"[^;]{0,200}?\b(?:delete\w*|remove\w*|unlink|Remove\w*|rm)\b"
)
# Code that goes down a tree, wherever it says which, and deletes what it meets on the way.
_WALKS = re.compile(
    r"\b(?:n?ftw\d*|fts_open|opendir|scandir|readdir|[wW]alk\w*|list(?:Files|_?[dD]ir\w*)|r?glob\w*|ReadDir|read_dir|iterdir"
    r"|(?:recursive_)?directory_iterator|newDirectoryStream|Enumerate\w+|Get(?:Files|Directories)|contentsOfDirectory)\s*[({!<]"
)
_OF_FILES = r"\b(?:os|fs|Files?|filesystem|FileUtils|path|unix|syscall|Directory|FileManager\.default)(?:\.|::)"
_REMOVES = re.compile(
    rf"(?<![.\w:])(?:remove|unlink|rmdir|rm)\s*\(\s*[^\s\"')]|{_OF_FILES}(?:delete|remove|unlink|rmdir|Delete|Remove)\w*!?\s*\(\s*[^\s\"')]"
    r"|\.(?:delete|unlink|rmdir|Delete|remove_dir|remove_file)\w*\(\s*\)"
)
_TREE = re.compile(r"[\"'](/|~/?|/[\w.-]+/?|/(?:home|Users|usr|var)/[\w.-]+/?)[\"'](?!\s*(?:,\s*[\"']|[+/]))")
_ABSENT = re.compile(
    rf"\bfile\s*\{{\s*{_TEXT}\s*:[^}}]*ensure\s*=>\s*absent|\bpath=(\S+)\s+state=absent|state:\s*absent[^-]*path:\s*(\S+)"
)
_PROGRAM = (
    r"(?:(?:/usr)?(?:/local)?/s?bin/)?(?:rm|dd|shred|wipefs|blkdiscard|mkfs[\w.]*|chmod|chown|find|mv|truncate|kill|killall|pkill"
    r"|shutdown|reboot|poweroff|halt|sudo|sh|bash|curl|wget|nc|crontab|userdel|systemctl|init)"
)
# A program and its arguments as several strings: `"rm", "-rf", "/usr"`.
_LISTED = re.compile(
    rf"[\"']({_PROGRAM})[\"'][\s,\[\]()'{{}}&.]*(?:args?\s*\(\s*)?((?:[\s,\[\](){{}}&.']*(?:\.args?\(\s*)?(?:c\()?{_TEXT})+)"
)
# A whole command as one string, which some call gets that does not print it, or that is run by what follows it.
_WHOLE = re.compile(
    rf"(?:(?<=[\w!*:?])\s*[({{]\s*|(?<=[\w.!])\s+|\bcommand\s*=\s*|(?<=\$)|:run-program\s+)[\"'`](\s*{_PROGRAM}\s+(?:-|/|~|\"|of=|if=|\.)[^\"'`\n]*)[\"'`]"
    rf"|[\"'](\s*{_PROGRAM}\s+[^\"'\n]*)[\"']\s*\.\s*(?:!|execute\(|lazyLines|run\()"
)
_PRINTS = re.compile(
    r"\b(?:print\w*|puts|echo|console\.\w+|log\w*|println!?|eprintln!?|format|message|write\w*|say|cat|display|IO\.\w+|STATUS|show|assert\w*"
    r"|expect|describe|it|test|Println|Printf|Errorf|panic|raise|throw\s+new\s+\w+|warn\w*|error|info|debug|title|label|help)!?\s*[(\s]\s*$"
)
_COMMAND_WORDS = re.compile(rf"\bCOMMAND\s+(?:\S+\s+-E\s+)?({_PROGRAM}\s[^)]*)\)")
# `action IN ('reboot', 'halt')` compares with words and runs none, nor do rows of SQL; `for c in ["reboot", …]` may.
_COMPARED = re.compile(r"(?<!\w)(?:in\s*[(\[]|values\s*\((?:[^()]*\)\s*,\s*\()*)[^()\[\]]{0,400}$", re.IGNORECASE)
_LOOPS = re.compile(r"\bfor(?:each)?\b[\s($]*[\w,\s]{0,60}$", re.IGNORECASE)
_EACH = re.compile(_TEXT)
_RUNNER = re.compile(r"(?i)(?:exec\w*|run\w*|system|popen|spawn\w*|command|shell|sh|bash|cmd|call|process)!?\s*$")
_STARTS = re.compile(r"\b(?:run\w*|sh|call|exec\w*|execute|spawn\w*|install)\(\s*$")


def deeds(code: str, via: tuple[str, ...]) -> Iterator[Command | str]:
    """Commands and scripts that the words of the code amount to. The home folder is `"~"` in it already."""
    for pattern in (_DELETES, _BARE, _DELETED, _EMPTIED, _ABSENT):
        for found in pattern.finditer(code):
            path = next((text for text in found.groups() if text), "").strip("\"'")
            if path[:1] in "~/." and path:
                yield deletes(f"{path.rstrip('/')}/*" if pattern is _EMPTIED else path, found.group(), via)
    if _WALKS.search(code) and _REMOVES.search(code):
        for found in _TREE.finditer(code):
            yield deletes(f"{found.group(1).rstrip('/')}/*", found.group(), via)
    yield from (_as_command(found, via) for found in _LISTED.finditer(code) if not _is_compared(code, found.start()))
    for found in _WHOLE.finditer(code):
        if not _PRINTS.search(code[max(0, found.start() - 24) : found.start(1 if found.group(1) else 2) - 1]):
            yield found.group(1) or found.group(2)
    yield from (found.group(1) for found in _COMMAND_WORDS.finditer(code.replace('"', "")))


def _is_compared(code: str, place: int) -> bool:
    before = code[max(0, place - 480) : place]
    compared = _COMPARED.search(before)
    return compared is not None and not _LOOPS.search(before[: compared.start()])


def without_samples(code: str) -> str:
    """The code of tests without the commands in its strings, but for those that a call gets which runs programs."""
    return _WHOLE.sub(lambda found: found[0] if _RUNNER.search(code[: found.start()][-24:]) else '("")', code)


def told_by_words(code: str, via: tuple[str, ...]) -> Iterator[Command]:
    """The programs that code starts whose arguments are strings of their own: `session.run("rm", "-r", "/usr")`."""
    for found in _LISTED.finditer(code):
        if _STARTS.search(code[max(0, found.start() - 24) : found.start()]):
            yield _as_command(found, via)


def _as_command(found: re.Match[str], via: tuple[str, ...]) -> Command:
    words = [one or other for one, other in _EACH.findall(found.group(2))]
    # Some have all arguments in one string.
    words = words[0].split() if len(words) == 1 and words[0][:1] == "-" else words
    # Some are told the program's name once more.
    words = words[1:] if words[:1] == [found.group(1).rpartition("/")[2]] else words
    return Command((found.group(1), *words), found.group(), _tildes(words), via=via)


def _tildes(words: list[str]) -> tuple[int, ...]:
    return tuple(at for at, word in enumerate(words, 1) if word[:1] == "~")
