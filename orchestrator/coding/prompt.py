"""What a model is told: a template of the user's, filled with the task.

A template is Markdown with `${placeholders}`, in two parts: what stands under `# System`, and what under `# User`.
Rule: it is checked whole before it is used, and it must have a place for everything that a task can say: a constraint
that never reached the model could not be kept by it.
"""

from __future__ import annotations

import difflib
import os
import re
import shlex
from collections.abc import Sequence
from string import Template

from orchestrator.coding.context import Shown
from orchestrator.coding.languages.tags import language_of
from orchestrator.errors import TaskError, is_shortage
from orchestrator.seed import seed_root
from orchestrator.skills.model_request import ModelRequest

PROMPTS = "prompts"
MARKER = "Previous attempt failed"
NEEDED = ("description", "output_file", "constraints", "context", "current", "failure")
PLACEHOLDERS = (*NEEDED, "language", "tag", "fence", "test", "kind")
"""All that a template may name; each of `NEEDED` must be there."""

_LARGEST = 64 * 1024
_LONGEST_ERROR = 3_000
_ERROR_HEAD = 1_000
_HEADINGS = ("# System", "# User")
_DOLLAR = re.compile(r"\$(?:(?P<escaped>\$)|\{(?P<braced>[A-Za-z_]\w*)\}|(?P<bad>))")
_ALONE = re.compile(r"^\$\{(\w+)\}[ \t]*\n(?:[ \t]*\n)?", re.MULTILINE)
_TICKS = re.compile(r"`{3,}")
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|.)|[\x00-\x08\x0b-\x1f\x7f]")


