"""Who is at this command line, for records that people read later."""

from __future__ import annotations

import os
import pwd
import socket
import sys


def person() -> tuple[str, str]:
    """`anna@host`, and how they came there. The environment is taken at its word: this opens nothing."""
    try:
        user = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        user = str(os.geteuid())
    ways = ["a terminal" if sys.stdin is not None and sys.stdin.isatty() else "no terminal"]
    if remote := os.environ.get("SSH_CONNECTION", "").partition(" ")[0]:
        ways.append(f"ssh from {remote}")
    if caller := os.environ.get("SUDO_USER"):
        ways.append(f"sudo by {caller}")
    return f"{user}@{socket.gethostname()}", ", ".join(ways)
