"""A script as a syntax tree, from shfmt: the only place here that starts a process.

Rule: bounded and remembered. shfmt reads text and runs nothing; it gets a second and a capped input, stays in
our session (so that the runners do not take it for what a step left behind), and what it answers is kept,
because the same script is judged again and again.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from functools import lru_cache
from typing import Any

import orjson

from orchestrator.errors import is_limit

DEADLINE_SECONDS = 1.0
MAX_SCRIPT_BYTES = 64 * 1024
_MAX_TREE_BYTES = 32 * 1024 * 1024
_REMEMBERED = 256

Node = dict[str, Any]


class UnreadableError(Exception):
    """The script has no syntax tree; the message says why, for people."""


@lru_cache(maxsize=1)
def find_shfmt() -> str | None:
    """Where shfmt is: beside this interpreter, where its wheel puts it, or on PATH."""
    folders = (os.path.dirname(sys.executable), sysconfig.get_path("scripts"))
    return shutil.which("shfmt", path=os.pathsep.join(folders)) or shutil.which("shfmt")


def read_tree(script: str) -> Node:
    """The tree of a bash script, as shfmt's `--to-json` gives it; offsets count bytes of its UTF-8.

    Raises UnreadableError if it is too large, is no bash, or shfmt is missing or takes too long, and OSError while
    nothing can be started here. Only what depends on the script alone is remembered.
    """
    source = script.encode(errors="surrogateescape")
    if len(source) > MAX_SCRIPT_BYTES:
        raise UnreadableError(f"it is larger than {MAX_SCRIPT_BYTES // 1024} KiB")
    result = _parse(source)
    if isinstance(result, str):
        raise UnreadableError(result)
    return result


@lru_cache(maxsize=_REMEMBERED)
def _parse(source: bytes) -> Node | str:
    program = find_shfmt()
    if program is None:
        raise UnreadableError("shfmt is missing, which reads all but plain scripts: pip install shfmt-py")
    try:
        done = subprocess.run(
            [program, "--to-json", "-ln", "bash"], input=source, capture_output=True, timeout=DEADLINE_SECONDS,
            check=False, env={}, cwd="/",
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise UnreadableError(f"shfmt needed more than {DEADLINE_SECONDS:g} s for it") from None
    except OSError as error:
        if is_limit(error):  # no verdict about the script: it is asked for again
            raise
        raise UnreadableError(f"shfmt could not be started: {error.strerror}") from error
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines() or ["shfmt failed"]
        return said[0].replace("<standard input>:", "line ")
    if len(done.stdout) > _MAX_TREE_BYTES:
        return "its syntax tree is too large"
    try:
        tree: Node = orjson.loads(done.stdout)
    except orjson.JSONDecodeError:
        # Nesting beyond what the JSON reader takes is the known case.
        return "it is nested too deep"
    return tree
