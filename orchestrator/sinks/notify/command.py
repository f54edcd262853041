"""A command of the user's own: the message on its standard input, what programs want to know in its environment.

Rule: no shell, no part of a message in the arguments, and nothing is left behind: a command that does not end in time
is killed with all that it started. Of what it prints the end is kept.
"""

from __future__ import annotations

import os
import selectors
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from time import monotonic

from orchestrator.runners.process.marks import VARIABLE
from orchestrator.runners.process.sweep import sweep
from orchestrator.settings import ChannelSettings
from orchestrator.sinks.notify.message import Message
from orchestrator.sinks.notify.receiver import Receiver, SendError, Surroundings
from orchestrator.sinks.notify.reference import Mask, NotSet, resolve
from orchestrator.sinks.wording import printable

_KEPT = 2_048
_TOLD = 200
_LONGEST_VALUE = 2_000


def make(channel: ChannelSettings, url: str, around: Surroundings) -> Receiver:
    """Raises SendError for a name in `env` that has no value."""
    del url
    try:
        given = {name: resolve(f"${{{name}}}", around.lookup) for name in channel.env}
    except NotSet as error:
        raise SendError(str(error)) from error
    return Command(channel.command, given, channel.timeout / 1000, around)


class Command:
    """One program. `given` are variables that it gets beside those that steps have; `timeout` is seconds."""

    def __init__(self, argv: Sequence[str], given: dict[str, str], timeout: float, around: Surroundings) -> None:
        self._argv = argv
        self._given = given
        self._timeout = timeout
        self._around = around
        self._mask = Mask(given.values())

    def send(self, message: Message, id: str) -> str:
        environ = base_environment(self._around) | self._given | _facts(message, id)
        said = self._mask(run(self._argv, message.text, environ, self._timeout, self._around, self._mask))
        return f"exited with 0{f': {said}' if said else ''}"


def base_environment(around: Surroundings) -> dict[str, str]:
    """What steps have too, never the daemon's own whole."""
    steps = around.settings.steps
    environ = {name: os.environ[name] for name in steps.env if name in os.environ}
    path = os.environ.get("PATH", "") if steps.inherit_path else steps.path
    return environ | {"PATH": path, "ORCHESTRATOR_HOME": around.home}


def run(
    argv: Sequence[str],
    text: str,
    environ: dict[str, str],
    timeout: float,
    around: Surroundings,
    mask: Mask | None = None,
) -> str:
    """Run a program to its end, with the text (of less than a pipe holds) on its standard input; the last line that it
    printed. Raises SendError where it can't be started, does not end within `timeout` seconds, or not with 0."""
    mask = mask or Mask()
    mark = f"{around.mark}:notify:{os.urandom(4).hex()}" if around.mark else ""
    process = _start(argv, environ | ({VARIABLE: mark} if mark else {}), around.home)
    deadline = monotonic() + timeout
    try:
        _hand_over(process, text)
        said = _listen(process, deadline)
        code = process.wait(max(0.0, deadline - monotonic()))
    except (TimeoutError, subprocess.TimeoutExpired) as error:
        _kill(process, mark)
        raise SendError(f"{argv[0]} did not end within {timeout:g} s, and was killed") from error
    finally:
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
    line = mask(printable(said.splitlines()[-1] if said else ""))[:_TOLD]
    if code != 0:
        how = f"was killed by signal {-code}" if code < 0 else f"exited with {code}"
        raise SendError(f"{argv[0]} {how}{f': {line}' if line else ''}")
    return line


def _start(argv: Sequence[str], environ: Mapping[str, str], folder: str) -> subprocess.Popen[bytes]:
    program = shutil.which(argv[0], path=environ.get("PATH"))
    if program is None:
        raise SendError(f"there is no program {argv[0]}")
    try:
        return subprocess.Popen(
            [program, *argv[1:]], env=environ, cwd=folder, start_new_session=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
    except (OSError, ValueError) as error:
        raise SendError(f"{argv[0]} can't be started: {error}") from error


def _hand_over(process: subprocess.Popen[bytes], text: str) -> None:
    if process.stdin is not None:
        with suppress(BrokenPipeError):  # it does not care to read
            process.stdin.write(text.encode("utf-8", "replace"))
            process.stdin.close()


def _listen(process: subprocess.Popen[bytes], deadline: float) -> str:
    """The end of what it prints, until all who could print are gone. Raises TimeoutError."""
    tail = b""
    if process.stdout is None:
        return ""
    with selectors.DefaultSelector() as ready:
        ready.register(process.stdout, selectors.EVENT_READ)
        while ready.select(max(0.0, deadline - monotonic())):
            chunk = os.read(process.stdout.fileno(), 65_536)
            if not chunk:
                return tail.decode("utf-8", "replace").strip()
            tail = (tail + chunk)[-_KEPT:]
            if monotonic() >= deadline:
                break
    raise TimeoutError


def _kill(process: subprocess.Popen[bytes], mark: str) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)  # it is not reaped yet: the number is still its own
    process.wait()
    if mark:
        with suppress(TimeoutError):  # what can't be killed now the next daemon's start names
            sweep(mark)


def _facts(message: Message, id: str) -> dict[str, str]:
    facts = {
        "MESSAGE": id, "KIND": message.kind, "LEVEL": message.level, "SUBJECT": message.title,
        **{key.upper(): value for key, value in message.facts.items() if isinstance(value, str | int | float)},
    }  # fmt: skip
    return {f"ORCHESTRATOR_{key}": str(value).replace("\0", "")[:_LONGEST_VALUE] for key, value in facts.items()}
