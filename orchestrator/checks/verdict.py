"""The answer to each rule, from the steps' results and the files they left.

One small judge for each kind of rule, found in a table. A judge answers, or raises why it can't; none of them
changes anything.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import orjson

from orchestrator.checks.baseline import Baseline, watched_files
from orchestrator.checks.output import contains, encode, is_whole, printed, windows
from orchestrator.checks.pattern import Matcher
from orchestrator.checks.pointer import resolve, same
from orchestrator.checks.rule import Kind, Rule, Under, rule_of, text_of
from orchestrator.checks.workspace import (
    RefusedError,
    UndecidedError,
    files_beneath,
    inside,
    is_folder,
    matches,
    open_inside,
    stamp,
)
from orchestrator.errors import is_limit
from orchestrator.outcome import CheckResult, StepResult
from orchestrator.spec import Check, ExitCode, FileContains, JsonEquals

MAX_JSON = 16 * 1024 * 1024
MAX_SEARCHED = 1024 * 1024 * 1024

_NEVER_READS: frozenset[Kind] = frozenset({"exit_code", "command", "unknown"})


class _Evidence(NamedTuple):
    """What the judges look at."""

    results: Sequence[StepResult]
    workspace: str
    run_dir: str
    baseline: Baseline
    command_codes: Mapping[int, int | None]


_Verdict = tuple[bool | None, str]
_PASSED: _Verdict = (True, "")


def evaluate(
    acceptance: Sequence[str | Check],
    results: Sequence[StepResult],
    *,
    workspace: str,
    run_dir: str,
    baseline: Baseline,
    command_codes: Mapping[int, int | None],
) -> tuple[CheckResult, ...]:
    """Judge every entry of `acceptance`, in order.

    `workspace` and `run_dir` are absolute. `command_codes` maps the index of each `command` entry to the exit
    code with which it ended, None if it had none (it was killed or timed out). Reads files unless
    `is_instant`; raises OSError alone, while this machine is at a limit (`errors.is_limit`).
    """
    evidence = _Evidence(results, workspace, run_dir, baseline, command_codes)
    return tuple([_judge(entry, index, evidence) for index, entry in enumerate(acceptance)])


def is_instant(acceptance: Sequence[str | Check], results: Sequence[StepResult]) -> bool:
    """True if `evaluate` would neither read a file nor start anything: it may run on the event loop."""
    kinds = {rule_of(entry).kind for entry in acceptance} - _NEVER_READS
    return not kinds or (kinds == {"stdout_contains"} and all(map(is_whole, results)))


def _judge(entry: str | Check, index: int, evidence: _Evidence) -> CheckResult:
    rule = rule_of(entry)
    try:
        if rule.kind == "command":
            ok, detail = _command(index, evidence.command_codes)
        else:
            ok, detail = _JUDGES[rule.kind](rule, evidence)
    except RefusedError as error:
        ok, detail = False, str(error)
    except UndecidedError as error:
        ok, detail = None, str(error)
    except OSError as error:
        if is_limit(error):
            raise
        ok, detail = None, f"{error.filename or 'a file'} could not be read: {error.strerror}"
    return CheckResult(text_of(entry), ok, detail)


def _stdout_contains(rule: Rule, evidence: _Evidence) -> _Verdict:
    for step in evidence.results:
        if printed(step, rule.value, evidence.run_dir):
            return _PASSED
    return False, "no step printed it on standard output" + _cut_note(evidence.results)


def _stdout_matches(rule: Rule, evidence: _Evidence) -> _Verdict:
    matcher = Matcher(rule.value)
    complete = True
    for step in evidence.results:
        texts, whole = windows(step, evidence.run_dir)
        complete &= whole
        if any(map(matcher.found_in, texts)):
            return _PASSED
    limited = "" if complete else "; only the first and the last MiB of a step's output were searched"
    return False, "no step's standard output matches it" + limited + _cut_note(evidence.results)


def _cut_note(results: Sequence[StepResult]) -> str:
    if any(step.truncated for step in results):
        return "; the middle of an output was over steps.output_limit and was not kept"
    return ""


def _file_exists(rule: Rule, evidence: _Evidence) -> _Verdict:
    if any(True for _ in matches(rule.value, evidence.workspace)):
        return _PASSED
    return False, f"nothing in {evidence.workspace} matches {rule.value}"


def _exists_under(rule: Rule, evidence: _Evidence) -> _Verdict:
    under: Under = rule.value
    for path in matches(under.glob, evidence.workspace):
        files = files_beneath(path) if is_folder(path) else (path,)
        if any(under.name is None or _is_named(file, under.name) for file in files):
            return _PASSED
    return False, f"no file in {evidence.workspace} is under {under.glob}" + (
        f" with the name {under.name}" if under.name else ""
    )


def _is_named(path: str, name: str) -> bool:
    """True if the last parts of the path match the name or glob, part by part."""
    return PurePosixPath(path).match(name)


def _file_updated(rule: Rule, evidence: _Evidence) -> _Verdict:
    before = evidence.baseline.stamps.get(rule.value, "no look was taken at it before the first step")
    if isinstance(before, str):
        inside(rule.value, evidence.workspace)
        return None, before
    seen = 0
    for path in watched_files(rule.value, evidence.workspace):
        now = stamp(path)
        seen += now is not None
        if now is not None and now != before.get(os.path.normpath(path)):
            return _PASSED
    if seen:
        return False, "nothing there changed since the task began"
    return False, f"nothing in {evidence.workspace} matches {rule.value}"


def _file_contains(rule: Rule, evidence: _Evidence) -> _Verdict:
    wanted: FileContains = rule.value
    with open_inside(wanted.path, evidence.workspace) as handle:
        if os.fstat(handle.fileno()).st_size > MAX_SEARCHED:
            raise UndecidedError(f"{wanted.path} is larger than 1 GiB and was not searched")
        if contains(handle, encode(wanted.text)):
            return _PASSED
    return False, f"{wanted.path} does not contain it"


def _json(rule: Rule, evidence: _Evidence) -> _Verdict:
    wanted: JsonEquals = rule.value
    with open_inside(wanted.path, evidence.workspace) as handle:
        content = handle.read(MAX_JSON + 1)
    if len(content) > MAX_JSON:
        raise UndecidedError(f"{wanted.path} is larger than 16 MiB and was not read")
    try:
        value = resolve(orjson.loads(content), wanted.pointer)
    except orjson.JSONDecodeError as error:
        return False, f"{wanted.path} is not valid JSON: {error}"
    except (ValueError, LookupError) as error:
        return False, f"{wanted.path}, pointer {wanted.pointer!r}: {error.args[0]}"
    if same(value, wanted.equals):
        return _PASSED
    return False, f"{wanted.path} has {_shown(value)} at {wanted.pointer!r}"


def _shown(value: Any) -> str:
    text = orjson.dumps(value).decode()
    return text if len(text) <= 200 else text[:200] + "…"


def _exit_code(rule: Rule, evidence: _Evidence) -> _Verdict:
    wanted: ExitCode = rule.value
    for step in evidence.results:
        if wanted.step in (step.step, step.id):
            break
    else:
        return False, f"step {wanted.step} did not run"
    if step.code is None:
        return False, f"step {wanted.step} ended without an exit code ({step.status})"
    if step.code == wanted.equals:
        return _PASSED
    return False, f"step {wanted.step} ended with exit code {step.code}"


def _command(index: int, codes: Mapping[int, int | None]) -> _Verdict:
    if index not in codes:
        return None, "the command was not run"
    code = codes[index]
    if code == 0:
        return _PASSED
    if code is None:
        return False, "the command ended without an exit code: it was killed or took too long"
    return False, f"the command ended with exit code {code}"


def _unknown(rule: Rule, _evidence: _Evidence) -> _Verdict:
    return None, rule.value


_JUDGES: dict[Kind, Callable[[Rule, _Evidence], _Verdict]] = {
    "stdout_contains": _stdout_contains,
    "stdout_matches": _stdout_matches,
    "file_exists": _file_exists,
    "exists_under": _exists_under,
    "file_updated": _file_updated,
    "file_contains": _file_contains,
    "json": _json,
    "exit_code": _exit_code,
    "unknown": _unknown,
}
