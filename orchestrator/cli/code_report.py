"""How a code task ended, in the original system's form, `{status, file, error}`, with what was measured beside it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from orchestrator.cli.display import duration, paint, printable
from orchestrator.coding.report import brief

_LONGEST_ERROR = 500


def report_of(result: dict[str, Any], file: str) -> dict[str, Any]:
    """The report of a task's result; of one that ended before its step did, what can be said. `file` is what it was to
    write."""
    reports = [step["report"] for step in result.get("results") or () if step.get("report")]
    ok = result["status"] == "ok"
    short = {"status": "success" if ok else "failed", "file": file, "error": None if ok else result.get("reason")}
    told = reports[-1] if reports else {}
    of_task = {
        "id": result.get("id"),
        "name": result.get("name"),
        "run": result.get("run"),
        "task": result["status"],
        "reason": result.get("reason"),
    }
    # A step that went well may stand in a task that did not: the task's end counts.
    own = {key: value for key, value in told.items() if value is not None or key not in short}
    return short | own | ({} if ok else {"status": "failed"}) | of_task


def waiting(file: str, task_id: str, why: str) -> dict[str, Any]:
    """The same of a task that is not over."""
    return {"status": "waiting", "file": file, "error": None, "id": task_id, "reason": why}


def for_programs(report: dict[str, Any]) -> dict[str, Any]:
    """In few words, as an agent pays for each; `orchestrator show ID --json` has all of it."""
    of_task = {key: report[key] for key in ("id", "run", "task", "name") if report.get(key) is not None}
    reason = {} if report.get("error") else {"reason": report.get("reason")}
    return of_task | brief({"error": None, **report}) | {key: value for key, value in reason.items() if value}


def lines(report: dict[str, Any]) -> Iterator[str]:
    """For people: how it ended, then what explains it."""
    ok = report["status"] == "success"
    took = f" ({duration(report['duration_ms'])})" if report.get("duration_ms") else ""
    made = f"{report['file']} {'written' if ok else 'not written'}" if report["file"] else str(report["task"])
    mark, painted = "✅" if ok else "❌", paint("ok" if ok else "failed", printable(made))
    yield f"{mark} {printable(str(report['id']))}: {painted}{took}"
    if not ok:
        yield f"  {why(report)}"
        if advice := _next(report):
            yield f"  → {advice}"
    yield from details(report)


def _next(report: dict[str, Any]) -> str | None:
    """What to do about a task that ended before a model was asked, or could not go on."""
    if report.get("escalate"):
        return None  # it has said so
    from orchestrator.cli.summary import next_step

    return next_step(report["task"], report.get("reason"), str(report.get("name") or ""))


def details(report: dict[str, Any]) -> Iterator[str]:
    """What was measured, and what was wrong with each answer that failed."""
    yield from _measured(report)
    for attempt in report.get("attempts") or ():
        error = str(attempt.get("error") or "")
        if attempt.get("failed_at") and error not in str(report.get("error")):  # the last one's has been said
            place = f"attempt {attempt['number']}, {printable(attempt['model'])}"
            yield f"  {place}: failed at {attempt['failed_at']}: {_short(error)}"


def why(report: dict[str, Any]) -> str:
    """In one line: why there is no file, and what whoever takes over should know."""
    said = str(report.get("escalate") or report.get("error") or report.get("reason") or "no reason is known")
    return _short(said.removeprefix("escalated: "))


def _measured(report: dict[str, Any]) -> Iterator[str]:
    if report.get("model"):
        attempts = len(report.get("attempts") or ())
        where = printable(f"{report['model']} at {report.get('server')}")
        yield f"  model     {where}, {attempts} attempt{'s' if attempts != 1 else ''}"
    if gates := report.get("gates"):
        yield "  gates     " + ", ".join(f"{gate} {verdict.replace('_', ' ')}" for gate, verdict in gates.items())
    if tokens := report.get("tokens"):
        yield f"  tokens    {tokens['prompt']} in, {tokens['completion']} out ({tokens['source']})"
    if report["status"] == "success" and (diff := report.get("diff")):
        where = f", {report['diff_path']} in its run's folder" if report.get("diff_path") else ""
        yield f"  diff      +{diff['added']} −{diff['removed']}{printable(where)}"


def _short(text: str) -> str:
    """One line: of several the first and the last, which says most where a program was stopped by an error."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    text = printable(f"{lines[0]} … {lines[-1]}" if len(lines) > 1 else text.strip())
    return text if len(text) <= _LONGEST_ERROR else text[: _LONGEST_ERROR - 1] + "…"
