"""Whether a git command works on a repository in which nothing can be lost: a temporary one, or one that the same
script has just made.

Rule: by where it stands. `git init` makes nothing new where a repository may already be, and a worktree shares its
branches with the repository that it belongs to.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from itertools import pairwise

from orchestrator.policy.scene import Seen

_NAMED = ("--git-dir", "--work-tree")
_IN_WORKTREE = frozenset(("reset", "clean", "checkout", "switch", "restore", "read-tree", "rm", "checkout-index"))


def is_passing(seen: Seen) -> bool:
    """Whether all folders that the command may mean are such."""
    folders = list(_folders(seen))
    before = seen.earlier
    shared = any(earlier.words_after_options[:2] == ("worktree", "add") for earlier in before if earlier.name == "git")
    if not folders or (shared and _IN_WORKTREE.isdisjoint(seen.words_after_options[:1])):
        return False
    made = {path for earlier in before if earlier.name == "git" for path in _made(earlier)}
    return all(
        seen.places.classify_path(path) == "tmp" or any(path == root or path.startswith(f"{root}/") for root in made)
        for path in folders
    )


def _folders(seen: Seen) -> Iterator[str]:
    """Where the repository is, by the command's own words, else where it stands."""
    command, places = seen.command, seen.places
    told = [(value, at) for at, (option, value) in enumerate(pairwise(command.words), 1) if option in ("-C", *_NAMED)]
    told += [
        (word.partition("=")[2], at) for at, word in enumerate(command.words) if word.startswith(_NAMED) and "=" in word
    ]
    told += [(value, -1) for name, value in command.assigns if name in ("GIT_DIR", "GIT_WORK_TREE")]
    for word, at in told or [(".", 0)]:
        paths = places.resolve(word, at in command.expands or word[:1] in ("~", "$"))
        # What is not known may be anything.
        yield from map(places.through, paths) if paths else ("/",)


def _made(seen: Seen) -> Iterator[str]:
    """The folders of the repositories that a command makes."""
    words, operands = seen.command.words, seen.operands
    if seen.words_after_options[:1] not in (("init",), ("clone",)):
        return
    given = [words[at] for at in operands[1:]]
    cloned = seen.words_after_options[0] == "clone"
    if cloned and len(given) == 1:
        given.append(posixpath.basename(given[0].rstrip("/")).removesuffix(".git"))
    base = next((value for option, value in pairwise(words) if option == "-C"), ".")
    for name in given[1:] if cloned else given or [base]:
        for path in seen.places.resolve(name, name[:1] in ("~", "$")):
            if seen.places.classify_path(path) in ("inside", "tmp"):
                yield path
