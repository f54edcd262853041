"""Before a task may run: its steps bound to their skills, the whole of it put before the gate.

Nothing here starts anything, so that a bad task is refused before its first step. All that it reads are the script
files that a task names (`files`).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from orchestrator.approvals import Answer
from orchestrator.configuration import load_settings
from orchestrator.errors import FatalError, TaskError
from orchestrator.execution.facts import digest_of_file, facts_of_need
from orchestrator.execution.files import ScriptFiles
from orchestrator.execution.rendered import Rendered, Renderer, render
from orchestrator.fingerprint import Fingerprint, fingerprint
from orchestrator.home import Home
from orchestrator.journal.past import FRESH, Past
from orchestrator.outcome import Call, Decision
from orchestrator.policy.decide import Context, decide_task
from orchestrator.policy.rules import Rules, load_rules
from orchestrator.pools import of_skill, too_much
from orchestrator.sandbox import Host, Sandbox
from orchestrator.secrets import Secrets
from orchestrator.settings import Settings
from orchestrator.skills import BindContext, Skills, bind, command_step, load_skills
from orchestrator.spec import Check, Task, moment_of
from orchestrator.templates.places import is_templated

APPROVE_HIGH = "LOCAL_ALLOW_HIGH"
SETUP_MS = 600_000  # installing what a project needs takes longer than most steps


def workspace_of(home: Home, settings: Settings) -> str:
    """Where steps run. Raises FatalError where that is no folder."""
    workspace = os.path.realpath(os.path.join(home.root, os.path.expanduser(settings.workspace.root)))
    if not os.path.isdir(workspace):
        raise FatalError(f"workspace.root is {workspace}, which is not a folder: make it or change the config")
    return workspace


@dataclass(frozen=True, slots=True)
class Tools:
    """What every task is prepared with; replaced as a whole when the configuration is read again."""

    home: Home
    settings: Settings
    skills: Skills
    rules: Rules
    workspace: str
    base_env: Mapping[str, str]
    path: str
    approve_high: bool
    read_from: Fingerprint
    sandbox: Sandbox | None
    secrets: Secrets

    @classmethod
    def load(cls, home: Home, environ: Mapping[str, str] | None = None, host: Host | None = None) -> Tools:
        """Read config, skills and policy. `host` is what was probed; without it nothing may be run with them.

        Raises FatalError that says which file is wrong, and how; or that the host lacks a sandbox that is required.
        """
        environ = os.environ if environ is None else environ
        read_from = fingerprint(home)
        settings = load_settings(home)
        workspace = workspace_of(home, settings)
        inherited = environ.get("PATH", "") if settings.steps.inherit_path else ""
        path = inherited or settings.steps.path
        secrets = Secrets(settings.secrets, home, environ)
        walls = settings.sandbox.model_copy(update={"hide": (*settings.sandbox.hide, *secrets.places)})
        sandbox = Sandbox(walls, host, home, workspace, path, environ) if host else None
        base_env = {name: environ[name] for name in settings.steps.env if name in environ}
        if sandbox is not None and sandbox.level != "none":
            base_env.pop("TMPDIR", None)  # it names the daemon's temporary folder; tasks have their own
        return cls(
            home=home,
            settings=settings,
            skills=load_skills(home.skills),
            rules=load_rules(home.policy),
            workspace=workspace,
            base_env=base_env,
            path=path,
            approve_high=environ.get(APPROVE_HIGH) == "1",
            read_from=read_from,
            sandbox=sandbox,
            secrets=secrets,
        )

    def sizes(self) -> dict[str, int]:
        """How many slots there are of everything that has a size: pools, and skills with a limit."""
        limited = {of_skill(name): limit for name, limit in self.skills.limits.items()}
        return {**self.settings.pools, **limited}

    @property
    def wall(self) -> Sandbox:
        """The sandbox of steps; without one, because no host was given, nothing may be started."""
        if self.sandbox is None:
            raise RuntimeError("these tools were loaded without a host: they are for looking, not for running")
        return self.sandbox


@dataclass(frozen=True, slots=True)
class Prepared:
    """A task that is ready to be decided upon: its calls, those of its `command` checks, the gate's answer.

    `refusal` is set, and `calls` may be incomplete, where a step could not be bound. `settled`: the answer depends on
    no file, so that only new rules could change it. `answer` is what a person said about it (`answered` looks);
    `void` says why that does not hold, or that it was used before. `past` is what has been run of it already.
    `not_before` is when it may start, in seconds since the epoch: the later of the spec's own time and a retry's.
    `written` is the task with its templates, where it has some; `task` has those replaced that are fixed before the
    first step, and `rendered` says what became of the others.
    `carried` is the folder of the run that had used `answer`, and of which this is the next attempt.
    A task with a worktree is bound where that is or will be: `repo` is the repository, `setup` makes it ready.
    """

    task: Task
    calls: tuple[Call, ...]
    check_calls: Mapping[int, Call]
    workspace: str
    decision: Decision
    tools: Tools
    refusal: TaskError | None = None
    settled: bool = True
    answer: Answer | None = None
    void: str = ""
    past: Past = FRESH
    not_before: float | None = None
    written: Task | None = None
    rendered: Rendered | None = None
    carried: str = ""
    setup: tuple[Call, ...] = ()
    repo: str = ""

    @property
    def spec(self) -> Task:
        """The task as it was written: what is prepared anew, and what an answer is bound to."""
        return self.task if self.written is None else self.written

    def all_calls(self) -> Iterator[Call]:
        """The steps, then all that may be started beside or after them."""
        yield from self.calls
        yield from (beside for call in self.calls for beside in call.beside)
        yield from self.check_calls.values()
        yield from self.setup

    @property
    def is_settled(self) -> bool:
        """Whether what stands against it now will stand against it whenever it is judged again, as things are."""
        return self.settled if self.refusal is None else self.refusal.reason == "invalid"


def prepare(task: Task, tools: Tools, worktree: str = "") -> Prepared:
    """Bind every step and every `command` check, then ask the gate about all of them. `worktree` is the task's own,
    where that is made."""
    not_before = None if task.not_before is None else moment_of(task.not_before)
    if is_templated(task):
        return _prepare_templated(task, tools, not_before, worktree)
    workspace, repo = tools.workspace, ""
    setup: tuple[Call, ...] = ()
    calls: list[Call] = []
    check_calls: dict[int, Call] = {}
    try:
        _check_resources(task, tools.settings.pools)
        workspace, repo = _workspace(task, tools, worktree)
        context = bind_context(tools, workspace)
        for index, step in enumerate(task.steps):
            calls.append(bind(step, index, task, tools.skills, context))
        for rule, check in enumerate(task.acceptance):
            if isinstance(check, Check) and check.command is not None:
                number = len(task.steps) + len(check_calls)
                check_calls[rule] = bind(command_step(check.command), number, task, tools.skills, context)
        setup = _setup(task, len(calls) + len(check_calls), tools, context)
    except TaskError as error:
        allowed = Decision("allow", 0)
        return Prepared(task, tuple(calls), check_calls, workspace, allowed, tools, error, not_before=not_before)
    decision, settled = _judged(task, (*setup, *calls, *check_calls.values()), tools, workspace, repo)
    return Prepared(
        task, tuple(calls), check_calls, workspace, decision, tools,
        settled=settled, not_before=not_before, setup=setup, repo=repo,
    )  # fmt: skip


def _prepare_templated(written: Task, tools: Tools, not_before: float | None, worktree: str) -> Prepared:
    """The same for a task with templates. A step that is known not to start is not judged."""
    task, workspace, allowed = written, tools.workspace, Decision("allow", 0)
    try:
        renderer = Renderer(written, tools.skills, bind_context(tools, workspace), partial(facts_of_need, tools.home))
        task = renderer.beforehand()
        _check_resources(task, tools.settings.pools)
        workspace, repo = _workspace(task, tools, worktree)
        renderer.context = bind_context(tools, workspace)
        rendered = render(renderer)
        setup = _setup(task, len(rendered.calls) + len(rendered.check_calls), tools, renderer.context)
    except TaskError as error:
        return Prepared(task, (), {}, workspace, allowed, tools, error, not_before=not_before, written=written)
    calls, check_calls = rendered.calls, rendered.check_calls
    judged = [call for call in (*setup, *calls, *check_calls.values()) if call.index not in rendered.never]
    decision, settled = _judged(task, judged, tools, workspace, repo, rendered.used)
    return Prepared(
        rendered.task, calls, check_calls, workspace, decision, tools,
        settled=settled, not_before=not_before, written=written, rendered=rendered, setup=setup, repo=repo,
    )  # fmt: skip


def bind_context(tools: Tools, workspace: str) -> BindContext:
    return BindContext(
        workspace=workspace,
        environ=tools.base_env,
        path=tools.path,
        output_limit=tools.settings.steps.output_limit,
        trusted_hosts=tools.settings.http.trusted_hosts,
        max_bytes=tools.settings.http.max_bytes,
    )


def _judged(
    task: Task, calls: Sequence[Call], tools: Tools, workspace: str, repo: str, used: Iterable[str] = ()
) -> tuple[Decision, bool]:
    """The gate's answer, and whether it depends on no script. An approval is bound to what it was given for: to the
    template, too, and to the results that were `used`."""
    files = ScriptFiles(workspace, repo)
    calls = [one for call in calls for one in (call, *call.beside)]
    decision = decide_task(task, calls, tools.rules, gate_context(task, tools, workspace, files))
    digests = files.digests()
    if task.made_from is not None:
        digests += ((f"{tools.home.templates}/{task.made_from.template}.yaml", task.made_from.sha256),)
    digests = tuple(sorted((*digests, *((path, digest_of_file(path)) for path in used))))
    return (replace(decision, files=digests) if digests else decision), not files.asked


def gate_context(task: Task, tools: Tools, workspace: str, files: ScriptFiles) -> Context:
    """What the gate judges a task's calls in; `files` reads the scripts that they name."""
    return Context(
        files=files,
        priority=task.priority,
        risk=task.risk,
        approve_high=tools.approve_high,
        home_dir=tools.home.root,
        workspace=workspace,
    )


