"""What the home holds: folders, configuration, rules, skills, the daemon, the memory."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from orchestrator.cli import house
from orchestrator.cli.doctor.finding import Finding
from orchestrator.errors import FatalError
from orchestrator.home import MARKER, Home, daemon_note, daemon_pid

if TYPE_CHECKING:
    from orchestrator.policy.rules import Rule, Rules


def exists(home: Home) -> Iterator[Finding]:
    if home.exists():
        yield Finding("home", "ok", home.root)
    else:
        yield Finding("home", "fail", f"{home.root} holds no {MARKER}", f"orchestrator init {home.root}")


def permissions(home: Home) -> Iterator[Finding]:
    """Whoever can write policy or skills decides what runs; whoever can enter the queue reads every output."""
    if not home.exists():
        return
    missing = [folder for folder in home.private_folders() if not os.path.isdir(folder)]
    open_to_others = [folder for folder in home.private_folders() if folder not in missing and _mode(folder) & 0o077]
    if missing:
        yield Finding("folders", "warn", f"missing: {_short(home, missing)}", "they are made by `orchestrator run`")
    if open_to_others:
        advice = f"chmod 700 {' '.join(open_to_others)}"
        yield Finding("folders", "warn", f"others can enter {_short(home, open_to_others)}", advice)
    if shut := [folder for folder in home.private_folders() if folder not in missing and not _usable(folder)]:
        text = f"this user cannot write in {_short(home, shut)}: no task can be queued or run"
        yield Finding(
            "folders", "fail", text, f"chmod -R u+rwX {home.queue} {home.state}, as the user whom they belong to"
        )
    elif not missing and not open_to_others:
        yield Finding("folders", "ok", "queue and state are yours alone (0700)")
    for folder in (home.root, home.config, home.templates, home.policy, home.skills):
        if os.path.isdir(folder) and _mode(folder) & 0o022:
            text = f"others can write in {folder}, and so decide what runs here"
            yield Finding("writable", "fail", text, f"chmod go-w {folder}")


def _usable(folder: str) -> bool:
    return os.access(folder, os.R_OK | os.W_OK | os.X_OK)


def _mode(path: str) -> int:
    return os.stat(path).st_mode


def _short(home: Home, folders: list[str]) -> str:
    return ", ".join(os.path.relpath(folder, home.root) for folder in folders)


def configuration(home: Home) -> Iterator[Finding]:
    from orchestrator.configuration import load_settings

    yield from _loads("config", home, lambda: f"{load_settings(home).daemon.max_tasks} tasks at once")


def policy(home: Home) -> Iterator[Finding]:
    from orchestrator.policy.rules import load_rules

    yield from _loads("policy", home, lambda: f"{len(load_rules(home.policy).rules)} rules, their examples hold")
    yield from _own_policy(home)


def _own_policy(home: Home) -> Iterator[Finding]:
    """Where this home judges otherwise than a fresh one would: wanted perhaps, but it must be seen."""
    from orchestrator.policy.rules import load_rules
    from orchestrator.seed import changed_from_seed

    try:
        rules = load_rules(home.policy)
        overridden = rules.overridden
        changed = changed_from_seed(home, "policy")
    except FatalError:
        return  # said by the check before
    if overridden:
        names = ", ".join(_override(rule, rules) for rule in overridden.rules)
        yield Finding(
            "policy", "warn", f"rules that you have overridden: {names}", "each Decision says where it counts"
        )
    yield from _idle_policy(home, rules)
    if changed:
        names = ", ".join(changed)
        yield Finding(
            "policy",
            "warn",
            f"not as they were shipped, or missing: {names}",
            "`orchestrator init` adds what is missing",
        )


def _override(before: Rule, rules: Rules) -> str:
    now = next(rule for rule in rules.rules if rule.id == before.id)
    return f"{now.id} (was {before.spec.worth}; now {now.spec.worth}, in {os.path.basename(now.file)})"


def _idle_policy(home: Home, rules: Rules) -> Iterator[Finding]:
    """What looks like a rule and judges nothing: somebody may count on it."""
    from orchestrator.skills import load_skills

    try:
        known = load_skills(home.skills).names()
    except FatalError:
        return  # said of the skills
    for rule in rules.rules:
        if rule.skills and not rule.skills & known:
            text = f"{rule.place}: it is for the skill {', '.join(sorted(rule.skills))} alone, which there is not"
            yield Finding("policy", "warn", text, "correct `skills`: the rule never applies")
    read = {os.path.basename(rule.file) for rule in rules.rules}
    found = sorted(name for name in os.listdir(home.policy) if not name.startswith(".") and not name.endswith(".md"))
    if alien := [name for name in found if name not in read]:
        text = f"in policy/, but no rule is read from: {', '.join(alien)}"
        yield Finding("policy", "warn", text, "rules are read from `policy/NAME.toml` alone")


def skills(home: Home) -> Iterator[Finding]:
    from orchestrator.skills import load_skills

    yield from _loads("skills", home, lambda: ", ".join(sorted(load_skills(home.skills))) or "none")


def templates(home: Home) -> Iterator[Finding]:
    from orchestrator.intake import template_file
    from orchestrator.intake.load import SpecError

    known = template_file.names(home.templates)
    if not known or not home.exists():
        return
    sound = []
    for name in known:
        try:
            template_file.read(home.templates, name, None, None)
            sound.append(name)
        except SpecError as error:
            advice = (
                f"specs that name it are refused: correct the file; `orchestrator templates {name}` tells all of it"
            )
            yield Finding("templates", "warn", error.message, advice)
    if sound:
        yield Finding("templates", "ok", ", ".join(sound))


def prompts(home: Home) -> Iterator[Finding]:
    """Whether each kind of code task has words that can be used."""
    from orchestrator.coding.prompt import PROMPTS, load_prompt
    from orchestrator.errors import TaskError
    from orchestrator.skills.model_request import KINDS

    folder = f"{home.config}/{PROMPTS}"
    if not os.path.isdir(folder):
        return
    sound = []
    for kind in KINDS:
        try:
            load_prompt(home.config, kind)
            sound.append(kind)
        except TaskError as error:
            yield Finding("prompts", "warn", error.message, f"code tasks of the kind `{kind}` fail until then")
    written = {name for name in os.listdir(folder) if name.endswith(".md")}
    if alien := sorted(written - {f"{kind}.md" for kind in KINDS}):
        text = f"{folder}: no kind of code task uses {', '.join(alien)}"
        yield Finding("prompts", "warn", text, f"the kinds are {', '.join(KINDS)}; name the file after one")
    if sound:
        yield Finding("prompts", "ok", ", ".join(sound))


def channels(home: Home) -> Iterator[Finding]:
    """Whether messages can be sent, and whether they were."""
    from orchestrator.configuration import load_settings
    from orchestrator.insights.notifications import channels as found_channels
    from orchestrator.secrets import Secrets
    from orchestrator.sinks.notify.obstacles import obstacles

    try:
        settings = load_settings(home)
    except FatalError:
        return  # said by the check before
    lookup = Secrets(settings.secrets, home, os.environ).for_config
    receivers = found_channels(home, settings) if home.exists() else []
    wrong = False
    for name, channel in settings.channels.items():
        for sentence in obstacles(channel, lookup):
            wrong = True
            yield Finding("channels", "warn", f"{name}: {sentence}", f"then `orchestrator notify test {name}`")
    for receiver in receivers:
        if receiver.error or not receiver.configured:
            wrong = True
            why = receiver.error or "the configuration has no such channel any more"
            text = f"{receiver.name} does not take messages: {why}; {len(receiver.waiting)} wait"
            yield Finding("channels", "warn", text, "`orchestrator notify list` shows them")
    if receivers and not wrong:
        yield Finding("channels", "ok", ", ".join(receiver.name for receiver in receivers))


def _loads(subject: str, home: Home, load: Callable[[], str]) -> Iterator[Finding]:
    if not home.exists():
        return
    try:
        yield Finding(subject, "ok", load())
    except FatalError as error:
        yield Finding(subject, "fail", str(error), "the daemon does not start like this: correct the file")


def secrets(home: Home) -> Iterator[Finding]:
    from orchestrator.configuration import load_settings
    from orchestrator.secrets import Secrets

    if not home.exists():
        return
    try:
        known = Secrets(load_settings(home).secrets, home, os.environ)
    except FatalError:
        return  # said of the configuration
    if known.refused:
        yield Finding("secrets", "fail", known.refused, "until then tasks that name secrets fail")
    elif listed := known.listed():
        yield Finding("secrets", "ok", f"{len(listed)} known by name: `orchestrator secrets list`")


def models(home: Home) -> Iterator[Finding]:
    """Whether a model server answers. A home that never asked for one lacks nothing."""
    from orchestrator.cli.models import look, no_room, told
    from orchestrator.configuration import load_settings

    if not home.exists():
        return
    try:
        settings = load_settings(home)
    except FatalError:
        return  # said of the configuration
    asked_for = settings.models != type(settings).model_fields["models"].get_default(call_default_factory=True)
    for state in look(home, settings):
        if state.problem is None:
            yield Finding("models", "ok", f"{state.name}: {told(state)}")
            if sentence := no_room(state, settings):
                yield Finding("models", "warn", sentence)
        elif asked_for:
            advice = "until then code tasks for it end as model_unavailable; `orchestrator models` looks around"
            yield Finding("models", "warn", f"{state.name}: {state.problem}", advice)
        else:
            yield Finding("models", "ok", "no model server answers: local code tasks need one, `orchestrator models`")


def daemon(home: Home) -> Iterator[Finding]:
    if not home.exists():
        return
    pid = daemon_pid(home)
    if pid is None:
        yield Finding(
            "daemon",
            "warn",
            "none runs for this home: tasks wait",
            "orchestrator run; or `orchestrator service install`",
        )
    else:
        note = daemon_note(home)
        yield Finding("daemon", "ok", f"one runs, pid {pid}" if pid else "one is starting")
        if refused := note.get("reload"):
            text = f"works with what it had read before: a reload at {refused['at']} was refused: {refused['refused']}"
            yield Finding("daemon", "fail", text, f"correct it, then `kill -HUP {pid}`")
        elif unread := house.unread(home):
            yield Finding("daemon", "warn", *unread)
        if note.get("approve_high"):
            text = "LOCAL_ALLOW_HIGH=1 is in its environment: what needs approval runs, and nobody is asked"
            yield Finding("daemon", "warn", text, "start it without, unless that is what you want")
        for sentence in note.get("troubles", {}).values():
            yield Finding("daemon", "fail", sentence, "it goes on by itself as soon as it can")


def paused(home: Home) -> Iterator[Finding]:
    """Wanted, but it must be seen: a pause that was forgotten looks like a daemon that does nothing."""
    from orchestrator import pauses

    if not os.path.isdir(home.inbox):
        return
    for pause in pauses.standing(home).values():
        how = "" if pause.what == pauses.ALL else f" --label {pause.what}"
        yield Finding("paused", "warn", pause.sentence(), f"orchestrator resume{how}")


def schedules(home: Home) -> Iterator[Finding]:
    """What will not be fired, or was not, although someone counts on it."""
    if not home.exists():
        return
    from orchestrator import clock
    from orchestrator.insights.schedules import schedules

    found = schedules(home, clock.wall())
    for each in found:
        if each.state == "unreadable":
            yield Finding("schedules", "fail", f"{each.name}: {each.why}", "correct it and submit it again")
        elif each.state == "new" and daemon_pid(home):
            text = f"queue/scheduled/{each.name} was not taken by the daemon"
            yield Finding("schedules", "fail", text, "look into its log")
        elif each.last_status == "blocked":
            yield Finding("schedules", "warn", f"{each.stem}: {each.why}", f"orchestrator approve {each.stem}")
        elif each.why and each.state == "active":
            yield Finding(
                "schedules", "warn", f"{each.stem}: {each.why}", f"orchestrator show {each.last or each.stem}"
            )
        elif each.state == "paused":
            yield Finding("schedules", "warn", f"{each.stem} is paused", f"orchestrator schedule resume {each.stem}")
    following = min((each.next for each in found if each.next), default=None)
    if following and not daemon_pid(home):
        yield Finding("schedules", "warn", f"nothing is fired: no daemon runs (next at {following})")
    elif following:
        yield Finding("schedules", "ok", f"recurring tasks: {len(found)}, the next at {following}")


def memory(home: Home) -> Iterator[Finding]:
    if not home.exists():
        return
    if not os.path.exists(home.memory):
        yield Finding("memory", "ok", "nothing is remembered yet")
        return
    try:
        connection = sqlite3.connect(f"file:{home.memory}?mode=ro", uri=True, timeout=5)
        try:
            answer = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        finally:
            connection.close()
    except sqlite3.DatabaseError as error:
        answer = str(error)
    if answer == "ok":
        yield Finding("memory", "ok", f"{os.path.getsize(home.memory) / 1024:.0f} KiB, sound")
    else:
        advice = f"stop the daemon and move {home.memory} away: a new one is made"
        yield Finding("memory", "fail", f"memory.db: {answer}", advice)
