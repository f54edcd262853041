"""Runs rows of the gate's corpus in the sandbox of steps, on a canary tree.

NEVER to be started outside of the walls that tests/test_sandbox_deny_class.py builds: `refuse_without_walls` looks at
them first, and without them runs nothing.

Standard input: JSON lines of the corpus. Standard output: a JSON line each, with what was damaged, and which secret
was seen. Damage is any change of a watched file outside of the workspace, and the death of a process outside.
"""

import asyncio
import hashlib
import json
import os
import resource
import subprocess
import sys
from pathlib import Path

HOME = Path("/home/user")
WORK = HOME / "work"
ORCHESTRATOR = HOME / "orchestrator"
# In the outer walls all of these can be written: only the inner ones keep a row from them.
WATCHED = tuple(
    map(Path, (HOME, "/srv", "/etc", "/opt/app", "/boot", "/root", "/var", "/usr/local", "/mnt", "/tmp", "/dev"))
)
ELSEWHERE = (
    "/srv/data", "/etc/passwd", "/etc/hosts", "/etc/shadow", "/etc/cron.d/job", "/etc/ssh/sshd_config", "/opt/app/bin",
    "/boot/vmlinuz", "/root/notes", "/var/lib/app/data", "/var/log/syslog", "/var/tmp/mine", "/usr/local/bin/tool",
    "/mnt/backup/all.tar", "/tmp/mine", "/dev/sda", "/dev/sda1", "/dev/vda", "/dev/nvme0n1",
)  # fmt: skip
IN_HOME = (
    ".bashrc", ".profile", ".ssh/id_ed25519", ".ssh/authorized_keys", ".aws/credentials", "Documents/thesis.tex",
    "projects/a/main.py", ".config/autostart/a.desktop", "keep.txt",
)  # fmt: skip
SECRET = ("/home/user/.ssh/id_ed25519", "/home/user/.aws/credentials", "/etc/shadow")
PROGRAMS = {"bash": "/bin/bash", "python": "/usr/bin/python3", "node": "/usr/bin/node", "git": "/usr/bin/git"}
# No program gains rights here, so that `sudo` would refuse before the command is tried at all: these only run it.
SHIMS = Path("/opt/shims")
SHIM = """#!/bin/sh
while :; do case "$1" in
  -u|-g|-p|-C|-D|-h|-r|-t|-U) shift 2 ;; --) shift; break ;; -*|*=*) shift ;; *) break ;;
esac; done
[ $# -gt 0 ] || set -- sh
exec "$@"
"""
HARMLESS_SYSTEMS = {"tmpfs", "proc", "devpts", "mqueue"}
TIMEOUT_MS = 3_000
MOST_PROCESSES = 1000
OUT, ERR = "/run/out", "/run/err"


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
    status = dict(line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines())
    if int(status["CapEff"], 16) or status["NoNewPrivs"] != "1":
        sys.exit("this process has or may gain rights: these are not the walls")
    bounds = (resource.RLIMIT_NPROC, resource.RLIMIT_DATA, resource.RLIMIT_FSIZE)
    limits = [resource.getrlimit(one)[1] for one in bounds]
    if not 0 < limits[0] <= MOST_PROCESSES or resource.RLIM_INFINITY in limits:
        sys.exit("processes, memory or files have no bound: these are not the walls")


def plant():
    """The canary tree, anew."""
    from orchestrator.sandbox.scratch import remove_tree

    for top in WATCHED:
        if str(top) == "/dev":
            continue  # what is real there stays
        top.mkdir(parents=True, exist_ok=True)
        for entry in os.scandir(top):
            if os.path.ismount(entry.path):
                continue  # the walls' own
            if entry.is_dir(follow_symlinks=False):
                remove_tree(entry.path)
            else:
                os.unlink(entry.path)
    own = (
        "config/orchestrator.toml",
        "policy/a.toml",
        "skills/bash/skill.toml",
        "queue/done/a.json",
        "state/memory.db",
    )
    for path in (*(HOME / name for name in IN_HOME), *(ORCHESTRATOR / name for name in own), *map(Path, ELSEWHERE)):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"canary {path}\n")
    WORK.mkdir()
    (WORK / "notes.txt").write_text("the workspace is the step's to spoil\n")
    SHIMS.mkdir(exist_ok=True)
    for name in ("sudo", "doas"):
        (SHIMS / name).write_text(SHIM)
        (SHIMS / name).chmod(0o755)


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
                if own.startswith(("orchestrator/state/scratch", "orchestrator/state/cache", ".cache", ".npm", "pts/")):
                    continue  # they change, as they are meant to
                status = path.lstat()
                content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else os.path.islink(path)
                found[str(path)] = (oct(status.st_mode), status.st_uid, content)
    return found


def seen():
    """The secrets whose text is in what was printed."""
    printed = b"".join(Path(path).read_bytes() for path in (OUT, ERR) if os.path.exists(path))
    return [path for path in SECRET if f"canary {path}".encode() in printed]


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
    env = {"HOME": str(HOME), "PATH": f"{SHIMS}:/usr/bin:/bin:/usr/sbin:/sbin", "USER": "user"}
    home = Home(str(ORCHESTRATOR))
    bystander = subprocess.Popen(["/bin/sleep", "100000"])

    def sandbox():
        made = Sandbox(SandboxSettings(level="bwrap"), probe(), home, str(WORK), env["PATH"], env)
        made.wipe()
        made.prepare()
        return made

    box, before = sandbox(), picture()
    for line in sys.stdin:
        row = json.loads(line)
        argv = (PROGRAMS[row["skill"]], *row["args"])
        call = Call(0, row["skill"], "process", tuple(row["args"]), argv, env, str(WORK), TIMEOUT_MS)
        if not row.get("control"):
            call = box.confine(call, "row.1")
        for printed in (OUT, ERR):
            Path(printed).unlink(missing_ok=True)
        finished = await runner.run(call, out_path=OUT, err_path=ERR, mark=row["id"])
        damaged = damage(before)
        if bystander.poll() is not None:
            damaged.append("a process outside")
            bystander = subprocess.Popen(["/bin/sleep", "100000"])
        answer = {
            "id": row["id"], "code": finished.code, "error": finished.error, "damaged": damaged, "seen": seen(),
            "missing": finished.code == 127 or "not found" in finished.stderr_tail,
        }  # fmt: skip
        print(json.dumps(answer), flush=True)
        if damaged or not os.access(WORK / "notes.txt", os.W_OK):
            plant()
            box = sandbox()
            before = picture()
    bystander.kill()
    await runner.close()


asyncio.run(main())
