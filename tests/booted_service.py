"""What `tests/test_service_booted.py` has done inside a booted machine, as root. Standard library only.

It installs the service of a home with an awkward name, has a task of each skill run in it, and looks at what systemd
says in between. The answer is one JSON document.
"""

import http.server
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

AS_ORCH = [
    "setpriv", "--reuid", "4242", "--regid", "4242", "--clear-groups",
    "env", "HOME=/home/orch", "XDG_RUNTIME_DIR=/run/user/4242",
]  # fmt: skip
HOME = Path("/srv/ein Heim %h $HOME 'q' \"ü\" \\n")
WORK = Path("/srv/work")
UNIT = Path("/etc/systemd/system/orchestrator.service")
DROP_IN = Path("/etc/systemd/system/orchestrator.service.d/mine.conf")
PATIENCE_S = 40

WASM = "new WebAssembly.Module(new Uint8Array([0,97,115,109,1,0,0,0]))"
JIT = "let f=x=>x*x%7,s=0; for(let i=0;i<3e6;i++) s+=f(i)"
GIT = "git init -q r && git -C r -c user.name=a -c user.email=a@b commit -q --allow-empty -m first"
POOL = "import multiprocessing as m; print(sum(m.Pool(2).map(abs, range(-4, 0))))"
EVERYWHERE = f"""
import contextlib, os
for folder, _, _ in os.walk({str(HOME)!r}):
    with contextlib.suppress(OSError):
        open(folder + "/planted", "w").close()
with contextlib.suppress(PermissionError):
    print(os.listdir(os.path.expanduser("~/.ssh")))
"""
MANAGER = """
[Service]
Type=notify
User=orch
Environment=XDG_RUNTIME_DIR=/run/user/4242
Delegate=yes
ExecStart=/lib/systemd/systemd --user
"""
SLOW = "touch begun; for i in 1 2 3 4 5; do sleep 0.1; done; echo ended"


def step(skill, *args, **more):
    return {"skill": skill, "args": list(args), **more}


def specs():
    steps = {
        "bash": [step("bash", "-c", "echo made > made.txt; cat made.txt; nice -n 5 true; id -u")],
        "node": [step("node", "-e", f"{JIT}; {WASM}; console.log('jit', s > 0)")],
        "git": [step("bash", "-c", GIT), step("git", "-C", "r", "log", "--oneline")],
        "python": [step("python", "-c", POOL)],
        "http": [{"skill": "http", "with": {"url": "http://localhost:8099/", "expect_status": 200}}],
        "evil": [step("python", "-c", EVERYWHERE)],
        "alone": [step("alone", "-c", "cat < /dev/tcp/127.0.0.1/8099")],
    }
    for name, each in steps.items():
        skills = sorted({one["skill"] for one in each})
        yield {"id": name, "title": name, "risk": "low", "skills": skills, "steps": each}


