"""Programs with an escape to the shell: editors, debuggers, clients of databases, sed, tar, PowerShell.

Rule: one function for each kind, from the command to the scripts and commands that its arguments and its input name.
"""

from __future__ import annotations

import re

from orchestrator.shell.code_acts import deletes
from orchestrator.shell.command import Command, Unwrapped
from orchestrator.shell.prints import received

_EDITOR_SHELL = re.compile(r"(?:^|[:|+ ])(?:silent!?\s+)?(?:[\d,$%.]*(?:r|w|read|write)?)\s*!\s*(\S.*)")
_EDITOR_CALL = re.compile(r"\b(?:system|systemlist|termopen|jobstart|job_start|term_start)\(\[?['\"](.+?)['\"]\)?")
_EDITOR_DELETE = re.compile(r"\bdelete\(\s*(?:expand\()?(?:['\"](.+?)['\"]|(\$\w+))")
_EDITOR_CODE = re.compile(r"(?:^|[:|+ ])(py3?|python3?|pythonx|pyx|script|lua|perl|ruby)\s+(\S.*)")
_CODE_NAMES = {"lua": "lua", "perl": "perl", "ruby": "ruby"}


def editor_escapes(command: Command) -> Unwrapped:
    """Editors and debuggers: `!command`, `system("…")`, and code of the languages that are built in."""
    given = [*command.words[1:], *(received(command) or "").splitlines()]
    for word in given:
        text = re.sub(r"^(?:-c|--cmd|\+)\s*", "", word).strip()
        if found := _EDITOR_SHELL.search(text):
            yield found.group(1)
        yield from (item.group(1) for item in _EDITOR_CALL.finditer(text))
        for item in _EDITOR_DELETE.finditer(text):
            yield deletes("~" if item.group(2) == "$HOME" else item.group(1) or "$unknown", text)
        if found := _EDITOR_CODE.search(text):
            name = _CODE_NAMES.get(found.group(1), "python3")
            option = "-e" if name != "python3" else "-c"
            yield Command((name, option, found.group(2)), text, via=(*command.via, command.name))
        if found := re.match(r"(?:platform\s+)?shell\s+(.+)", text):
            yield found.group(1)


_CLIENT_SHELL = re.compile(r"(?m)(?:^|[\s'\";])(?:\\!|\.(?:shell|system)\b|!)\s*(\S[^\n]*)")


_CLIENT_PROGRAM = re.compile(r"(?i)(?:\bprogram|xp_cmdshell|sys_exec\(|sys_eval\()\s*[N]?'([^']*)'")


def client_escapes(command: Command) -> Unwrapped:
    """Clients of databases and servers with an escape to the shell: `\\! command`, `.shell command`."""
    for text in (*command.words[1:], received(command) or ""):
        if found := _CLIENT_SHELL.search(text):
            yield found.group(1)
        yield from (found.group(1) for found in _CLIENT_PROGRAM.finditer(text))


def tar_escapes(command: Command) -> Unwrapped:
    for option, value in command.followed:
        text = (
            f"{option}={value}"
            if option in ("--checkpoint-action", "--to-command", "-I", "--use-compress-program")
            else option
        )
        if found := re.match(r"--checkpoint-action=exec=(.+)|(?:--to-command|--use-compress-program|-I)=(.+)", text):
            yield found.group(1) or found.group(2)


_CMDLETS = tuple(
    (re.compile(rf"(?i)(?<![\w-])(?:{names})(?![\w-])"), plain)
    for names, plain in (
        ("Remove-Item|ri|del|erase|rd", "rm"), ("-Recurse|-r", "-r"), ("-Force", "-f"),
        ("-Path|-LiteralPath|-FilePath", ""), ("-InFile", "-T"), ("-Method", "-X"),
        ("Stop-Computer", "poweroff"), ("Restart-Computer", "reboot"),
        ("Set-Content|Out-File|Add-Content|sc|ac", "tee"),
        ("Invoke-WebRequest|Invoke-RestMethod|iwr|irm", "curl"), ("Invoke-Expression|iex", "eval"), ("-Uri", ""),
        ("Move-Item|mi", "mv"), ("Copy-Item|ci|cpi", "cp"), ("Get-Content|gc", "cat"),
        ("Start-Process|saps", "command"),
        ("Stop-Process|spps", "kill"), (r"-ErrorAction \w+|-EA \w+", ""),
    )
)  # fmt: skip


_POWERSHELL_HOME = re.compile(
    r"(?i)\$env:(?:HOME|USERPROFILE)|\[Environment\]::GetFolderPath\(['\"]UserProfile['\"]\)|\$env\.HOME|\$nu\.home-path"
)
_PIPED_AWAY = re.compile(
    r"(?i)\b(?:Get-ChildItem|gci|ls|dir)\s+(?:-\w+\s+)*([^\s|]+)[^|]*((?:\|[^|]*)*)\|\s*(?:Remove-Item|ri|rm|del)\b"
)
_DOTNET_DELETES = re.compile(r"(?i)\[(?:System\.)?IO\.(?:Directory|File)\]::Delete\(\s*[\"']?([^\"',)]+)")


_WHAT_IF = re.compile(r"(?i)\s-whatif\b(?!:)")


def powershell_escapes(command: Command) -> Unwrapped:
    """Its commands by the names that a shell has for them, as far as they have any."""
    words = command.words
    for at, word in enumerate(words[:-1]):
        option = word.lower()
        if at and option[:1] in ("-", "/") and ("-command".startswith(option) or option in ("-c", "/c")):
            text = _POWERSHELL_HOME.sub("$HOME", " ".join(words[at + 1 :]))
            if _WHAT_IF.search(text) and not any(mark in text for mark in ";|&\n"):
                return
            yield from (f"rm -r {path[0]}/*" for path in _PIPED_AWAY.findall(text))
            yield from (f"rm -r {path}" for path in _DOTNET_DELETES.findall(text))
            for cmdlet, plain in _CMDLETS:
                text = cmdlet.sub(plain, text)
            yield text
            return
        if at and len(option) > 1 and "-encodedcommand".startswith(option):
            yield "$ENCODED"


_SED_RUNS = re.compile(r"(?:^|[;\n{}])\s*(?:[\d$]+|/(?:\\.|[^/])*/)?(?:\s*,\s*(?:[\d$]+|/[^/]*/))?\s*!?e\s+([^\n]+)")
_SED_REPLACES = re.compile(r"s(.)(?:\\.|(?!\1).)*\1((?:\\.|(?!\1).)*)\1[gipmI\d]*e")


def sed_escapes(command: Command) -> Unwrapped:
    """GNU sed runs what its `e` says."""
    for word in command.words[1:]:
        if "e" in word:
            yield from (found.group(1) for found in _SED_RUNS.finditer(word))
            yield from (found.group(2) for found in _SED_REPLACES.finditer(word) if " " in found.group(2))
