"""The one list of verbs: what each is called, says in one line, and in which module it lives.

The front prints it without importing anything else; the full command line imports a verb's module from it.
"""

GROUPS = (
    (
        "Run",
        (
            ("init", "setup", "Make a home: config, policy, skills, queue and an example or two."),
            ("run", "serve", "Run the daemon in the foreground; with --once, drain what is ready and end."),
            ("pause", "pausing", "Start nothing new, or nothing with a label; what runs goes on."),
            ("resume", "pausing", "Let what was paused start again."),
            ("drain", "pausing", "Pause everything, and wait until nothing runs."),
            ("demo", "demo.verb", "Watch about 30 real tasks run on a temporary home."),
        ),
    ),
    (
        "Submit and wait",
        (
            ("submit", "submit", "Queue a spec file, or a command line; with --wait, see it to its end."),
            ("wait", "wait", "Wait until tasks have ended; exit as the worst of them did."),
            ("cancel", "cancel", "Ask the daemon to stop a task, or take a waiting one out."),
            ("schedule", "schedule", "Recurring tasks: list, next, pause, resume, run-now, remove."),
            ("retry", "retry", "Put an ended task back into the queue; with --from, go on at a step of it."),
        ),
    ),
    (
        "Look",
        (
            ("list", "listing", "What waits, runs and has ended, and why."),
            ("show", "showing", "One task: steps, output, acceptance, what the gate said."),
            ("logs", "logs", "The output of a task's steps; -f follows it live."),
            ("tail", "tail", "The telemetry lines; -f follows them."),
            ("stats", "stats", "Counts, rates and durations of the last days."),
        ),
    ),
    (
        "Local models",
        (
            ("code", "code", "Queue a local code task; with --wait, print how it ended."),
            ("classify", "classify", "Whether a local model should try a code task, rule by rule."),
            ("dispatch", "dispatch", "A backlog of code tasks: list, assign-next, run --all, status."),
            ("accept", "verdicts", "Say that the file which a code task has made is good."),
            ("revise", "verdicts", "Say what is wrong with the file which a code task has made."),
            ("tokens", "tokens", "What files cost as context of a code task, and what to do about it."),
            ("savings", "savings", "How much local models did, how well, and what that saved in tokens."),
        ),
    ),
    (
        "Gate",
        (
            ("approvals", "approvals", "What waits for your approval, and which approvals are given."),
            ("approve", "answering", "Let blocked tasks run, once each."),
            ("reject", "answering", "End blocked tasks, with your reason."),
            ("validate", "validate", "Check spec files; say everything that is wrong, with line and column."),
            ("explain", "explain", "What the gate would say about a spec, and why, point by point."),
            ("schema", "schema", "Print the JSON Schema of a spec, for editors."),
            ("skills", "skills", "The skills that steps can use."),
            ("templates", "templates", "The templates that specs can be made from, and what each wants to know."),
        ),
    ),
    (
        "Memory",
        (
            ("recall", "memory", "Search what earlier tasks and people wrote down."),
            ("remember", "memory", "Write a sentence into memory."),
        ),
    ),
    (
        "House",
        (
            ("secrets", "secrets", "Secrets that tasks may name: list, set, remove; never a value."),
            ("service", "service", "Have the machine run the daemon: install, uninstall, status."),
            ("models", "models", "Model servers: which answer and what they have; --test asks each a question."),
            ("notify", "notify", "Notification channels: try one, see what waits."),
            ("worktrees", "worktrees", "The git worktrees that tasks have left: list, clean."),
            ("doctor", "doctor", "Check this host and this home; say what to do."),
            ("prime", "prime", "Print the page that teaches a coding agent to delegate here."),
        ),
    ),
)

MODULE_OF = {name: module for _, verbs in GROUPS for name, module, _ in verbs}
SUMMARY_OF = {name: summary for _, verbs in GROUPS for name, _, summary in verbs}


def top_help() -> str:
    """The page that `orchestrator --help` prints."""
    lines = [
        "Usage: orchestrator [--home DIR] VERB [ARGS]...",
        "",
        "Drop a spec file in a folder; this machine does the work and leaves a small result beside it.",
    ]
    for title, verbs in GROUPS:
        lines += ["", f"{title}:", *(f"  {name:<10} {summary}" for name, _, summary in verbs)]
    lines += [
        "",
        "Options:",
        "  --home DIR               The home to use; else $ORCHESTRATOR_HOME, else the nearest folder",
        "                           upwards with config/orchestrator.toml, else the user's data folder.",
        "  --version                Print the version.",
        "  --install-completion     Install completion for the current shell; --show-completion prints it.",
        "  --help                   This page; `orchestrator VERB --help` has options and an example.",
        "",
        "Exit codes: 0 ok, 1 the task failed, 2 usage or invalid spec, 3 approval required, 4 denied,",
        "5 no such task, 75 no daemon or busy, 124 timed out, 130 interrupted.",
        "",
    ]
    return "\n".join(lines)
