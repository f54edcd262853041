"""Programs that run another program which their own arguments name: where in these it begins.

Rule: one function for each shape of wrapper, from the wrapper's command to the commands and scripts within it.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise

from orchestrator.shell.ansible import ansible
from orchestrator.shell.builtin_code import completion_code, subscript_code
from orchestrator.shell.command import Command, Unwrapped
from orchestrator.shell.containers import container_commands
from orchestrator.shell.elsewhere import bwrap, machinectl, placed, rebound, starts_in, su, takes_next
from orchestrator.shell.escapes import (
    client_escapes,
    editor_escapes,
    powershell_escapes,
    sed_escapes,
    tar_escapes,
)
from orchestrator.shell.finds import FINDERS, fd_found, find_commands_in, named_by
from orchestrator.shell.git_scripts import git_scripts
from orchestrator.shell.multiplexers import multiplexer_commands
from orchestrator.shell.options import behind, in_option
from orchestrator.shell.pieces import expanded
from orchestrator.shell.prints import partly_received, printed, received
from orchestrator.shell.remote import REMOTE, scripts
from orchestrator.shell.starters import addresses, npm_exec, npx, pager, terminal

# Program: (options that take the next word as their value, operands that stand before the command).
WRAPPERS: dict[str, tuple[frozenset[str], int]] = {
    name: (frozenset(options.split()), operands)
    for names, options, operands in (
        ("sudo", "-u -g -h -p -C -r -t -T -U -D -R --user --group --host --prompt --chdir", 0),
        ("doas", "-u -C", 0),
        ("pkexec", "--user", 0),
        ("env", "-u -C -S --unset --chdir --split-string", 0),
        (
            "nohup setsid command builtin busybox toybox fakeroot unbuffer torsocks torify proxychains proxychains4"
            " winpty eatmydata"
            " catchsegv dbus-run-session dbus-launch ccache distcc tini dumb-init catatonit linux32 linux64"
            " ssh-agent chronic nocache multitime run-one keep-one-running aa-exec grc",
            "-p -g --profile",
            0,
        ),
        ("systemd-inhibit cgexec numactl softlimit prlimit tsocks", "-g --what --who --why --mode -m -c -n -s", 0),
        ("xvfb-run", "-n -s -e -f -p -w --server-num --server-args", 0),
        ("valgrind firejail trickle", "-b -w -r -S -R -d -u --tool", 0),
        ("setpriv", "--reuid --regid --groups", 0),
        ("cpulimit", "-l --limit -p -e -c", 0),
        ("chpst sem", "-u -U -n -m -d -o -p -f -c -r -t -l -e -j", 0),
        ("sshpass", "-p -f -d -P", 0),
        ("gosu su-exec s6-setuidgid logsave sg", "", 1),
        ("caffeinate", "-t -w", 0),
        ("time gtime", "-f -o --format --output", 0),
        ("nice", "-n --adjustment", 0),
        ("ionice", "-c -n -p --class --classdata", 0),
        ("timeout gtimeout", "-k -s --kill-after --signal", 1),
        ("stdbuf", "-i -o -e --input --output --error", 0),
        ("exec", "-a", 0),
        ("strace ltrace", "-o -e -p -s -u -P -E --trace --output", 0),
        ("chroot", "--userspec --groups", 1),
        ("taskset chrt", "-p -T -P -D", 1),
        ("flock", "-w -E --timeout --conflict-exit-code", 1),
        ("unshare nsenter", "-S -G -t -R -w --root --wd --target", 0),
        ("systemd-run", "-p -u --unit --property --uid --gid --slice -M --machine -E --setenv --on-active", 0),
        ("setarch faketime", "", 1),
        ("runuser", "-u -g -G", 0),
        ("entr rlwrap", "-H -f -C -p -s -S", 0),
        ("xargs", "-I -i -n -P -d -L -s -a -E --replace --max-args --max-procs --delimiter --max-lines --arg-file", 0),
    )
    for name in names.split()
}
_ASSIGNING = frozenset(("env", "sudo", "doas", "systemd-run"))
_SCRIPT_OPTIONS = {
    "env": ("-S", "--split-string"), "flock": ("-c", "--command"), "runuser": ("-c", "--command"),
    "sg": ("-c",),
}  # fmt: skip
_ATTACHED_SPLIT = re.compile(r"(?:-[a-zA-Z0]*S|--split-string=)(.+)", re.DOTALL)


def names_in(command: Command) -> frozenset[str]:
    """The program's name, and of a wrapper those that it may wrap."""
    if command.name not in WRAPPERS:
        return frozenset((command.name,))
    return frozenset((command.name, *(word.rpartition("/")[2] for word in command.words[1:])))


