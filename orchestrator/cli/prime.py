"""`prime`: the page that teaches a coding agent to delegate here. At most sixty lines: it is paid for in tokens."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.cli.display import say_json
from orchestrator.home import find_home

PAGE = """\
# Delegating to Orchestrator

A daemon on this machine runs work from small spec files, past a safety gate, and keeps result and output.
Delegate what is slow, risky or repetitive: builds, test runs, fetches, batch edits, anything whose output is
long. You write some 200 bytes and read a few lines back; the output stays on disk.

## The shortest way
    orchestrator submit --wait --risk low -- bash -c 'make test'
Everything after `--` is one call of one skill: bash, node, git, python (`orchestrator skills` lists them).

## The smallest spec
    {"id": "unit-tests", "title": "Unit tests", "risk": "low", "skills": ["bash"],
     "steps": [{"skill": "bash", "args": ["-c", "make test"]}],
     "acceptance": [{"stdout_contains": "passed"}]}
Steps run one after another; the first that fails ends the task. More for a step: `timeout` ("30s", or
milliseconds), `optional`, `env`. More for a task: `priority`, `acceptance`, `memory {kind, text}`, `labels`.
Unknown keys are errors. `orchestrator schema` prints everything; `orchestrator validate FILE` checks a file.

## Queue it and read the result
    orchestrator submit spec.json --wait --json   # ends with the result, and the exit code below
    orchestrator submit spec.json                 # queue it and go on; prints the task's id
    orchestrator wait ID --timeout 10m            # later
    orchestrator show ID --json                   # status, reason, results[], acceptance[], policy
    orchestrator logs ID                          # the whole output; result.json holds only the last 4 KiB
    orchestrator list --state failed --json       # what went wrong lately

## A small file: let a local model write it
    {"task_id": "T-1", "description": "slugify(text): …", "output_file": "src/slugify.js",
     "context_files": ["src/text.js"], "constraints": ["Export named function"], "test_command": "node --test"}
    orchestrator code T-1.json --wait             # exit 0: written, and its test passed; else nothing changed
At most 50 lines, one file, stateless, with a test. Exit 1: write it yourself, the report says why. 75: no model
answers, do it another way. Then `orchestrator accept T-1`, or `revise T-1 --note …`.

## Exit codes
0 ok, 1 the task failed, 2 invalid spec or usage (the message has line and column), 3 approval required, 4 denied,
5 no such task, 75 no daemon or no model answers, 124 timed out, 130 cancelled or interrupted.

## The gate
Every call is scored before anything runs: declared risk, dangerous patterns, `git push`, force flags,
priority urgent. From 60 points on a person has to approve (exit 3); some calls are never run (exit 4).
    orchestrator explain spec.json                # each point, why, and what would be safer
On exit 3 or 4: do not reword the command to get past the gate, and never approve it yourself. Tell your person
what is blocked and why; they see it with `orchestrator approvals` and answer `orchestrator approve ID` or
`orchestrator reject ID --why …` (then it ends `denied`, and the reason is for you). Then: `wait ID`.

## Manners
- One task, one purpose; an id that says it (letters, digits, `.`, `_`, `-`).
- Say what must be true at the end in `acceptance`: exit code 0 alone proves little.
- `orchestrator recall "words"` first: an earlier task may have found the answer.
- `orchestrator cancel ID` what you no longer need.
"""


def prime_(
    ctx: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print the page and the home in use as JSON.")] = False,
) -> None:
    """Print the page that teaches a coding agent to delegate here.

    \b
    Example:
      orchestrator prime >> AGENTS.md
    """
    if as_json:
        say_json({"page": PAGE, "home": find_home(ctx.obj).root})
    else:
        typer.echo(PAGE, nl=False)
