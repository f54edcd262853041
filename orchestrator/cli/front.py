"""The console script's entry: answers what needs no library, hands the rest to the full command line.

Its rule: standard library only, and of that as little as possible, because every millisecond here is paid by
every `submit` of every script. Whatever is unusual goes the full way, which has the real messages.
"""

from __future__ import annotations

import os
import sys

BROKEN_PIPE = 141
INTERRUPTED = 130

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn


def main() -> NoReturn:
    """Answer the command line of this process and exit with its code."""
    _forget_the_checkout()
    try:
        code = _answer(sys.argv[1:])
        sys.stdout.flush()
    except KeyboardInterrupt:
        code = INTERRUPTED
    except BrokenPipeError:
        # Whatever is still buffered would raise again when the interpreter flushes it at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = BROKEN_PIPE
    sys.exit(code)


def _forget_the_checkout() -> None:
    """A checkout is a home too, and its top a workspace: what is not installed shall not be imported from there."""
    beside = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    if os.path.basename(beside) not in ("site-packages", "dist-packages"):
        sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry) != beside]


def _answer(argv: list[str]) -> int:
    if "_ORCHESTRATOR_COMPLETE" not in os.environ:
        home, rest = split_home(argv)
        if not rest or rest in (["--help"], ["-h"], ["help"]):
            from orchestrator.cli.verbs import top_help

            sys.stdout.write(top_help())
            return 0
        if rest in (["--version"], ["-V"]):
            from orchestrator import __version__

            sys.stdout.write(f"orchestrator {__version__}\n")
            return 0
        if len(rest) == 2 and rest[0] == "submit" and rest[1].endswith(".json") and rest[1][0] != "-":
            code = _submit_plain(rest[1], home)
            if code is not None:
                return code
        argv = ["--home", home, *rest] if home is not None else rest
    from orchestrator.cli.app import run

    return run(argv)


def split_home(argv: list[str]) -> tuple[str | None, list[str]]:
    """Take `--home DIR` out of the arguments, wherever it stands before a `--`."""
    home, rest, index = None, [], 0
    while index < len(argv):
        word = argv[index]
        if word == "--":
            rest += argv[index:]
            break
        if word == "--home" and index + 1 < len(argv):
            home = argv[index + 1]
            index += 1
        elif word.startswith("--home="):
            home = word[len("--home=") :]
        else:
            rest.append(word)
        index += 1
    return home, rest


def _submit_plain(file: str, explicit_home: str | None) -> int | None:
    """Queue a JSON file that needs no second look; None means: nothing was done, go the full way."""
    from orchestrator.home import daemon_runs, find_home

    home = find_home(explicit_home)
    try:
        with open(file, "rb", buffering=0) as handle:
            data = handle.read(_LARGEST)
    except OSError:
        return None
    task = _plain_task(data) if home.exists() else None
    if task is None or not all(os.path.isfile(f"{home.skills}/{skill}/skill.toml") for skill in task["skills"]):
        return None
    from orchestrator.spool.queue import NameTaken, Spool

    try:
        Spool(home).submit(f"{task['id']}.json", data)
    except (NameTaken, OSError, ValueError):
        return None
    if not daemon_runs(home):
        sys.stderr.write(WAITS_FOR_DAEMON)
    sys.stdout.write(f"{task['id']}\n")
    return 0


def _plain_task(data: bytes) -> Any:
    from orchestrator.intake.plain import is_plain_task

    if len(data) == _LARGEST or not is_plain_task(data):
        return None
    from orchestrator.intake.strict_json import loads

    task = loads(data.decode())
    return None if task.get("notify") else task  # whether its channels are there the configuration knows


_LARGEST = 1024 * 1024  # one read; more than intake accepts
WAITS_FOR_DAEMON = "No daemon runs for this home: the task waits until one does (start it with `orchestrator run`).\n"
