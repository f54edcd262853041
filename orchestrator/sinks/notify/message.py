"""What a message says: the end of a task, a trouble of the daemon, or many of these in one.

Pure. Everything is short enough for a phone, and one line of a task's output stays one line: what a program prints
must not look like a sentence of ours.
"""

from __future__ import annotations

import re
import shlex
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from string import Template
from typing import Any, Literal

from orchestrator.event import Notice, TaskFinished, utc_now
from orchestrator.outcome import Outcome, StepResult
from orchestrator.settings import ChannelSettings, NotifySettings
from orchestrator.sinks.wording import because, duration, printable
from orchestrator.spool.names import stem_of

TITLE_LENGTH = 200
BODY_LENGTH = 1_800  # chat services refuse, or cut, what is longer than 2,000
_LINES_LENGTH = 1_000
_LINE_LENGTH = 200
_LISTED = 20

Kind = Literal["task", "trouble", "digest", "test"]
_ICONS = {"ok": "✅", "blocked": "✋", "skipped": "⏭", "cancelled": "⏹"}
_LEVELS = {"blocked": "warning", "skipped": "warning", "cancelled": "warning", "interrupted": "warning"}
_RANKS = {"debug": 0, "info": 1, "warn": 2, "warning": 2, "error": 3, "critical": 4}
_GAP = re.compile(r"\n[ \t]*(?:\n[ \t]*)+\n")


@dataclass(frozen=True, slots=True)
class Message:
    """`line` says it in one line; `facts` are what programs read: texts, numbers and lists of texts."""

    kind: Kind
    level: str
    title: str
    body: str
    line: str
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        return f"{self.title}\n\n{self.body}\n" if self.body else f"{self.title}\n"


def rank(level: str) -> int:
    """How loud a level is, for comparing two of them."""
    return _RANKS[level]


def level_of(outcome: Outcome) -> str:
    """How loudly an end is told where nobody has said it."""
    if outcome.went_well:
        return "warning" if outcome.warnings else "info"
    return _LEVELS.get(outcome.status, "error")


def of_task(
    event: TaskFinished, level: str, home: str, settings: NotifySettings, channel: ChannelSettings | None = None
) -> Message:
    """The end of a task, in the words of the channel's templates, else in those of `[notify]`."""
    outcome = event.outcome
    title, body = (channel.title, channel.body) if channel else (None, None)
    facts = _facts(outcome, level, home)
    words = {key: str(value) for key, value in facts.items()} | {
        "icon": _icon(outcome),
        "status": outcome.status.upper(),
        "title": printable(outcome.title or outcome.name),
        "duration": f"after {duration(outcome.duration_ms)}" if outcome.duration_ms else "not run",
        "lines": _last_lines(outcome, settings.lines),
    }
    why = f" - {words['reason']}" if words["reason"] else ""
    return Message(
        kind="task",
        level=level,
        title=_one_line(Template(settings.title if title is None else title).substitute(words)),
        body=_bounded(Template(settings.body if body is None else body).substitute(words)),
        line=_one_line(f"{words['icon']} {words['title']}: {words['status']}{why}"),
        facts=facts,
    )


def of_trouble(notice: Notice, home: str) -> Message:
    """Something that the daemon itself has to say."""
    over = notice.trouble is not None and notice.level == "info"
    sentence = printable(notice.message)
    title = f"{'✅' if over else '⚠️'} Orchestrator on {_host()}"
    facts = {"message": sentence, "trouble": notice.trouble or "", "over": over, "host": _host(), "home": home}
    body = f"{sentence}\n\n{_command(home, 'doctor')}"
    level = "info" if over else notice.level
    return Message("trouble", level, _one_line(title), _bounded(body), _one_line(sentence), facts)


