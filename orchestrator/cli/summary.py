"""How a result reads for people: the verdict first, then what explains it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any

from orchestrator.cli import code_report
from orchestrator.cli.display import duration, paint, printable
from orchestrator.event import to_second
from orchestrator.outcome import JUDGED_AGAIN
from orchestrator.sinks.wording import call_line
from orchestrator.spool.names import stem_of

_OUTPUT_LINES = 20
_OUTPUT_LENGTH = 200
_NEXT = {
    "blocked": (
        "see `orchestrator explain {file}`; `orchestrator approve {name}` lets it run once, "
        "`orchestrator reject {name} --why TEXT` ends it"
    ),
    "blocked by its run": (
        "its run came to what its spec does not say: write it there; or, if it was a script, see "
        "`orchestrator explain {file}` and `orchestrator approve {name}`"
    ),
    "denied": "no approval lifts a deny: `orchestrator explain {file}` names the rule and a safer way",
    "rejected": "a person said no: change what they ask for, or `orchestrator retry {name}` to ask again",
    "invalid": "correct the file and submit it again",
    "timed_out": "give the step a longer `timeout`, or find out what it waits for",
}


def of_result(result: dict[str, Any], *, outputs: bool) -> Iterator[str]:
    """The lines for one result; with `outputs`, what the steps printed too (its end, if it was long)."""
    yield heading(result)
    for error in result.get("errors") or ():
        place = f"line {error['line']}: " if error.get("line") else ""
        place += f"{error['path']}: " if error.get("path") else ""
        hint = f" (did you mean {error['hint']!r}?)" if error.get("hint") else ""
        yield f"  {printable(place + str(error.get('message', '')) + hint)}"
    for text in result.get("notes") or ():
        yield f"  ! {printable(str(text))}"
    if advice := next_step(result["status"], result.get("reason"), str(result.get("name"))):
        yield f"  → {advice}"
    for step in result.get("results") or ():
        if step["status"] not in ("ok", "skipped") or outputs:
            yield from _step(step, outputs=outputs or not step["optional"])
    yield from acceptance(result, failed_only=True)


def next_step(status: str, reason: str | None, name: str) -> str | None:
    """What a person could do next about the task of that name in the queue, where there is something to do."""
    word = (reason or "").partition(":")[0]
    key = "blocked by its run" if status == "blocked" and JUDGED_AGAIN in (reason or "") else status
    sentence = _NEXT.get(word) or _NEXT.get(key)
    file = shlex.quote(printable(f"queue/failed/{name}"))
    return sentence and sentence.format(file=file, name=shlex.quote(printable(stem_of(name))))


def heading(result: dict[str, Any]) -> str:
    """`✅ name: OK (12 ms)`, or `❌ name: FAILED - reason (12 ms)`."""
    status = str(result["status"])
    ok = status == "ok"
    word, _, sentence = (result.get("reason") or "").partition(": ")
    reason = "" if ok or not word else f" - {printable(sentence or word)}"
    took = f" ({duration(result['duration_ms'])})" if result.get("duration_ms") else ""
    return f"{'✅' if ok else '❌'} {printable(str(result.get('name')))}: {paint(status, status.upper())}{reason}{took}"


def acceptance(result: dict[str, Any], *, failed_only: bool = False) -> Iterator[str]:
    for check in result.get("acceptance") or ():
        if failed_only and check["ok"]:
            continue
        mark = {True: "✓", False: "✗"}.get(check["ok"], "?")
        detail = f": {printable(check['detail'])}" if check.get("detail") else ""
        unknown = " (no rule understands this sentence)" if check["ok"] is None and not detail else ""
        yield f"  {mark} {printable(str(check['rule']))}{detail}{unknown}"


def _step(step: dict[str, Any], *, outputs: bool) -> Iterator[str]:
    yield from (f"  {attempt_line(step, earlier)}" for earlier in step.get("earlier") or ())
    yield f"  {step_line(step)}"
    if outputs:
        if (report := step.get("report")) and "file" in report:  # its output says the same, for programs
            yield from (f"  {line}" for line in code_report.details(report))
            return
        for stream in ("stdout", "stderr"):
            yield from _output(step[stream], stream)


def outputs(result: dict[str, Any]) -> Iterator[str]:
    """What the steps named for others, the files that the task made, and the tasks that a backlog held."""
    for name, value in (result.get("outputs") or {}).items():
        shown = value if len(value) <= _OUTPUT_LENGTH else f"{value[:_OUTPUT_LENGTH]}… ({len(value)} characters)"
        yield f"  output    {printable(name)} = {printable(shown)}"
    for path in result.get("files") or ():
        yield f"  made      {printable(path)}"
    if tasks := result.get("tasks"):
        yield f"  tasks     {printable(', '.join(tasks))}"


def step_line(step: dict[str, Any]) -> str:
    """`step 0 ok  bash -c 'echo hi'  (12 ms)`."""
    call = call_line([step["skill"], *step["args"]])
    call = call if len(call) <= 100 else call[:99] + "…"
    code = "" if step["code"] in (0, None) else f", exit code {step['code']}"
    optional = ", optional" if step["optional"] else ""
    again = f", attempt {step['attempts']}" if step["attempts"] > 1 else ""
    again += f", in run {step['run']}" if step.get("run") else ""
    word = paint(step["status"])
    if step["status"] == "skipped":
        return f"step {step['step']} {word}  {call}"
    return f"step {step['step']} {word}  {call}  ({duration(step['duration_ms'])}{code}{again}{optional})"


def attempt_line(step: dict[str, Any], earlier: dict[str, Any]) -> str:
    """`step 0 failed  attempt 1  (12 ms, exit code 7), 800 ms before the next`."""
    code = "" if earlier["code"] in (0, None) else f", exit code {earlier['code']}"
    wait = "" if earlier["wait_ms"] is None else f", {duration(earlier['wait_ms'])} before the next"
    took = duration(earlier["duration_ms"])
    return f"step {step['step']} {paint(earlier['status'])}  attempt {earlier['attempt']}  ({took}{code}){wait}"


def _output(text: str, stream: str) -> Iterator[str]:
    lines = text.splitlines()
    if len(lines) > _OUTPUT_LINES:
        yield f"    … {len(lines) - _OUTPUT_LINES} lines before: `orchestrator logs`"
    bar = "│" if stream == "stdout" else "┊"
    for line in lines[-_OUTPUT_LINES:]:
        yield f"    {bar} {printable(line)}"


def reasons(policy: dict[str, Any]) -> Iterator[str]:
    """The gate's points, each with what would be safer."""
    for reason in policy.get("reasons") or ():
        yield f"            {reason['points']:+d} {reason['rule']}: {printable(str(reason['why']))}"
        if reason.get("suggestion"):
            yield f"               safer: {printable(str(reason['suggestion']))}"


def answer(policy: dict[str, Any]) -> Iterator[str]:
    """Who approved or rejected it, when, from where, and what they said; or that nobody was asked."""
    if policy.get("approved_by") == "LOCAL_ALLOW_HIGH":
        yield "  approved  by LOCAL_ALLOW_HIGH=1 in the daemon's environment: nobody was asked"
    for verdict, said in (("approved", "note"), ("rejected", "why")):
        if policy.get(f"{verdict}_at"):
            text = f": {printable(policy[said])}" if policy.get(said) else ""
            by, at, via = (printable(str(policy[f"{verdict}_{key}"])) for key in ("by", "at", "via"))
            yield f"  {verdict}  by {by}, {to_second(at)} ({via}){text}"