def _check_resources(task: Task, pools: Mapping[str, int]) -> None:
    for name, number in task.resources.items():
        if why := too_much(name, number, pools):
            raise TaskError("invalid", f"resources.{name}: {why}")


def _setup(task: Task, number: int, tools: Tools, context: BindContext) -> tuple[Call, ...]:
    """What makes a worktree ready, its calls counted from `number`. Raises TaskError."""
    if task.workspace is None or task.workspace.worktree is None:
        return ()
    steps = [command_step(command) for command in task.workspace.worktree.setup]
    calls = (bind(step, number + at, task, tools.skills, context) for at, step in enumerate(steps))
    return tuple(replace(call, timeout_ms=max(call.timeout_ms, SETUP_MS)) for call in calls)


def _workspace(task: Task, tools: Tools, worktree: str) -> tuple[str, str]:
    """The folder of a task's steps; and, for one with a worktree, the repository. Raises TaskError."""
    if task.workspace is not None and (wanted := task.workspace.worktree) is not None:
        from orchestrator.worktrees.record import to_go_on
        from orchestrator.worktrees.source import source_of

        repo = source_of(wanted, tools.workspace, tools.settings).folder
        if not worktree:
            there = to_go_on(tools.home, task.id)
            worktree = there.path(tools.home) if there else f"{tools.home.worktrees}/{task.id}/new"
        return worktree, repo
    if task.workspace is None or task.workspace.dir is None:
        return tools.workspace, ""
    folder = os.path.realpath(os.path.join(tools.workspace, os.path.expanduser(task.workspace.dir)))
    if not os.path.isdir(folder):
        raise TaskError("workspace_missing", f"workspace.dir is {folder}, which is not a folder")
    from orchestrator.worktrees.source import check_place

    check_place(folder, tools.workspace, tools.settings)
    return folder, ""