def _prefix(command: Command) -> Unwrapped:
    folder, inner = starts_in(command, WRAPPERS[command.name][0]), _behind_options(command)
    yield from placed(folder, inner) if folder else inner


def _behind_options(command: Command) -> Unwrapped:
    name, words = command.name, command.words
    values, operands = WRAPPERS[name]
    scripts = _SCRIPT_OPTIONS.get(name, ())
    at = 1
    while at < len(words):
        word = words[at]
        if name == "command" and word in ("-v", "-V"):
            return
        if word in scripts and at + 1 < len(words):
            yield " ".join((words[at + 1], *map(shlex.quote, words[at + 2 :])))
            return
        if name == "env" and (attached := _ATTACHED_SPLIT.fullmatch(word)):
            yield " ".join((attached.group(1), *map(shlex.quote, words[at + 1 :])))
            return
        if word == "--":
            at += 1
        elif takes_next(word, values):
            at += 2
            continue
        elif (
            (word[:1] == "-" and len(word) > 1)
            or ("=" in word and name in _ASSIGNING)
            or (word == "-" and name == "env")
        ):
            at += 1
            continue
        break
    assigns = tuple((key, value) for key, mark, value in (word.partition("=") for word in words[1:at]) if mark)
    after = words[at + operands : at + operands + 1]
    if name in ("flock", "sg") and after and after[0] in scripts and at + operands + 1 < len(words):
        yield words[at + operands + 1]
    elif (inner := command.tail(at + operands)) and name == "exec" and "-a" in words[:at]:
        # Some programs are what they are called by.
        yield inner
        yield replace(inner, words=(words[words.index("-a") + 1], *inner.words[1:]))
    elif inner:
        yield replace(inner, assigns=command.assigns + assigns)


def _xargs(command: Command) -> Unwrapped:
    for inner in _prefix(command):
        if isinstance(inner, Command):
            yield _with_input(inner, command)


def _from_file(command: Command) -> str | None:
    """`xargs -a <(command)`, `xargs < <(command)`."""
    named = (*command.words, *(item.target or "/dev/fd/63" for item in command.redirects if item.op == "<"))
    said = printed(command.fed[-1]) if command.fed and "/dev/fd/63" in named else None
    return said.text if said else None


def _with_input(inner: Command, command: Command) -> Command:
    """The command with the words that xargs would add, as far as the pipe says them."""
    text = received(command) or _from_file(command) or ""
    lines = "\0" in text or any(word[:2] in ("-I", "-i", "-d", "-L", "-0") for word in command.words)
    given = re.split(r"[\n\0]+", text) if lines else text.split()
    more = [(word, expanded(word).expands) for word in given[:20] if word]
    if not more and command.upstream:
        more = named_by(command.upstream)
    mark = next((value for option, value in pairwise(command.words) if option in ("-I", "--replace")), "{}")
    mark = next((word[2:] for word in command.words if word[:2] == "-I" and len(word) > 2), mark)
    marks = [at for at, word in enumerate(inner.words) if mark in word]
    from_file = any(item.op == "<" for item in command.redirects) or {"-a", "--arg-file"} & set(command.words)
    if not more and (marks or from_file):
        more = [("$INPUT", True)]
    if not more or (inner.name in ("sh", "bash") and not marks and inner.words[-1][:1] != "-"):
        return inner
    words, expands = list(inner.words), list(inner.expands)
    if marks:
        for at in marks:
            # Within a longer word it is a name rather than a path: `~/{}`.
            name = more[0][0] if words[at] == mark else more[0][0].rpartition("/")[2] or more[0][0]
            words[at] = words[at].replace(mark, name if words[at][:1] in "/~$" else more[0][0])
            if more[0][1]:
                expands.append(at)
        more = more[1:]
    expands += [len(words) + at for at, (_, expanding) in enumerate(more) if expanding]
    return replace(inner, words=(*words, *(word for word, _ in more)), expands=tuple(expands))


