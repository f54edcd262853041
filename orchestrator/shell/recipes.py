"""Files of lines that some program carries out: justfiles, task files, playbooks, units, crontabs, desktop entries.

Rule: no format is parsed. A line counts that begins with a program that matters, once what formats put before it is
taken away: a key, a schedule, a mark of a list, quotes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from orchestrator.shell.shells import SHELLS
from orchestrator.shell.strangers import matters

_BEFORE = re.compile(r"^\s*(?:-\s+)*(?:[\w.-]+\s*(?::(?!/)|=>?|:=)\s*)?(?:\[\s*)?[\"'|>]*\s*[@+!-]*(?:\bBUILTIN\s+)?")
_STARTED = re.compile(r"(?:^|[,\s])(?:Exec\w*|RUN|PROGRAM|ProxyCommand|LocalCommand)\s*[+:]?=?\s*[\"'-]*(.+?)[\"']*$")
_SCHEDULE = re.compile(r"^\s*(?:@\w+|(?:[\d*/,-]+|\w{3}(?:-\w{3})?)(?:\s+(?:[\d*/,-]+|\w{3}(?:-\w{3})?)){4})\s+(.*)$")
_NO_USER = re.compile(r"^(?:root|\w+)\s+(?=\S)")
# What a unit of systemd does with the machine once it has ended, failed or waited too long.
_ACTION = re.compile(r"\s*\w+Action\s*=\s*(reboot|poweroff|halt|kexec|soft-reboot)\b")
_MAX_LINES = 500


def recipe_lines(text: str) -> Iterator[str]:
    """The lines that begin with a program that matters, as scripts."""
    for line in text.replace("\\\n", " ").splitlines()[:_MAX_LINES]:
        if found := _ACTION.match(line):
            yield f"systemctl {found.group(1)}"
        if found := _SCHEDULE.match(line):
            line = found.group(1)
            if not _matters(line) and _matters(shorter := _NO_USER.sub("", line)):
                line = shorter
        started = _STARTED.search(line)
        for script in (line.strip(), started.group(1) if started else "", _BEFORE.sub("", line).strip().rstrip("\"']")):
            if _matters(script):
                yield script
                break


def settings_of(text: str) -> Iterator[str]:
    """The settings of an INI or TOML file as `section.key=value`."""
    section = ""
    for line in text.splitlines()[:_MAX_LINES]:
        if found := re.match(r"\s*\[+([^\]]*)\]+", line):
            section = found.group(1).strip() + "."
        elif (found := re.match(r"\s*([^#;=\s][^=]*?)\s*[=:]\s*(.*?)\s*$", line)) and "=" in line:
            yield f"{section}{found.group(1)}={found.group(2).strip(chr(34))}"


def _matters(script: str) -> bool:
    words = script.split(maxsplit=1)
    name = words[0].rpartition("/")[2] if words else ""
    return (len(words) > 1 and (matters(name) or name in SHELLS)) or name in ("reboot", "poweroff", "halt", "shutdown")
