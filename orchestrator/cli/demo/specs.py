"""The demo's tasks, each with the end that it must come to. Data, because the demo checks itself against it."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Piece:
    """One file to drop: its stem, its bytes, and the status that it must end with; with `approve` it is blocked first,
    and someone lets it run."""

    name: str
    title: str
    data: bytes
    expected: str
    approve: bool = False


def _piece(name: str, title: str, calls: list[list[str]], expected: str = "ok", **fields: Any) -> Piece:
    steps: list[dict[str, Any]] = [{"skill": skill, "args": args} for skill, *args in calls]
    step_changes, approve = fields.pop("steps_with", {}), fields.pop("approve", False)
    for index, change in step_changes.items():
        steps[index] |= change
    task = {
        "id": name,
        "title": title,
        "risk": "low",
        "skills": sorted({step["skill"] for step in steps}),
        "steps": steps,
    } | fields
    return Piece(name, title, json.dumps(task).encode(), expected, approve)


_AUTHOR = {
    "GIT_AUTHOR_NAME": "Demo",
    "GIT_AUTHOR_EMAIL": "demo@example.org",
    "GIT_COMMITTER_NAME": "Demo",
    "GIT_COMMITTER_EMAIL": "demo@example.org",
}


def _bash() -> list[Piece]:
    return [
        _piece("hello", "Say hello", [["bash", "-c", "echo hello, world"]], acceptance=["Printed hello, world"]),
        _piece("uptime", "How long this machine has been up", [["bash", "-c", "uptime"]]),
        _piece("disk", "Free space in the workspace", [["bash", "-c", "df -h ."]]),
        _piece(
            "greeting-file",
            "Write a file, and prove that it exists",
            [["bash", "-c", "echo 'good morning' > greeting.txt"]],
            acceptance=["greeting.txt exists", {"file_contains": {"path": "greeting.txt", "text": "morning"}}],
        ),
        _piece("primes", "Factor a few numbers", [["bash", "-c", "for n in 84 97 1001; do echo $n; done | sort -n"]]),
        _piece("countdown", "Count down slowly", [["bash", "-c", "for n in 3 2 1; do echo $n; sleep 0.4; done"]]),
        _piece("two-streams", "Print to both streams", [["bash", "-c", "echo out; echo err >&2"]]),
        _piece(
            "chatty", "Print 20,000 lines", [["bash", "-c", "seq 20000"]], acceptance=[{"stdout_contains": "20000"}]
        ),
        _piece(
            "with-environment",
            "Read a variable from the spec",
            [["bash", "-c", 'echo "$GREETING from $USER_NAME"']],
            env={"GREETING": "hi", "USER_NAME": "a spec"},
            acceptance=[{"stdout_contains": "hi from a spec"}],
        ),
        _piece("three-steps", "Three steps in order", [["bash", "-c", f"echo step {n}"] for n in (1, 2, 3)]),
        _piece("first", "A task that goes before the others", [["bash", "-c", "echo first"]], priority="high"),
        _piece("last", "A task that can wait", [["bash", "-c", "echo last"]], priority="low"),
        _piece(
            "remembered",
            "Leave a memory behind",
            [["bash", "-c", "echo 42"]],
            memory={"kind": "fact", "text": "The answer of the demo is 42"},
        ),
    ]


def _python() -> list[Piece]:
    return [
        _piece("py-version", "Which Python", [["python", "-c", "import sys; print(sys.version)"]]),
        _piece(
            "py-sum", "Add up a range", [["python", "-c", "print(sum(range(1001)))"]], acceptance=["Printed 500500"]
        ),
        _piece(
            "py-json",
            "Write JSON, check one value of it",
            [["python", "-c", "import json; json.dump({'status': 'green'}, open('status.json', 'w'))"]],
            acceptance=[{"json": {"path": "status.json", "pointer": "/status", "equals": "green"}}],
        ),
        _piece("py-sleep", "Sleep for a second", [["python", "-c", "import time; time.sleep(1); print('awake')"]]),
    ]


def _node() -> list[Piece]:
    return [
        _piece("node-version", "Which Node.js", [["node", "-e", "console.log(process.version)"]]),
        _piece("node-math", "A little arithmetic", [["node", "-e", "console.log(6 * 7)"]], acceptance=["Printed 42"]),
        _piece("node-dates", "The date in ISO form", [["node", "-e", "console.log(new Date().toISOString())"]]),
        _piece("node-async", "Wait for a promise", [["node", "-e", "setTimeout(() => console.log('done'), 300)"]]),
    ]


def _git() -> list[Piece]:
    return [
        _piece("git-version", "Which git", [["git", "--version"]]),
        _piece(
            "git-commit",
            "Make a repository and a first commit",
            [
                ["git", "init", "-q", "demo-repository"],
                ["git", "-C", "demo-repository", "commit", "-q", "--allow-empty", "-m", "A first commit"],
                ["git", "-C", "demo-repository", "log", "--oneline"],
            ],
            env=_AUTHOR,
            acceptance=["Printed A first commit"],
        ),
        _piece(
            "git-and-bash",
            "Two skills in one task",
            [["git", "init", "-q", "second-repository"], ["bash", "-c", "ls -d second-repository/.git"]],
        ),
    ]


def _http(service: str) -> list[Piece]:
    return [
        _piece(
            "http-status",
            "Ask a web service, keep its answer",
            [["http"]],
            steps_with={0: {"with": {"url": f"{service}/status", "save": "service.json"}}},
            acceptance=[{"json": {"path": "service.json", "pointer": "/status", "equals": "green"}}],
        ),
        _piece(
            "http-stranger",
            "Ask a host that the config does not trust",
            [["http"]],
            "invalid",
            steps_with={0: {"with": {"url": "https://example.org/"}}},
        ),
    ]


def _troubled() -> list[Piece]:
    return [
        _piece("fails", "A step that fails", [["bash", "-c", "echo trying; exit 3"]], "failed"),
        _piece(
            "unmet",
            "A step that succeeds and does not deliver",
            [["bash", "-c", "echo nothing made"]],
            "failed",
            acceptance=["report.pdf exists"],
        ),
        _piece(
            "too-slow",
            "A step that takes too long",
            [["bash", "-c", "sleep 30"]],
            "timed_out",
            steps_with={0: {"timeout": "800ms"}},
        ),
        _piece(
            "optional",
            "An optional step fails, the task goes on",
            [["bash", "-c", "exit 1"], ["bash", "-c", "echo carried on"]],
            steps_with={0: {"optional": True}},
        ),
        _piece(
            "deploy",
            "A risky push, which needs a person",
            [["git", "push", "origin", "main"], ["bash", "scripts/deploy_prod.sh"]],
            "blocked",
            priority="urgent",
            risk="high",
        ),
        _piece(
            "rotate-keys",
            "A risky change, which someone approves",
            [["bash", "-c", "echo new keys > keys.txt"]],
            risk="high",
            approve=True,
        ),
        Piece(
            "misspelt",
            "A spec with a misspelt key",
            b'{"id": "misspelt", "title": "A spec with a misspelt key", "skills": ["bash"],\n'
            b' "stepz": [{"skill": "bash", "args": ["-c", "echo never"]}]}\n',
            "invalid",
        ),
    ]


def pieces(service: str) -> tuple[list[Piece], list[str]]:
    """The tasks that this host can run, and a sentence for each group that it can't. `service` is the address of a
    web service that answers."""
    chosen, missing = [*_bash(), *_python(), *_http(service)], []
    for program, group in (("node", _node), ("git", _git)):
        if shutil.which(program):
            chosen += group()
        else:
            missing.append(f"{program} is not installed: its {len(group())} tasks are left out")
    return chosen + _troubled(), missing
