"""Random tasks that are valid, as plain values."""

from hypothesis import strategies as st

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20).filter(
    lambda text: "${{" not in text
)
FILLED = TEXT.filter(bool)
ID = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True)
NAME = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,10}", fullmatch=True)
SKILL = st.sampled_from(["bash", "git", "node", "python"])
TIMEOUT = st.one_of(st.integers(1, 10**9), st.sampled_from(["30s", "1h30m", "1.5h", "250ms"]))
ENV = st.dictionaries(NAME, TEXT, max_size=3)
SCALAR = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False, allow_infinity=False), TEXT
)
VALUE = st.recursive(
    SCALAR, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3), max_leaves=5
)
STEP = st.fixed_dictionaries(
    {"skill": SKILL},
    optional={
        "args": st.lists(TEXT, max_size=3),
        "with": st.dictionaries(NAME, VALUE, max_size=2),
        "timeout": TIMEOUT,
        "optional": st.booleans(),
        "env": ENV,
    },
)
CHECK = st.one_of(
    TEXT,
    st.fixed_dictionaries({"stdout_contains": TEXT}),
    st.fixed_dictionaries({"stdout_matches": st.sampled_from(["a+", "^x$", "(?i)ok"])}),
    st.fixed_dictionaries({"file_exists": FILLED}),
    st.fixed_dictionaries({"file_contains": st.fixed_dictionaries({"path": FILLED, "text": TEXT})}),
    st.fixed_dictionaries(
        {"json": st.fixed_dictionaries({"path": FILLED, "pointer": st.sampled_from(["", "/a/0"]), "equals": VALUE})}
    ),
    st.fixed_dictionaries({"command": st.just("true") | st.builds(lambda: ["git", "status"])}),
    st.fixed_dictionaries({"exit_code": st.fixed_dictionaries({"step": st.just(0), "equals": st.integers(0, 255)})}),
)
WORKTREE = st.fixed_dictionaries(
    {"repo": FILLED},
    optional={
        "base": st.sampled_from(["HEAD", "main~2", "v1.0"]),
        "branch": st.sampled_from(["fix/a", "b"]),
        "keep": st.sampled_from(["never", "on_failure", "always"]),
        "copy": st.lists(st.sampled_from([".env", "a/**/*.json"]), max_size=2),
        "setup": st.lists(st.just("true") | st.builds(lambda: ["git", "status"]), max_size=2),
        "commit": st.booleans() | st.fixed_dictionaries({}, optional={"message": TEXT, "author": st.just("A <a@b>")}),
    },
)
TASK = st.fixed_dictionaries(
    {
        "id": ID,
        "title": FILLED,
        "skills": st.builds(lambda: ["bash", "git", "node", "python"]),
        "steps": st.lists(STEP, min_size=1, max_size=3),
    },
    optional={
        "priority": st.sampled_from(["low", "medium", "high", "urgent"]),
        "risk": st.sampled_from(["low", "medium", "high"]),
        "acceptance": st.lists(CHECK, max_size=3),
        "memory": st.fixed_dictionaries({"text": TEXT}, optional={"kind": TEXT}),
        "notify": st.fixed_dictionaries(
            {}, optional={"channels": st.lists(TEXT, max_size=2), "level": st.sampled_from(["info", "warn"])}
        ),
        "labels": st.dictionaries(TEXT, TEXT, max_size=3),
        "env": ENV,
        "timeout": TIMEOUT,
        "workspace": st.one_of(st.fixed_dictionaries({"dir": FILLED}), st.fixed_dictionaries({"worktree": WORKTREE})),
        "parent": ID,
    },
)