def _runuser(command: Command) -> Unwrapped:
    yield from _prefix(command) if {"-u", "--user"} & set(command.words) else su(command)


def _eval(command: Command) -> Unwrapped:
    if len(command.words) > 1:
        yield " ".join(command.words[1:])


def _history(command: Command) -> Unwrapped:
    """`history -s COMMAND` puts into the history what `fc -s` then runs."""
    if "-s" in command.words[1:2]:
        yield " ".join(command.words[2:])


def _trap(command: Command) -> Unwrapped:
    if len(command.words) > 2 and command.words[1] not in ("-", "-p", "-l"):
        yield command.words[1]


def _alias(command: Command) -> Unwrapped:
    for word in command.words[1:]:
        if "=" in word:
            yield word.partition("=")[2]


def _watch(command: Command) -> Unwrapped:
    at = command.operands(frozenset(("-n", "--interval")))
    if at < len(command.words):
        yield " ".join(command.words[at:])


def _parallel(command: Command) -> Unwrapped:
    words = command.words
    at = command.operands(frozenset(("-j", "--jobs", "-S", "-n", "-N", "--delay", "--timeout", "--joblog", "-a")))
    end = next((i for i in range(at, len(words)) if words[i].startswith(":::")), len(words))
    given = [word for word in words[end + 1 :] if not word.startswith(":::")] or (received(command) or "").split()
    if not given and command.upstream:
        given = [name for name, _ in named_by(command.upstream)]
    script = " ".join(words[at:end])
    if not script:
        yield from (given if end < len(words) else (received(command) or "").splitlines()) or ["$INPUT"]
    for item in given[:20]:
        if script:
            yield script.replace("{}", item) if "{}" in script else f"{script} {item}"
    if script and not given:
        yield script


def _bundled(command: Command) -> Unwrapped:
    """A program with others built in: `k3s kubectl …`."""
    at = next((i for i, word in enumerate(command.words) if i and word in ("kubectl", "ctr", "crictl", "helm")), 0)
    inner = command.tail(at) if at else None
    if inner:
        yield replace(inner, words=tuple(word for word in inner.words if word != "--"), expands=())


_SCHEDULE = re.compile(r"(?m)^\s*(?:@\w+|(?:\S+\s+){4}\S+)\s+")


def _crontab(command: Command) -> Unwrapped:
    """What the lines of a crontab will run, where it is told them."""
    for line in partly_received(command).splitlines():
        if found := _SCHEDULE.match(line):
            yield line[found.end() :]


def _piped(command: Command) -> Unwrapped:
    if text := received(command):
        yield text


def _start_stop(command: Command) -> Unwrapped:
    words = command.words
    more = command.tail(words.index("--")) if "--" in words else command.tail(len(words) - 1)
    for option, value in pairwise(words):
        if more and option in ("-x", "--exec", "-a", "--startas"):
            yield replace(more, words=(value, *(more.words[1:] if "--" in words else ())))


_SCRIPT_SET = re.compile(r"\.?\bscripts\b(?:\.[\w:-]+|\[\"[^\"]+\"\])\s*\|?=\s*\"((?:\\.|[^\"\\])*)\"")


