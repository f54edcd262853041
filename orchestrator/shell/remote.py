"""Programs that run a command on another machine: ssh, clients of clouds and hosts, salt, knife.

Rule: what is destroyed there is destroyed; the command is judged as one for this machine.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from orchestrator.shell.command import Command, Unwrapped
from orchestrator.shell.elsewhere import at_home, local_user
from orchestrator.shell.options import behind, in_option
from orchestrator.shell.prints import received

_BARE_SHELL = re.compile(r"(?:/\S*/)?(?:ba|da|z|k)?sh(?:\s+-[els]+)*")
_SSH_VALUES = frozenset(f"-{letter}" for letter in "BbcDEeFIiJLlmOopQRSWw")


def _ssh(command: Command) -> Unwrapped:
    host = command.operands(_SSH_VALUES)
    at = command.operands(_SSH_VALUES, host + 1)
    given = received(command) if host < len(command.words) else None
    if at >= len(command.words) and given:
        user = local_user(command.words[host])
        yield from at_home(user, iter((given,))) if user is not None else (given,)
    elif at < len(command.words):
        script, user = " ".join(command.words[at:]), local_user(command.words[host])
        # A shell that nobody directs takes its orders from the pipe.
        scripts = [given] if given and _BARE_SHELL.fullmatch(script) else [script]
        yield from at_home(user, iter(scripts)) if user is not None else scripts
    for option, value in zip(command.words, command.words[1:], strict=False):
        if option == "-o" and re.match(r"(?i)(?:proxycommand|localcommand)[= ]", value):
            yield value[13:].lstrip("= ")


def scripts(command: Command) -> Unwrapped:
    """Programs that take whole scripts as operands."""
    yield from (word for word in command.words[1:] if " " in word)


def _knife(command: Command) -> Unwrapped:
    """`knife ssh QUERY COMMAND`."""
    if command.words[1:2] == ("ssh",):
        yield from (word for word in command.words[3:] if " " in word)


def _json_commands(command: Command) -> Unwrapped:
    """`aws ssm send-command --parameters 'commands=["a", "b"]'`, `aws ecs execute-command --command x`."""
    yield from in_option("--command")(command)
    for word in command.words[1:]:
        if found := re.search(r"\bcommands?[\"']?\s*[=:]\s*(?:\[(.*)\]|(?=[^\[])(.+))", word, re.DOTALL):
            text = found[1] or found[2]
            yield from re.findall(r'"((?:\\.|[^"\\])*)"', text) or [text.strip("'\"")]


REMOTE: dict[str, Callable[[Command], Unwrapped]] = {
    "ssh": _ssh, "aws": _json_commands, "gcloud": in_option("--command"), "az": in_option("--scripts"),
    **dict.fromkeys(("salt", "salt-call", "salt-ssh"), behind("cmd.run", "cmd.shell", "cmd.script")), "knife": _knife,
    **dict.fromkeys(("fly", "flyctl", "eb", "doctl", "ibmcloud"), in_option("-C", "-c", "--command", "--ssh-command")),
    **dict.fromkeys(("heroku", "dokku", "scalingo"), behind("run", "run:detached")),
}  # fmt: skip