def of_test(channel: str, home: str) -> Message:
    """What `orchestrator notify test` sends."""
    body = f"This is a test of the channel {channel}.\nIf you can read it, messages of {home} arrive here."
    title = f"🔔 Orchestrator on {_host()}: a test"
    return Message("test", "info", title, body, title, {"host": _host(), "home": home, "channel": channel})


def digest(messages: Iterable[Message]) -> Message:
    """Many messages in one: how many of what, and the first of them in a line each."""
    lines: list[str] = []
    counts: dict[str, int] = {}
    total, level, home = 0, "debug", ""
    for message in messages:
        total += message.facts.get("messages", 1)
        lines += message.facts.get("lines", [message.line])[: _LISTED - len(lines)]
        for word, count in message.facts.get("counts", {_word(message): 1}).items():
            counts[word] = counts.get(word, 0) + count
        level = max(level, message.level, key=rank)
        home = message.facts.get("home", home)
    summary = ", ".join(f"{count} {word}" for word, count in sorted(counts.items(), key=lambda item: -item[1]))
    title = _one_line(f"📚 {total} messages from {_host()}: {summary}")
    more = [f"and {total - len(lines)} more"] if total > len(lines) else []
    body = "\n".join([*(line[:80] for line in lines), *more, "", _command(home, "list")])
    facts = {"messages": total, "counts": counts, "lines": lines, "host": _host(), "home": home}
    return Message("digest", level, title, _bounded(body), title, facts)


def _word(message: Message) -> str:
    return str(message.facts.get("status") or message.kind)


def _facts(outcome: Outcome, level: str, home: str) -> dict[str, Any]:
    stem = stem_of(outcome.name)
    shows = ["show", stem] if outcome.status != "blocked" else ["approve", stem]
    return {
        "id": outcome.id or "",
        "run": outcome.run,
        "name": stem,
        "title": outcome.title,
        "status": outcome.status,
        "reason": because(outcome) if not outcome.ok else _warnings(outcome.warnings),
        "level": level,
        "duration_ms": outcome.duration_ms,
        "finished_at": outcome.finished_at or utc_now(),
        "labels": dict(outcome.labels),
        "host": _host(),
        "home": home,
        "more": _command(home, *shows),
    }


def _warnings(count: int) -> str:
    return f"{count} warning{'s' if count > 1 else ''}" if count else ""


def _icon(outcome: Outcome) -> str:
    if outcome.ok and outcome.warnings:
        return "⚠️"
    return _ICONS.get(outcome.status, "❌")


def _command(home: str, *words: str) -> str:
    return printable(shlex.join(["orchestrator", "--home", home, *words]))


def _host() -> str:
    return socket.gethostname().partition(".")[0] or "this machine"


def _last_lines(outcome: Outcome, count: int) -> str:
    """The end of what the step printed that says most: the one that failed, else the last one."""
    step = next((step for step in outcome.results if step.status != "ok" and not step.optional), None)
    if step is None and outcome.results:
        step = outcome.results[-1]
    kept: list[str] = []
    room = _LINES_LENGTH
    for line in reversed(_said(step).splitlines() if step and count else []):
        shown = printable(line.expandtabs(4).rstrip())[:_LINE_LENGTH]
        room -= len(shown) + 1
        if room < 0 or len(kept) == count:
            break
        kept.append(shown)
    return "\n".join(reversed(kept)).strip("\n")


def _said(step: StepResult) -> str:
    wrong = step.status != "ok" and step.stderr.strip()
    return (step.stderr if wrong else step.stdout or step.stderr).strip()


def _one_line(text: str) -> str:
    line = printable(" ".join(text.split()))
    return line if len(line) <= TITLE_LENGTH else f"{line[: TITLE_LENGTH - 1]}…"


def _bounded(text: str) -> str:
    """Without gaps where a template had nothing to say, and not too long."""
    body = _GAP.sub("\n\n", text).strip()
    return body if len(body) <= BODY_LENGTH else f"{body[: BODY_LENGTH - 1]}…"
