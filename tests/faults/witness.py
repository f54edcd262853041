"""What the steps of a storm say themselves, outside of the daemon's reach and independent of its books.

Each step appends `start NAME STEP`, perhaps `overlap NAME STEP`, and `end NAME STEP` to one file, each line by one
write with O_APPEND.
"""

import re
import shutil
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

STEP_SCRIPT = Path(__file__).with_name("step.sh")
LINE = re.compile(r"(start|overlap|end) (\S+) (\d+)")


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
        self._script = Path(shutil.copy(STEP_SCRIPT, folder))  # a sandbox hides the /tmp in which a checkout may lie
        self.path.touch()
        Path(f"{self.path}.locks").mkdir()

    def step(self, task_id, name, number, kind, seconds=0.0):
        """A step's arguments for the bash skill."""
        return [str(self._script), str(self.path), task_id, name, str(number), kind, f"{seconds:.3f}"]

    def told(self):
        """All that was said. A step that starts after a later step of its task did is out of order."""
        told, furthest = Told(), {}
        for line in self.path.read_text().split("\n")[:-1]:
            match = LINE.fullmatch(line)
            if match is None:
                told.torn += 1
                continue
            kind, name, step = match[1], match[2], int(match[3])
            if kind == "overlap":
                told.overlaps += 1
            elif kind == "end":
                told.ends[name, step] += 1
            else:
                told.starts[name, step] += 1
                told.out_of_order += step < furthest.get(name, 0)
                furthest[name] = max(step, furthest.get(name, 0))
        told.torn += not self.path.read_text().endswith("\n") and self.path.stat().st_size > 0
        return told

    def processes(self):
        """Every process that a step started and that still is: pid → its parent's pid."""
        found = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and self._is_ours(entry) and (parent := parent_of(entry.name)):
                found[int(entry.name)] = parent
        return found

    def _is_ours(self, entry):
        try:
            return str(self.path).encode() in (entry / "cmdline").read_bytes()
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
