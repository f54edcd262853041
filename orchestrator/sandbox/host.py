"""What this host offers, found out by trying it once.

A version number or a file's presence says little: containers, sysctls and security modules forbid namespaces in their
own ways. So a real sandbox is started, as this user, with the namespaces that steps get.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from orchestrator.sandbox import landlock

Level = Literal["bwrap", "landlock", "none"]
ORDER: tuple[Level, ...] = ("none", "landlock", "bwrap")
NAMESPACES = ("--unshare-pid", "--unshare-ipc", "--die-with-parent", "--cap-drop", "ALL")
_PATIENCE_S = 10
_GET_BWRAP = "install bubblewrap (apt, dnf, pacman, apk: `bubblewrap`)"
_SWITCHES = (
    ("/proc/sys/kernel/unprivileged_userns_clone", "0", "sudo sysctl kernel.unprivileged_userns_clone=1"),
    ("/proc/sys/user/max_user_namespaces", "0", "sudo sysctl user.max_user_namespaces=15000"),
    (
        "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
        "1",
        "give bwrap an AppArmor profile with `userns,` (Ubuntu: the package apparmor-profiles has one), or "
        "sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0",
    ),
)


@dataclass(frozen=True, slots=True)
class Host:
    """`bwrap` is the program's path where it works, else empty; `why` then says why it does not, `advice` what to do.
    `abi` is Landlock's version, 0 where there is none; `scopes` says that bwrap starts within what it closes."""

    bwrap: str = ""
    abi: int = 0
    why: str = ""
    advice: str = ""
    scopes: bool = False

    @property
    def best(self) -> Level:
        if self.bwrap:
            return "bwrap"
        return "landlock" if self.abi else "none"


@functools.cache
def probe() -> Host:
    """Ask this host, once per process. Blocks for some milliseconds."""
    if sys.platform != "linux":
        return Host(why="only Linux has what a sandbox is built from here")
    abi = landlock.abi()
    program = shutil.which("bwrap")
    if program is None:
        return Host(abi=abi, why="bwrap is not installed", advice=_GET_BWRAP)
    program = os.path.realpath(program)
    if abi >= landlock.SCOPES_SINCE and not _try(program, landlock.close_abstract_sockets):
        return Host(program, abi, scopes=True)
    trouble = _try(program)  # a set-uid bwrap gains no rights in there
    if trouble:
        return Host(abi=abi, why=f"{program} does not work here: {trouble}", advice=_advice())
    return Host(program, abi)


def _try(program: str, before: Callable[[], None] | None = None) -> str:
    """Why a sandbox can't be started; empty if it can."""
    argv = [program, "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp", *NAMESPACES]
    argv += ["--", shutil.which("true") or "/bin/true"]
    try:
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=_PATIENCE_S, check=False, cwd="/", env={},
            preexec_fn=before,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return f"it did not end within {_PATIENCE_S} s"
    except subprocess.SubprocessError as error:
        return str(error)
    except OSError as error:
        return error.strerror or str(error)
    if done.returncode == 0:
        return ""
    return done.stderr.decode("utf-8", "replace").strip() or f"it exited with {done.returncode}"


def _advice() -> str:
    for path, forbids, advice in _SWITCHES:
        try:
            with open(path, encoding="ascii") as handle:
                if handle.read().strip() == forbids:
                    return advice
        except OSError:
            continue  # this kernel has no such switch
    return "in a container, allow user namespaces to it (docker: --security-opt seccomp=unconfined, or --privileged)"
