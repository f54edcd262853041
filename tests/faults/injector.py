"""System calls that fail, or that are a process's last: the n-th of each thread, once or from then on, by strace."""

import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

# What one means by a call has several names: Python and C libraries choose among them.
FAMILIES = {
    "rename": "rename,renameat2,renameat",
    "link": "link,linkat",
    "sync": "fsync,fdatasync,syncfs",
    "open": "openat",
    "write": "write",
    "list": "getdents64",
    "stat": "newfstatat,fstat,stat,lstat,statx",
    "unlink": "unlink,unlinkat,rmdir",
    "mkdir": "mkdir,mkdirat",
    "pipe": "pipe2",
    "pidfd": "pidfd_open",
    "start": "clone3,clone,vfork",
    "watch": "epoll_ctl",
    "claim": "renameat2,mkdir",
}


@dataclass(frozen=True)
class Fault:
    """`error` is its name, or KILL: then the process dies right before that call. `when` is strace's: `3` is the third
    call of a thread, `3+` that one and all that follow."""

    family: str
    error: str
    when: str

    def __str__(self):
        return f"{self.family} {self.error} {self.when}"

    def command(self, home, log):
        """How strace is told. Programs that the daemon starts meet no fault: it lets go of a child at its exec.

        Only what is written to the journal and to telemetry fails: pipes and event counters of one's own never do.
        """
        calls = FAMILIES[self.family]
        words = ["strace", "-f", "-b", "execve", "-o", str(log), "-e", f"trace={calls}"]
        how = "signal=KILL" if self.error == "KILL" else f"error={self.error}"
        words += ["-e", f"inject={calls}:{how}:when={self.when}"]
        if self.family == "write":
            for folder in (home.journal, home.telemetry):
                words += [word for path in Path(folder).iterdir() for word in ("-P", str(path))]
        return words


@contextmanager
def injected(pid, fault, home, log):
    """A living process, with all its threads, meets the fault until the end of the block."""
    command = [*fault.command(home, log), "-p", str(pid)]
    strace = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        said = [strace.stderr.readline()]
        while said[-1] and "attached" not in said[-1]:
            said.append(strace.stderr.readline())
        assert said[-1], said
        yield
    finally:
        strace.terminate()
        try:
            strace.communicate(timeout=5)
        except (
            subprocess.TimeoutExpired
        ):  # it waits for a thread that sleeps; without it the threads go on all the same
            strace.kill()
            strace.communicate()


def hits(log):
    """How many calls were made to fail."""
    return log.read_text().count("(INJECTED)")