def _set_scripts(command: Command) -> Unwrapped:
    """`jq '.scripts.test = "COMMAND"'`: what `npm test` will start."""
    for word in command.words[1:]:
        yield from (found.group(1).replace('\\"', '"') for found in _SCRIPT_SET.finditer(word))


def _if_runs(command: Command) -> Unwrapped:
    """`pipx run PACKAGE`; it has other verbs too."""
    if command.words[1:2] == ("run",):
        yield from npx(command)


def _npm(command: Command) -> Unwrapped:
    """`npm exec -- COMMAND`, and `npm pkg set scripts.NAME=COMMAND`, which `npm run NAME` starts later."""
    yield from npm_exec(command)
    if command.words[1:3] == ("pkg", "set"):
        for word in command.words[3:]:
            key, mark, value = word.partition("=")
            if mark and key.startswith("scripts"):
                yield value


def _capsh(command: Command) -> Unwrapped:
    """`capsh -- ARGUMENTS` is bash with these arguments."""
    words = command.words
    if "--" in words:
        yield Command(("bash", *words[words.index("--") + 1 :]), command.text, via=(*command.via, command.name))


def _lvm(command: Command) -> Unwrapped:
    """`lvm COMMAND`, and the lines that its own shell is given."""
    if inner := command.tail(command.operands(frozenset(("--config",)))):
        yield inner
    elif text := received(command):
        yield text


def _direnv(command: Command) -> Unwrapped:
    """`direnv exec FOLDER command`."""
    if command.words[1:2] == ("exec",) and (inner := command.tail(3)):
        yield inner


def _pm2(command: Command) -> Unwrapped:
    """`pm2 start SCRIPT`."""
    if command.words[1:2] == ("start",):
        yield from (word for word in command.words[2:3] if " " in word)


def _script(command: Command) -> Unwrapped:
    """`script -c SCRIPT FILE`; elsewhere `script FILE program argument`."""
    yield from in_option("-c", "--command")(command)
    at = command.operands(frozenset(("-c", "--command", "-O", "-I", "-B", "-T", "-E", "-m", "-o", "-t")))
    if inner := command.tail(at + 1):
        yield inner


def _starts_unit(command: Command) -> Unwrapped:
    """What `systemd-run` starts: the command, and what its properties name."""
    yield from _prefix(command)
    for word in command.words[1:]:
        key, _, value = word.removeprefix("--property=").partition("=")
        if key.startswith("Exec") and value:
            yield value.lstrip("-+@:!")


def _cargo(command: Command) -> Unwrapped:
    """`cargo watch -s SCRIPT`."""
    if command.words[1:2] == ("watch",):
        yield from in_option("-s", "--shell")(command)


def _netns(command: Command) -> Unwrapped:
    """`ip netns exec NAME command`."""
    if command.words[1:3] == ("netns", "exec") and (inner := command.tail(4)):
        yield inner


def _fd(command: Command) -> Unwrapped:
    words = command.words
    for at, word in enumerate(words):
        if word in ("-x", "-X", "--exec", "--exec-batch") and (inner := command.tail(at + 1)):
            marks = [index for index, item in enumerate(inner.words) if "{}" in item] or [len(inner.words)]
            for path in fd_found(words[1:at]):
                filled = [item.replace("{}", path) for item in inner.words] + [path] * (marks[0] == len(inner.words))
                yield replace(inner, words=tuple(filled), expands=(*inner.expands, *marks))


# Programs whose command begins after one of these words.
_MARKED = (
    ("bundle", "exec"), ("poetry", "run"), ("pipenv", "run"), ("uv", "run"), ("pdm", "run"), ("hatch", "run"),
    ("rye", "run"), ("conda", "run"), ("dotenv", "--", "run"), ("perf", "record", "stat", "trace"),
    ("mise", "--"), ("op", "--"), ("doppler", "--"), ("chamber", "--"), ("aws-vault", "--"),
    ("watchexec", "--"), ("lxc", "--"), ("incus", "--"), ("dtach", "-n", "-c", "-A"),
    ("yarn", "exec", "dlx"), ("pnpm", "exec", "dlx"),
)  # fmt: skip


