"""Runs rows of the gate's corpus in the sandbox of steps, on a canary tree.

NEVER to be started outside of the walls that tests/test_sandbox_deny_class.py builds: `refuse_without_walls` looks at
them first, and without them runs nothing.

Standard input: JSON lines of the corpus. Standard output: a JSON line each, with what was damaged.
"""

import asyncio
import hashlib
import json
import os
import sys
from pathlib import Path

HOME = Path("/home/user")
WORK = HOME / "work"
ORCHESTRATOR = HOME / "orchestrator"
WATCHED = (HOME, Path("/srv"))
HARMLESS_SYSTEMS = {"tmpfs", "proc", "devpts", "mqueue"}
TIMEOUT_MS = 5_000


def refuse_without_walls():
    """Nothing that can be written may lie on a disk, nothing outside may be reachable; else nothing is run."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields, _, rest = line.partition(" - ")
        place, options = fields.split()[4:6]
        system = rest.split()[0]
        is_device = place.startswith("/dev/") and system == "devtmpfs"
        if "rw" in options.split(",") and system not in HARMLESS_SYSTEMS and not is_device:
            sys.exit(f"{place} can be written and is {system}: these are not the walls")
    # Whoever is root outside has no name in here; if that were us, the system's files would be ours.
    if os.stat("/usr").st_uid in (0, os.geteuid()):
        sys.exit("this is root's process: these are not the walls")
    if [line.split(":")[0].strip() for line in Path("/proc/net/dev").read_text().splitlines()[2:]] != ["lo"]:
        sys.exit("there is a network: these are not the walls")
    if any(path.is_block_device() for path in Path("/dev").rglob("*")):
        sys.exit("there are disks: these are not the walls")
    if len([name for name in os.listdir("/proc") if name.isdigit()]) > 5:
        sys.exit("there are processes of others: these are not the walls")


def plant():
    """The canary tree, anew."""
    from orchestrator.sandbox.scratch import remove_tree

    for top in (HOME, Path("/srv"), Path("/tmp")):
        for entry in os.scandir(top):
            if entry.is_dir(follow_symlinks=False):
                remove_tree(entry.path)
            else:
                os.unlink(entry.path)
    names = (".bashrc", ".profile", ".ssh/id_ed25519", ".ssh/authorized_keys", ".aws/credentials",
             "Documents/thesis.tex", "projects/a/main.py", ".config/autostart/a.desktop", "keep.txt")  # fmt: skip
    own = (
        "config/orchestrator.toml",
        "policy/a.toml",
        "skills/bash/skill.toml",
        "queue/done/a.json",
        "state/memory.db",
    )
    for path in (*(HOME / name for name in names), *(ORCHESTRATOR / name for name in own), Path("/srv/data")):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"canary {path}\n")
    WORK.mkdir()
    (WORK / "notes.txt").write_text("the workspace is the step's to spoil\n")


def picture():
    """Every file, folder and link that is watched, and what it is."""
    found = {}
    for top in WATCHED:
        for folder, folders, files in os.walk(top):
            if folder == str(HOME):
                folders.remove("work") if "work" in folders else None
            for name in (*folders, *files):
                path = Path(folder, name)
                own = str(path.relative_to(top))
                if own.startswith(("orchestrator/state/scratch", "orchestrator/state/cache", ".cache", ".npm")):
                    continue  # they change, as they are meant to
                status = path.lstat()
                content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else os.path.islink(path)
                found[str(path)] = (oct(status.st_mode), status.st_uid, content)
    return found


def damage(before):
    after = picture()
    return sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))


async def main():
    refuse_without_walls()
    from orchestrator.home import Home
    from orchestrator.outcome import Call
    from orchestrator.runners.process import ProcessRunner
    from orchestrator.sandbox import Sandbox, probe
    from orchestrator.settings import SandboxSettings

    runner = ProcessRunner("deny-class", grace_ms=100)
    await runner.start()
    plant()
    env = {"HOME": str(HOME), "PATH": "/usr/bin:/bin", "USER": "user"}
    home = Home(str(ORCHESTRATOR))

    def sandbox():
        made = Sandbox(SandboxSettings(level="bwrap"), probe(), home, str(WORK), env["PATH"], env)
        made.wipe()
        made.prepare()
        return made

    programs = {"bash": "/bin/bash", "python": "/usr/bin/python3", "node": "/usr/bin/node", "git": "/usr/bin/git"}
    box, before = sandbox(), picture()
    for line in sys.stdin:
        row = json.loads(line)
        argv = (programs[row["skill"]], *row["args"])
        call = Call(0, row["skill"], "process", tuple(row["args"]), argv, env, str(WORK), TIMEOUT_MS)
        if not row.get("control"):
            call = box.confine(call, "row.1")
        finished = await runner.run(call, out_path="/tmp/out", err_path="/tmp/err", mark=row["id"])
        damaged = damage(before)
        answer = {"id": row["id"], "code": finished.code, "error": finished.error, "damaged": damaged}
        print(json.dumps(answer), flush=True)
        if damaged or not os.access(WORK / "notes.txt", os.W_OK):
            plant()
            box = sandbox()
            before = picture()
    await runner.close()


asyncio.run(main())
