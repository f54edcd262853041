"""Programs that nobody here knows, and what they may start: a guess from their arguments.

Rule: a guess finds only what names itself, a program that matters with its arguments, or a shell by its path. Where
arguments are text (a pattern, a message, the name of a package) nothing is guessed.
"""

from __future__ import annotations

import re
import shlex

from orchestrator.shell.command import Command, Unwrapped
from orchestrator.shell.shells import SHELL_NAME

# Their arguments are data.
_TEXT_TAKERS_TEXT = """
    container-enters container-leaves
    echo printf grep egrep fgrep rg ag ack zgrep git gh glab hub apt apt-get apt-cache brew npm yarn pnpm cargo
    conda nix docker podman nerdctl kubectl helm oc ls ll stat cat less more head tail wc diff cmp cp mv ln rm chmod
    chown touch mkdir rmdir test [ [[ cd pushd popd pgrep pkill kill ps systemctl journalctl logger notify-send say
    wall jq sort uniq tr cut tee basename dirname realpath readlink du df tree md5sum sha256sum sha1sum shasum
    shellcheck shfmt scp rsync curl wget true false : read exit return case for select let local unset set aws
    gcloud az redis-cli fc history code pbcopy xclip xsel column fold truncate mktemp zip tar gzip gunzip unzip
    export declare typeset readonly python-code python-dynamic date expr seq strings base64 xxd od hexdump file
    which type alias bat comm paste join split rev tac nl look markdownlint prettier eslint black ruff mypy flake8
    clang-format gofmt rustfmt yamllint jsonlint xmllint stylelint
"""
TEXT_TAKERS = frozenset(_TEXT_TAKERS_TEXT.split())
# Theirs may hold code, or start a program, in ways that are known and looked for elsewhere.
_KNOWN_TEXT = """
    man tldr cheat whereis whatis apropos getent help info hash dnf yum apk pacman port snap flatpak pip pip3 go gem
    composer unalias killall service write mail yq sed awk find ldd nm objdump vim vi nano ssh sftp useradd usermod
    chsh adduser dpkg rpm dpkg-query command-not-found compgen complete make gmake time install terraform psql mysql
    sqlite3 mongo mongosh crontab mount umount shred dd node python python3 perl ruby php lua task just last lastb
    lastlog
"""
_TALKERS = TEXT_TAKERS.union(_KNOWN_TEXT.split())
_PROGRAMS_TEXT = """
    rm dd shred wipefs blkdiscard mkswap chmod chown chgrp find mv rsync truncate tee cp kill killall pkill curl wget nc
    ncat socat bash sh dash zsh ksh ash fish csh tcsh busybox sudo doas su env xargs nohup setsid crontab scp ssh
    python python3 perl ruby node php iptables userdel useradd usermod passwd systemctl mount umount ln sed cat tar
    eval exec source
"""
_PROGRAMS = frozenset(_PROGRAMS_TEXT.split())
_ENDS = frozenset(("reboot", "poweroff", "halt", "shutdown"))
_SHELL = re.compile(rf"(?:/\S*)?/{SHELL_NAME}")
_NAMES_SHELL = re.compile(rf"(?:^|[\s=,:;!|\"'(\[])/(?:usr/)?(?:local/)?bin/{SHELL_NAME}(?:$|[\s,;|\"')\]&#])")
_RUNS = re.compile(
    r"-[cexXs]"
    r"|--?(?:exec(?:ute)?|command|cmd|run|shell|eval|filter|call|pipe|hook|[a-z-]*-(?:cmd|command|exec|program|hook))"
    r"(?:=|$)"
)


def started_by_stranger(command: Command) -> Unwrapped:
    """What a program may start that its arguments name."""
    words = command.words
    if command.name in _TALKERS:
        return
    if command.name.startswith(("ld-linux", "ld-musl", "ld.so")):
        at = next((i for i in range(1, len(words)) if words[i][:1] != "-"), len(words))
        if inner := command.tail(at):
            yield inner
        return
    for at in range(1, len(words)):
        word = words[at]
        if word[:1] == "-":
            if (found := _RUNS.match(word)) and word[:2] != "-" and (text := _value(words, at, found)):
                yield text
        elif _starts(words, at) and (inner := command.tail(at)):
            yield inner
            return
        if ("/bin/" in word or "sh" in word) and _NAMES_SHELL.search(word):
            yield Command(("/bin/sh",), word, via=(*command.via, command.name))
            return


def _starts(words: tuple[str, ...], at: int) -> bool:
    """Whether a program that matters stands at a word, with something to do."""
    word = words[at]
    name = word.rpartition("/")[2]
    if _SHELL.fullmatch(word):
        return True
    if not matters(name):
        return False
    after = words[at + 1] if at + 1 < len(words) else ""
    if words[at - 1] == "--" and (after or name in _ENDS):
        return True
    return bool(after) and (after[0] in "-/~$" or (name == "dd" and "=" in after))


def matters(name: str) -> bool:
    """Whether a program of this name is worth a guess."""
    return name in _PROGRAMS or name in _ENDS or name.startswith("mkfs")


def _value(words: tuple[str, ...], at: int, found: re.Match[str]) -> str:
    """The script that an option gives, where it begins with a program that matters."""
    word = words[at]
    value = word[found.end() :] if word[found.end() - 1] == "=" else (words[at + 1] if at + 1 < len(words) else "")
    try:
        first = shlex.split(value)[:1]
    except ValueError:
        return ""
    name = first[0].rpartition("/")[2] if first else ""
    return value if name in _ENDS or (" " in value and matters(name)) else ""
