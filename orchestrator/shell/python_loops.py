"""Whether Python code starts copies of itself, or processes without end, whatever its values.

Rule: nodes and names in, yes or no out. Who waits in a loop, for a process, a connection or the time, ends it.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable, Sequence

from orchestrator.shell.command import Command
from orchestrator.shell.python_names import Function, Ref
from orchestrator.shell.python_values import Values

_FORKS = ("os.fork", "os.forkpty", "pty.fork")
_STARTS = (
    *_FORKS, "subprocess.", "multiprocessing.", "os.spawn", "os.posix_spawn", "threading.", "asyncio.create_subprocess",
    "concurrent.futures.", "pexpect.spawn",
)  # fmt: skip
_PAUSES = ("time.sleep", "os.wait", "subprocess.run", "subprocess.call", "subprocess.check", "input", "select.",
           "threading.Lock", "threading.current", "threading.active", "threading.Event", "asyncio.sleep")  # fmt: skip
_WAITS = frozenset(
    ("wait", "join", "communicate", "poll", "accept", "get", "recv", "recvfrom", "acquire", "readline", "read",
     "select", "result", "sleep", "connect")
)  # fmt: skip
_LONG = ("range", "itertools.count", "itertools.repeat", "itertools.cycle", "iter")
_LOOPS = (ast.For, ast.AsyncFor, ast.ListComp, ast.SetComp, ast.GeneratorExp, ast.DictComp)
_MANY = 50


def multiplies(function: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda, name: str) -> bool:
    """Whether a function starts itself beside itself: by a fork, a thread or a process."""
    again = any(isinstance(item, ast.Name) and item.id == name for item in ast.walk(function))
    named = {item.attr for item in ast.walk(function) if isinstance(item, ast.Attribute)}
    named |= {item.id for item in ast.walk(function) if isinstance(item, ast.Name)}
    return again and not named.isdisjoint(("fork", "Thread", "Process")) and named.isdisjoint(("join", "accept"))


def endless(node: ast.AST, values: Values) -> bool:
    """Whether a loop goes on for long and starts processes each time."""
    names = list(_called_names(node, values, 0))
    if isinstance(node, ast.While):
        forks = any(name.startswith(_FORKS) for name in _called_names(node.test, values, 0))
        lasts = forks or bool(values.constant(node.test))
        return lasts and any(name.startswith(_STARTS) for name in names) and not any(map(_pauses, names))
    if not isinstance(node, _LOOPS) or not any(name.startswith(_FORKS) for name in names):
        return False
    iterators = [node.iter] if isinstance(node, (ast.For, ast.AsyncFor)) else [item.iter for item in node.generators]
    return any(isinstance(item, ast.Call) and _is_long(item, values) for item in iterators)


def _is_long(node: ast.Call, values: Values) -> bool:
    """Whether an iterator gives many things, or nobody knows how many."""
    if values.dotted(node.func) not in _LONG:
        return False
    known = values.constant(node)
    return not isinstance(known, list) or len(known) >= _MANY


def _pauses(name: str) -> bool:
    return name.startswith(_PAUSES) or name.rpartition(".")[2] in _WAITS


def _called_names(node: ast.AST, values: Values, depth: int) -> Iterable[str]:
    """The names of all that is called in a node, in the code's own functions too."""
    for item in ast.walk(node):
        if not isinstance(item, ast.Call):
            continue
        target = values.meant(item.func)
        if isinstance(target, Function) and depth < 2:
            body = target.node.body
            for part in body if isinstance(body, list) else [body]:
                yield from _called_names(part, values, depth + 1)
        elif isinstance(target, Ref):
            background = item.args and str(values.constant(item.args[0])).rstrip().endswith("&")
            yield "subprocess.Popen" if background and target.name in ("os.system", "os.popen") else target.name
        elif isinstance(item.func, ast.Attribute):
            yield f"*.{item.func.attr}"


def starts_itself(found: Sequence[Command | str]) -> bool:
    """Whether the code starts itself more than once."""
    own = Counter(
        item.words[:2]
        for item in found
        if isinstance(item, Command) and item.name.startswith("python") and not item.forks
    )
    return own[("python3", "./code.py")] > 1