def started_by(command: Command) -> Iterator[Command]:
    """The commands that a wrapper names in its own words; scripts aside."""
    opened = UNWRAP[command.name](command) if command.name in UNWRAP and len(command.words) > 1 else ()
    return (inner for inner in opened if isinstance(inner, Command) and inner.words != command.words)


UNWRAP: dict[str, Callable[[Command], Unwrapped]] = {
    **dict.fromkeys(WRAPPERS, _prefix),
    "xargs": _xargs, **dict.fromkeys(FINDERS, find_commands_in), "fd": _fd, "fdfind": _fd,
    "su": su, "runuser": _runuser, "machinectl": machinectl, "eval": _eval, "trap": _trap, "alias": _alias,
    "history": _history,
    **dict.fromkeys(("test", "[", "[[", "read", "printf", "unset", "declare", "typeset", "local"), subscript_code),
    **dict.fromkeys(("export", "readonly", "wait", "let", "(("), subscript_code),
    **dict.fromkeys(("compgen", "complete", "mapfile", "readarray", "bind"), completion_code),
    **dict.fromkeys(("k3s", "k0s", "microk8s", "minikube", "rke2"), _bundled),
    "watch": _watch, "parallel": _parallel, "rush": _parallel, "git": git_scripts,
    **dict.fromkeys(("docker", "podman", "nerdctl", "kubectl", "oc"), container_commands),
    **dict.fromkeys(("tmux", "tmate", "screen"), multiplexer_commands), "script": _script,
    **dict.fromkeys(("fish", "csh", "tcsh", "elvish", "xonsh", "rc", "yash", "posh"), in_option("-c", "--command")),
    **dict.fromkeys(("pwsh", "powershell", "nu", "pwsh.exe", "powershell.exe"), powershell_escapes),
    "man": in_option("-P", "--pager"), "zip": in_option("-TT", "--unzip-command"), "pueue": behind("--", "add"),
    "npx": npx, "bunx": npx, "pnpx": npx, "uvx": npx, "pipx": _if_runs, "npm": _npm,
    "jq": _set_scripts, "yq": _set_scripts,
    "go": in_option("-exec", "-toolexec"), "sed": sed_escapes, "gsed": sed_escapes,
    "vim": editor_escapes, "vi": editor_escapes, "nvim": editor_escapes, "ex": editor_escapes, "tar": tar_escapes,
    **dict.fromkeys(("gdb", "lldb", "rvim", "view", "rview", "vimdiff", "ed", "red", "gvim", "pdb"), editor_escapes),
    **dict.fromkeys(("sqlite3", "psql", "mysql", "mariadb", "ftp", "lftp"), client_escapes),
    **dict.fromkeys(("sftp", "mail", "telnet", "bc"), client_escapes),
    "rsync": in_option("-e", "--rsh", "--rsync-path"), "hyperfine": scripts, "concurrently": scripts, "pm2": _pm2,
    "start-stop-daemon": _start_stop, "at": _piped, "batch": _piped, "crontab": _crontab,
    "systemd-run": _starts_unit, "lvm": _lvm, "direnv": _direnv, "cargo": _cargo,
    "capsh": _capsh, "ip": _netns, "nix-shell": in_option("--run", "--command"), "nix": in_option("--command"),
    "nodemon": in_option("-x", "--exec"), "split": in_option("--filter"), "vagrant": in_option("-c", "--command"),
    "ansible": ansible, "bwrap": bwrap, "proot": rebound, "systemd-nspawn": rebound,
    "apptainer": rebound, "singularity": rebound, "socat": addresses, "less": pager, "more": pager,
    **dict.fromkeys(("xterm", "konsole", "gnome-terminal", "xfce4-terminal", "alacritty", "kitty", "foot"), terminal),
    **{name: behind(*marks) for name, *marks in _MARKED}, **REMOTE,
}  # fmt: skip
