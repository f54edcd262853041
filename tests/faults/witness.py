"""What the steps of a trial say themselves, outside of the daemon's reach and independent of its books.

Each step appends `start NAME STEP`, perhaps `overlap NAME STEP`, and `end NAME STEP` to one file, each line by one
write with O_APPEND. What it leaves behind is a `tail` of that file, so that it is found whatever it does to its session
and its environment; and it holds the lock of the task's id, so that a later run which meets it says `overlap`.
"""

import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

LINE = re.compile(r"(start|overlap|end) (\S+) (\d+)")
KINDS = {
    "quick": "",
    "slow": "timeout {seconds} {linger}; ",
    "loud": "printf %300000s x; ",
    "group": "{linger} & ",
    "session": "setsid {linger} & timeout {seconds} {linger}; ",
    "double_fork": "(trap '' HUP TERM; setsid {linger} &) ; timeout {seconds} {linger}; ",
    "bare": "env -i setsid {linger} < /dev/null 2> /dev/null & timeout {seconds} {linger}; ",
}
"""What a step does between its start and its end. `bare` hides from all but a pid namespace once its daemon is dead."""


@dataclass
class Told:
    """What stands in the witness, by name of the file and number of the step."""

    starts: Counter = field(default_factory=Counter)
    ends: Counter = field(default_factory=Counter)
    overlaps: int = 0
    out_of_order: int = 0
    torn: int = 0


class Witness:
    """The file, and the steps that write to it."""

    def __init__(self, folder):
        self.path = folder / "witness"
        self.path.touch()
        Path(f"{self.path}.locks").mkdir()

    def step(self, task_id, name, number, kind, seconds=0.01):
        """A step that says when it starts and ends, and in between does what its kind is."""
        body = KINDS[kind].format(seconds=f"{seconds:.3f}", linger=f"tail -n0 -f {self.path} > /dev/null")
        lock = f"exec 9>> {self.path}.locks/{task_id}; flock -n 9 || {self._say('overlap', name, number)}; "
        script = f"{lock}{self._say('start', name, number)}; {body}{self._say('end', name, number)}"
        return {"skill": "bash", "args": ["-c", script]}

    def _say(self, what, name, number):
        return f"printf '%s\\n' '{what} {name} {number}' >> {self.path}"

    def told(self):
        """All that was said. A step that starts after a later step of its task did is out of order."""
        told, furthest = Told(), {}
        *lines, rest = self.path.read_text().split("\n")
        told.torn = int(rest != "")
        for line in lines:
            match = LINE.fullmatch(line)
            if match is None:
                told.torn += 1
                continue
            what, name, step = match[1], match[2], int(match[3])
            if what == "overlap":
                told.overlaps += 1
            elif what == "end":
                told.ends[name, step] += 1
            else:
                told.starts[name, step] += 1
                told.out_of_order += step < furthest.get(name, 0)
                furthest[name] = max(step, furthest.get(name, 0))
        return told

    def processes(self):
        """The pid of every process that a step started and that still is."""
        return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit() and self._is_ours(entry)]

    def _is_ours(self, entry):
        try:
            return str(self.path).encode() in (entry / "cmdline").read_bytes() and parent_of(entry.name) != 0
        except OSError:
            return False

    def orphans(self, daemon):
        """The processes of steps that do not hang below this daemon, which adopts all that its own steps lose."""
        return [pid for pid in self.processes() if not _hangs_below(pid, daemon) and parent_of(pid)]


def parent_of(pid):
    """The parent's pid; 0 if there is no such process, or it is dead."""
    try:
        state, parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:2]
    except OSError:
        return 0
    return 0 if state in "ZX" else int(parent)


def _hangs_below(pid, ancestor):
    while pid > 1:
        if pid == ancestor:
            return True
        pid = parent_of(pid)
    return False