def load_prompt(config: str, kind: str) -> str:
    """The template of a kind of task: the home's (`config` is its folder of that name), else the one that this version
    brings along. Raises TaskError("prompt_invalid") that names file and line; OSError for a shortage."""
    path = f"{config}/{PROMPTS}/{kind}.md"
    if not os.path.lexists(path):
        path = f"{seed_root()}/config/{PROMPTS}/{kind}.md"
    try:
        with open(path, "rb") as handle:
            text = handle.read(_LARGEST + 1).decode()
    except OSError as error:
        if is_shortage(error):
            raise
        raise _broken(path, 0, f"can't be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise _broken(path, 0, f"is no UTF-8 text (byte {error.start})") from error
    if len(text) > _LARGEST:
        raise _broken(path, 0, f"is larger than {_LARGEST // 1024} KiB")
    text = text.replace("\r\n", "\n")
    if problem := _problem(text):
        raise _broken(path, *problem)
    return text


def render_prompt(
    template: str, request: ModelRequest, context: Sequence[Shown], current: str | None, *, failure: str = ""
) -> tuple[str, str]:
    """What is said as the system, and what as the user. `template` is as `load_prompt` gave it, `current` the file as
    it stands, None where there is none yet, `failure` what `correction` made of the error of the attempt before."""
    output = request.output_file or ""
    language = language_of(output)
    words = {
        "description": request.description or "",
        "output_file": output,
        "kind": request.kind,
        "language": language.name,
        "tag": language.tag,
        "fence": _answer_fence(language.tag, current),
        "constraints": _constraints(request.constraints),
        "context": _context([file for file in context if file.path != output or current is None]),
        "current": _current(output, current),
        "test": _test(request.test_command),
        "failure": failure,
    }
    system, user = _parts(template)
    return _fill(system, words), _fill(user, words)


def correction(error: str) -> str:
    """What a model is told after its first answer failed: the error, as the gate or the test said it. What is longer
    than a few screens is left out in its middle, and said to be."""
    text = _ESCAPES.sub("", error.replace("\r\n", "\n")).strip()
    if len(text) > _LONGEST_ERROR:
        left_out = len(text) - _LONGEST_ERROR
        head, tail = text[:_ERROR_HEAD], text[_ERROR_HEAD - _LONGEST_ERROR :]
        text = f"{head}\n[… {left_out:,} characters are left out here …]\n{tail}"
    return (
        f"## {MARKER}\n\nThe file that you wrote before was refused. This is what was wrong with it:\n\n"
        f"{_fenced(text, 'text')}\n\nFind the cause, and write the whole file again without the error."
    )


def _problem(text: str) -> tuple[int, str] | None:
    """What is wrong with a template, and in which line; None where nothing is."""
    lines = text.split("\n")
    for heading in _HEADINGS:
        places = [number for number, line in enumerate(lines, 1) if line.rstrip() == heading]
        if len(places) != 1:
            said = "there is none" if not places else f"there are {len(places)}"
            return places[-1] if places else 0, f"needs the line `{heading}` exactly once, and {said}"
    system, user = (next(n for n, line in enumerate(lines, 1) if line.rstrip() == heading) for heading in _HEADINGS)
    if user < system:
        return user, f"`{_HEADINGS[1]}` must stand below `{_HEADINGS[0]}`"
    named = set()
    for number, line in enumerate(lines[system:], system + 1):
        for found in _DOLLAR.finditer(line):
            if problem := _problem_of(found):
                return number, problem
            named.add(found["braced"])
    lacking = [name for name in NEEDED if name not in named]
    return (0, f"has no `${{{lacking[0]}}}`: without it the model would not be told") if lacking else None


def _problem_of(found: re.Match[str]) -> str | None:
    if found["bad"] is not None:
        return "a `$` is neither a placeholder nor doubled: write `${description}`, or `$$` for a dollar"
    name = found["braced"]
    if name is None or name in PLACEHOLDERS:
        return None
    near = difflib.get_close_matches(name, PLACEHOLDERS, n=1)
    meant = f" (did you mean `${{{near[0]}}}`?)" if near else ""
    return f"no placeholder is called `${{{name}}}`{meant}; there are {', '.join(PLACEHOLDERS)}"


def _broken(path: str, line: int, what: str) -> TaskError:
    where = f"{path}:{line}: " if line else f"{path} "
    advice = "mend it, or remove it: then the one that came with this version is used"
    return TaskError("prompt_invalid", f"the prompt template {where}{what}; {advice}")


def _parts(template: str) -> tuple[str, str]:
    system, user = (re.search(rf"^{heading}[ \t]*$", template, re.MULTILINE) for heading in _HEADINGS)
    if system is None or user is None:
        raise ValueError("a template that `load_prompt` has not seen")
    return template[system.end() : user.start()], template[user.end() :]


def _fill(part: str, words: dict[str, str]) -> str:
    """A part with its words; a line that holds nothing but what is empty goes, with the empty line below it."""
    kept = _ALONE.sub(lambda found: found[0] if words[found[1]] else "", f"{part.strip()}\n")
    return Template(kept).substitute(words).strip()


def _answer_fence(tag: str, current: str | None) -> str:
    """Long enough for what is expected within: Markdown holds fences of its own."""
    return "`" * max(4 if tag == "markdown" else 3, _longest_ticks(current or "") + 1)


def _longest_ticks(text: str) -> int:
    return max(map(len, _TICKS.findall(text)), default=0)


def _fenced(text: str, tag: str) -> str:
    ticks = "`" * max(3, _longest_ticks(text) + 1)
    return f"{ticks}{tag}\n{text.rstrip(chr(10))}\n{ticks}"


def _constraints(constraints: Sequence[str]) -> str:
    if not constraints:
        return ""
    lines = "\n".join(f"- {' '.join(constraint.split())}" for constraint in constraints)
    return f"## Constraints\n\nEach of these must hold:\n\n{lines}"


def _context(files: Sequence[Shown]) -> str:
    if not files:
        return ""
    shown = "\n\n".join(_file(file) for file in files)
    return f"## Files for reference\n\nThey are there already. Use what they offer; do not write them again.\n\n{shown}"


def _file(file: Shown) -> str:
    how = " (an outline: the bodies are left out)" if file.shown == "outline" else ""
    return f"### {file.path}{how}\n\n{_fenced(file.text, language_of(file.path).tag)}"


def _current(path: str, current: str | None) -> str:
    if current is None:
        return ""
    said = "This is the file that you are to replace. Keep what the task does not change."
    return f"## {path} as it is now\n\n{said}\n\n{_fenced(current, language_of(path).tag)}"


def _test(command: str | Sequence[str] | None) -> str:
    if command is None:
        return ""
    script = command if isinstance(command, str) else shlex.join(command)
    return f"## Its test\n\nThe file is kept only if this command succeeds:\n\n{_fenced(script, 'sh')}"
