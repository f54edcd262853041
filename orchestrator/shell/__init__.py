"""A script becomes the commands that it would run: the one door to everything that knows shell syntax.

Rule: text in, facts out. Nothing here judges, and nothing here runs a command of the script. What is not
understood is never dropped silently: `Found.plain` is False, or `problem` says what was wrong.
"""

from orchestrator.shell.command import Command, Redirect, Script
from orchestrator.shell.containers import ENTERS, LEAVES
from orchestrator.shell.finds import FINDERS, found_by, named_by
from orchestrator.shell.interpreters import ELF
from orchestrator.shell.known import Found, Reader
from orchestrator.shell.plain import parse
from orchestrator.shell.prints import received
from orchestrator.shell.read import LARGEST_SCRIPT
from orchestrator.shell.unwrap import MAX_DEPTH, find_commands
from orchestrator.shell.wrappers import names_in, started_by

__all__ = [
    "ELF",
    "ENTERS",
    "FINDERS",
    "LARGEST_SCRIPT",
    "LEAVES",
    "MAX_DEPTH",
    "Command",
    "Found",
    "Reader",
    "Redirect",
    "Script",
    "find_commands",
    "found_by",
    "named_by",
    "names_in",
    "parse",
    "received",
    "started_by",
]