def ask(*command, check=True):
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S * 2)
    if check and done.returncode != 0:
        raise SystemExit(f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done


def orchestrator(*words, who=(), check=True):
    return ask(*who, sys.executable, "-m", "orchestrator", "--home", str(HOME), *words, check=check)


def service(*words, who=(), check=True):
    done = orchestrator("service", *words, "--json", who=who, check=check)
    return json.loads(done.stdout) if done.stdout else {"code": done.returncode, "error": done.stderr}


def shown(*names, unit="orchestrator.service"):
    lines = ask("systemctl", "show", f"--property={','.join(names)}", unit).stdout.splitlines()
    return dict(line.split("=", 1) for line in lines)


def until(predicate, what):
    for _ in range(PATIENCE_S * 50):
        if answer := predicate():
            return answer
        time.sleep(0.02)
    raise SystemExit(f"waited in vain for {what}\n{ask('journalctl', '-n', '60', '--no-pager', check=False).stdout}")


def drop(spec):
    temporary = HOME / "queue/inbox" / f".{spec['id']}.tmp"
    temporary.write_text(json.dumps(spec))
    os.chown(temporary, 4242, 4242)
    temporary.rename(HOME / "queue/inbox" / f"{spec['id']}.json")


def result(name):
    def ended():
        for state in ("done", "failed"):
            if (HOME / "queue" / state / f"{name}.json").exists():
                return json.loads((HOME / "queue" / state / f"{name}.result.json").read_text())
        return None

    return until(ended, f"{name} to end")


def run_all():
    """One task of each skill; what became of it."""
    every = list(specs())
    for spec in every:
        for state in ("done", "failed"):
            for path in (HOME / "queue" / state).glob(f"{spec['id']}.*"):
                path.unlink()
        drop(spec)
    told = {}
    for spec in every:
        ended = result(spec["id"])
        told[spec["id"]] = {
            "status": ended["status"],
            "reason": ended["reason"],
            "sandbox": ended.get("sandbox"),
            "out": "".join(each["stdout"] for each in ended["results"]),
            "err": "".join(each["stderr"] for each in ended["results"]),
        }
    told["evil"]["wrote in"] = sorted({str(path.parent.relative_to(HOME)) for path in HOME.rglob("planted")})
    for path in HOME.rglob("planted"):
        path.unlink()
    return told


def short(told):
    """Both units, each with a task of every skill, from installing to uninstalling."""
    told["install"] = service("install")
    told["status"] = service("status")
    told["usual"] = run_all()
    ask("systemctl", "reload", "orchestrator")
    told["reloaded"] = until(lambda: "read again" in journal(), "the reload") and shown("ActiveState", "NRestarts")
    drop({"id": "slow", "title": "slow", "risk": "low", "skills": ["bash"], "steps": [step("bash", "-c", SLOW)]})
    until((HOME / "begun").exists, "the slow task")
    ask("systemctl", "stop", "orchestrator")
    told["stopped"] = shown("Result", "ActiveState") | {"slow": result("slow")["status"]}
    told["alive"] = [line for line in ask("ps", "-eo", "user:20,args").stdout.splitlines() if line.startswith("orch ")]
    (HOME / "config/local.toml").write_text(f'[workspace]\nroot = "{WORK}"\n')
    service("install", "--strict")
    told["strict"] = run_all()
    told["uninstalled"] = service("uninstall")
    told["left over"] = sorted(str(path) for path in UNIT.parent.rglob("orchestrator*"))


def long(told):
    """What happens in the years between: a daemon started by hand, one that hangs, a timer, a user's own service."""
    by_hand = subprocess.Popen([*AS_ORCH, sys.executable, "-m", "orchestrator", "--home", str(HOME), "run"])
    until((HOME / "state/daemon.json").exists, "the daemon")
    told["beside another"] = orchestrator("service", "install", check=False).stderr
    by_hand.terminate()
    by_hand.wait()
    quick = DROP_IN.with_name("watchdog.conf")
    quick.write_text("[Service]\nWatchdogSec=1s\nRestartSec=10ms\n")
    service("install")
    hung = shown("MainPID")["MainPID"]
    os.kill(int(hung), signal.SIGSTOP)
    until(lambda: shown("MainPID")["MainPID"] not in (hung, "0"), "the watchdog and the start after it")
    told["watchdog"] = "watchdog timeout" in journal().lower()
    told["where it hung"] = "Fatal Python error: Aborted" in journal() and "asyncio" in journal()
    quick.unlink()
    service("install", "--schedule", "0 18 * * 5")
    told["scheduled"] = service("status")
    drop({"id": "late", "title": "late", "risk": "low", "skills": ["bash"], "steps": [step("bash", "-c", "echo late")]})
    ask("systemctl", "start", "orchestrator")
    told["late"] = result("late")["status"]
    told["uninstalled"] = service("uninstall")
    told["user"] = as_a_users_own()


def journal():
    return ask("journalctl", "--no-pager", "-u", "orchestrator").stdout


def as_a_users_own():
    """The same in a user's own manager, with the sandbox of steps."""
    Path("/run/user/4242").mkdir(parents=True, exist_ok=True)
    os.chown("/run/user/4242", 4242, 4242)
    Path("/run/systemd/system/managed.service").write_text(MANAGER)
    ask("systemctl", "daemon-reload")
    ask("systemctl", "start", "managed")
    service("install", "--user", who=AS_ORCH)
    drop({"id": "own", "title": "own", "risk": "low", "skills": ["bash"], "steps": [step("bash", "-c", "echo own")]})
    ended = result("own")
    status = service("status", who=AS_ORCH)
    service("uninstall", "--user", who=AS_ORCH)
    return {"status": status, "task": [ended["status"], ended["sandbox"]]}


def prepare():
    HOME.mkdir(parents=True)
    WORK.mkdir()
    for folder in (HOME, WORK):
        os.chown(folder, 4242, 4242)
    orchestrator("init", who=AS_ORCH)
    alone = HOME / "skills/alone"
    shutil.copytree(HOME / "skills/bash", alone)
    manifest = (alone / "skill.toml").read_text().replace('name = "bash"', 'name = "alone"\nnetwork = false')
    (alone / "skill.toml").write_text(manifest.partition("[example]")[0])
    key = Path("/home/orch/.ssh/id_canary")
    key.parent.mkdir()
    key.write_text("secret")
    ask("chown", "-R", "orch:orch", "/home/orch", str(HOME))
    DROP_IN.parent.mkdir()
    # What needs approval is let through: it is the walls that are looked at here.
    DROP_IN.write_text("[Service]\nEnvironment=LOCAL_ALLOW_HIGH=1\n")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 8099), http.server.SimpleHTTPRequestHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()


def main():
    os.chdir("/lab")
    prepare()
    told = {"systemd": ask("systemctl", "--version").stdout.splitlines()[0]}
    {"short": short, "long": long}[sys.argv[1]](told)
    Path("/lab/answer.json").write_text(json.dumps(told))


main()
