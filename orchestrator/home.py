"""The home: where everything lies, and how the one in use is found.

Standard library only, and light: `submit` imports this before anything else. A home is a folder that holds
`config/orchestrator.toml`; a checkout of this project is one.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False  # as typing has it: importing typing alone would cost `submit` a tenth of its time
if TYPE_CHECKING:
    from typing import Any

MARKER = "config/orchestrator.toml"


class Home:
    """The paths of one home. Plain strings, because the hot path joins many of them."""

    __slots__ = (
        "approvals", "caches", "config", "daemon", "done", "examples", "failed", "inbox", "journal", "keys", "lock",
        "memory", "notify", "paused", "policy", "queue", "reports", "retries", "root", "running", "runs", "scheduled",
        "schedules", "scratch", "skills", "state", "telemetry", "templates", "verdicts", "worktrees",
    )  # fmt: skip

    def __init__(self, root: str) -> None:
        self.root = os.path.realpath(root)
        self.config = f"{self.root}/config"
        self.templates = f"{self.config}/templates"
        self.policy = f"{self.root}/policy"
        self.skills = f"{self.root}/skills"
        self.queue = f"{self.root}/queue"
        self.inbox = f"{self.queue}/inbox"
        self.scheduled = f"{self.queue}/scheduled"
        self.running = f"{self.queue}/running"
        self.done = f"{self.queue}/done"
        self.failed = f"{self.queue}/failed"
        self.examples = f"{self.queue}/examples"
        self.state = f"{self.root}/state"
        self.runs = f"{self.state}/runs"
        self.journal = f"{self.state}/journal"
        self.telemetry = f"{self.state}/telemetry"
        self.reports = f"{self.state}/reports"
        self.approvals = f"{self.state}/approvals"
        self.retries = f"{self.state}/retries"
        self.keys = f"{self.state}/keys"
        self.notify = f"{self.state}/notify"
        self.schedules = f"{self.state}/schedules"
        self.scratch = f"{self.state}/scratch"
        self.caches = f"{self.state}/cache"
        self.worktrees = f"{self.state}/worktrees"
        self.verdicts = f"{self.state}/verdicts"
        self.memory = f"{self.state}/memory.db"
        self.paused = f"{self.state}/paused.json"
        self.lock = f"{self.state}/daemon.lock"
        self.daemon = f"{self.state}/daemon.json"

    def exists(self) -> bool:
        return os.path.isfile(f"{self.root}/{MARKER}")

    def private_folders(self) -> tuple[str, ...]:
        """The folders that only this user may enter (0700), in the order in which they can be made."""
        return (
            self.queue, self.inbox, self.scheduled, self.running, self.done, self.failed,
            self.state, self.runs, self.journal, self.telemetry, self.approvals, self.retries,
            self.keys,
            self.schedules,
        )  # fmt: skip

    def is_worktree(self, path: str) -> bool:
        """Whether it lies in a task's worktree, `<id>/<number>`; what stands beside these is the daemon's own."""
        parts = path.removeprefix(f"{self.worktrees}/").split("/")
        return path.startswith(f"{self.worktrees}/") and len(parts) > 1 and parts[1].isdigit()

    def prepare(self) -> None:
        """Make the folders that are missing, and close those that others could enter."""
        for folder in self.private_folders():
            os.makedirs(folder, mode=0o700, exist_ok=True)
            if os.stat(folder).st_mode & 0o077:
                os.chmod(folder, 0o700)


def find_home(explicit: str | None = None) -> Home:
    """The home in use: `--home`, `$ORCHESTRATOR_HOME`, the nearest folder upwards, the user's data dir.

    The answer may not exist yet; ask `exists()`.
    """
    if explicit:
        return Home(explicit)
    if from_environment := os.environ.get("ORCHESTRATOR_HOME"):
        return Home(from_environment)
    folder = os.getcwd()
    while True:
        if os.path.isfile(f"{folder}/{MARKER}"):
            return Home(folder)
        parent = os.path.dirname(folder)
        if parent == folder:
            break
        folder = parent
    from platformdirs import user_data_dir

    return Home(user_data_dir("orchestrator"))


def daemon_runs(home: Home) -> bool:
    """Whether a daemon holds the home's lock. The lock is asked, never a process id: ids are used again."""
    try:
        fd = os.open(home.lock, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    import fcntl

    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def daemon_pid(home: Home) -> int | None:
    """The process id that the running daemon published, 0 if it has not yet; None if none runs."""
    if not daemon_runs(home):
        return None
    return int(daemon_note(home).get("pid", 0))


def daemon_note(home: Home) -> dict[str, Any]:
    """What the daemon has published: `pid`, `ready`, `started_at`, `once`, by name the `troubles` that it has with this
    machine at present, the `reload` that it refused, a mark of the configuration that it has `read`, and whether it
    runs what needs approval (`approve_high`). Empty if there is none, or it is just being written."""
    import json

    try:
        with open(home.daemon, encoding="utf-8") as handle:
            published = json.load(handle)
    except (OSError, ValueError):
        return {}
    return published if isinstance(published, dict) else {}
