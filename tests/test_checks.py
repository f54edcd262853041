"""Acceptance checks: what each rule understands, what it answers, and what it never does."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator import checks
from orchestrator.checks import output, workspace
from orchestrator.checks.pattern import Matcher, is_harmless
from orchestrator.checks.pointer import resolve, same
from orchestrator.checks.rule import rule_of
from orchestrator.outcome import CheckResult, StepResult
from orchestrator.spec import Check


def step(stdout: str = "", *, index: int = 0, code: int | None = 0, **more: Any) -> StepResult:
    more.setdefault("stdout_bytes", len(stdout.encode()))
    return StepResult(index, "bash", (), "ok", code, stdout=stdout, **more)


def long_step(run_dir: Path, content: bytes, *, index: int = 0, **more: Any) -> StepResult:
    """A step as the runner leaves it: the whole output in a file, a tail of 4 KiB in the result."""
    name = f"{index}-bash.out"
    (run_dir / name).write_bytes(content)
    tail = content[-4096:].decode(errors="replace")
    return step(tail, index=index, stdout_path=name, stdout_bytes=len(content), **more)


def as_entry(rule: str | dict[str, Any]) -> str | Check:
    return rule if isinstance(rule, str) else Check.model_validate_json(json.dumps(rule))


def judge(
    rule: str | dict[str, Any],
    *results: StepResult,
    root: Path | str = "/nonexistent",
    before: checks.Baseline | None = None,
    codes: dict[int, int | None] | None = None,
) -> CheckResult:
    answers = checks.evaluate(
        (as_entry(rule),),
        results,
        workspace=str(root),
        run_dir=str(root),
        baseline=before or checks.Baseline(),
        command_codes=codes or {},
    )
    assert len(answers) == 1
    return answers[0]


# ── sentences ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("sentence", "kind", "value"),
    [
        ("Printed SMOKE_OK", "stdout_contains", "SMOKE_OK"),
        ("printed SMOKE_OK.", "stdout_contains", "SMOKE_OK"),
        ('Printed "all done."', "stdout_contains", "all done."),
        ("Printed `ok`.", "stdout_contains", "ok"),
        ('Printed "status": "ok"', "stdout_contains", '"status": "ok"'),
        ("Printed wait...", "stdout_contains", "wait..."),
        ("PRINTED two\nlines", "stdout_contains", "two\nlines"),
        ("out/report.md exists", "file_exists", "out/report.md"),
        ("`out/report.md` exists.", "file_exists", "out/report.md"),
        ('"my report.md" Exists', "file_exists", "my report.md"),
        ("`Makefile` exists", "file_exists", "Makefile"),
        ("*.log exists", "file_exists", "*.log"),
        ("README.md updated", "file_updated", "README.md"),
        ("'src/**' updated.", "file_updated", "src/**"),
        ("Report exists under reports/*.md", "exists_under", ("reports/*.md", None)),
        ("A fresh report exists under `reports/`.", "exists_under", ("reports/", None)),
        ("report.md exists under out/**", "exists_under", ("out/**", "report.md")),
        ("`.` exists under out/**", "exists_under", ("out/**", None)),
    ],
)
def test_a_sentence_of_the_original_kind_is_understood(sentence: str, kind: str, value: Any) -> None:
    assert rule_of(sentence) == (kind, value)


@pytest.mark.parametrize(
    "sentence",
    [
        "The service exists",
        "Documentation updated",
        "The file out/a.txt exists",
        "the README.md is updated",
        "https://example.org/page exists",
        "Printed",
        "exists",
        "... exists",
        "README exists",
        "A report exists under the table",
        "No error log exists under logs/*.log",
        "Nothing exists under tmp/**",
        "The report doesn't say it exists under logs/*.log",
        "Tests pass",
        "",
        "a" + " " * 100_000 + "b",
        "a exists under  " * 5_000,
        "exists " * 20_000,
        "`" * 50_000 + " exists",
    ],
)
def test_english_that_is_no_rule_is_reported_as_not_understood(sentence: str) -> None:
    answer = judge(sentence)
    assert answer.ok is None
    assert "no rule understands this sentence" in answer.detail
    assert answer.rule == sentence


def test_the_rule_of_a_mapping_is_named_by_its_own_json() -> None:
    rule = {"json": {"path": "a.json", "pointer": "/x", "equals": None}}
    assert json.loads(judge(rule).rule) == rule
    assert judge({"stdout_contains": "grüß"}).rule == '{"stdout_contains":"grüß"}'


@pytest.mark.parametrize("mapping", [{}, {"stdout_contains": "a", "command": "true"}])
def test_a_mapping_without_exactly_one_key_is_not_judged(mapping: dict[str, Any]) -> None:
    assert judge(mapping, step("a")).ok is None


# ── output ─────────────────────────────────────────────────────────────────────────────────────────


def test_printed_is_true_if_any_step_printed_it() -> None:
    assert judge("Printed world", step("hello\n"), step("the world\n", index=1)) == CheckResult("Printed world", True)
    assert judge("Printed World", step("the world\n")).ok is False
    assert judge("Printed x").ok is False


def test_text_that_scrolled_out_of_the_tail_is_found_in_the_file(tmp_path: Path) -> None:
    early = long_step(tmp_path, b"EARLY\n" + b"filler\n" * 100_000)
    assert "EARLY" not in early.stdout
    assert judge("Printed EARLY", early, root=tmp_path).ok is True
    assert judge("Printed LATE", early, root=tmp_path).ok is False


def test_an_output_that_was_cut_is_named_as_a_reason_for_not_finding_a_text(tmp_path: Path) -> None:
    cut = long_step(tmp_path, b"x" * 10_000, truncated=True)
    assert "steps.output_limit" in judge("Printed y", cut, root=tmp_path).detail


def test_an_output_file_that_is_gone_leaves_the_check_undecided(tmp_path: Path) -> None:
    lost = step("tail", stdout_path="0-bash.out", stdout_bytes=9_000)
    answer = judge("Printed head", lost, root=tmp_path)
    assert answer.ok is None
    assert "could not be read" in answer.detail


def test_a_tail_of_replacement_characters_is_not_taken_for_the_whole_output(tmp_path: Path) -> None:
    binary = long_step(tmp_path, b"HEAD" + b"\xff" * 8_000)
    assert len(binary.stdout.encode()) > binary.stdout_bytes
    assert judge("Printed HEAD", binary, root=tmp_path).ok is True


@given(st.lists(st.binary(max_size=6), max_size=6), st.binary(max_size=8))
def test_text_is_found_over_the_borders_of_pieces_exactly_if_it_is_in_the_whole(
    pieces: list[bytes], text: bytes
) -> None:
    assert output.contains(iter(pieces), text) is (text in b"".join(pieces))


@given(st.text("ab", min_size=1, max_size=5), st.integers(1, 40))
def test_every_piece_of_what_was_printed_is_found(text: str, copies: int) -> None:
    whole = ("ab" * copies + text).encode()
    for cut in range(len(whole)):
        assert output.contains(iter([whole[:cut], whole[cut:]]), text.encode())


def test_an_output_larger_than_memory_allows_is_read_in_pieces(tmp_path: Path) -> None:
    needle = b"a" * output.CHUNK
    big = tmp_path / "big"
    big.write_bytes(b"b" * (output.CHUNK - 1) + needle + b"b" * output.CHUNK)
    sizes: list[int] = []

    class Watched:
        def __init__(self) -> None:
            self.file = big.open("rb")

        def read(self, size: int) -> bytes:
            sizes.append(size)
            return self.file.read(size)

    assert output.contains(Watched(), needle)  # type: ignore[arg-type]
    assert set(sizes) == {output.CHUNK}


def test_whether_a_task_needs_the_disk_is_known_beforehand(tmp_path: Path) -> None:
    short, long = step("ok"), long_step(tmp_path, b"x" * 10_000)
    exit_code = as_entry({"exit_code": {"step": 0, "equals": 0}})
    assert checks.is_instant(("Printed ok", exit_code, "Tests pass"), (short,))
    assert checks.is_instant((exit_code, as_entry({"command": "true"})), (long,))
    assert not checks.is_instant(("Printed ok",), (short, long))
    assert not checks.is_instant((as_entry({"stdout_matches": "ok"}),), (short,))
    assert not checks.is_instant(("a.txt exists",), ())
    assert not checks.needs_baseline(("Printed ok", "a.txt exists"))
    assert checks.needs_baseline(("Printed ok", "a.txt updated"))


# ── patterns ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("pattern", "text", "ok"),
    [
        (r"^\d passed$", "run\n3 passed\n", True),
        (r"^passed$", "3 passed\n", False),
        (r"^(pass|fail)ed$", "run\n3 passed\npassed\n", True),
        (r"^(pass|fail)ed$", "run\n3 passed\n", False),
        (r"(\d+) of \1", "12 of 12", True),
        (r"(\d+) of \1", "12 of 13", False),
        (r"(?i)grüß (gott|dich)", "GRÜSS\nGRÜß DICH", True),
    ],
)
def test_a_pattern_is_searched_line_by_line(pattern: str, text: str, ok: bool) -> None:
    assert judge({"stdout_matches": pattern}, step(text)).ok is ok


def test_a_pattern_sees_the_first_and_the_last_mebibyte_of_a_long_output(tmp_path: Path) -> None:
    middle = b"x" * (output.WINDOW + 10) + b"MIDDLE" + b"x" * (output.WINDOW + 10)
    long = long_step(tmp_path, b"FIRST" + middle + b"LAST")
    assert judge({"stdout_matches": "F[I]RST"}, long, root=tmp_path).ok is True
    assert judge({"stdout_matches": "LAST$"}, long, root=tmp_path).ok is True
    missed = judge({"stdout_matches": "MIDDLE"}, long, root=tmp_path)
    assert missed.ok is False
    assert "first and the last MiB" in missed.detail


@pytest.mark.parametrize("pattern", ["(", "[z-a]", "(?P<n>a)(?P<n>b)", "a**", "(" * 2_000 + ")" * 2_000, "a" * 5_000])
def test_what_is_no_usable_pattern_fails_with_its_reason(pattern: str) -> None:
    answer = judge({"stdout_matches": pattern}, step("aaa"))
    assert answer.ok is False
    assert "not a regular expression" in answer.detail or "longer than" in answer.detail


@pytest.mark.parametrize("pattern", [r"(a+)+$", r"(a|a)*b", r"a*a*a*a*a*b"])
def test_a_pattern_that_would_take_for_ever_is_given_up(pattern: str) -> None:
    with pytest.raises(workspace.UndecidedError, match="given up"):
        Matcher(pattern, budget=0.3).found_in("a" * 5_000 + "!")


def test_a_pattern_that_would_take_all_memory_ends_undecided_or_refused() -> None:
    with pytest.raises((workspace.UndecidedError, workspace.RefusedError)):
        Matcher("(?:" * 3 + "a" + "{1,60000}){1,60000}" * 3 + "b", budget=0.3).found_in("a" * 50_000)


def test_one_budget_holds_for_all_steps_together() -> None:
    matcher = Matcher(r"(a+)+$", budget=0.3)
    for _ in range(3):
        with pytest.raises(workspace.UndecidedError):
            matcher.found_in("a" * 5_000 + "!")
    assert matcher._deadline < time.monotonic()


def test_only_patterns_without_groups_and_with_one_quantifier_are_matched_in_the_daemon() -> None:
    assert all(map(is_harmless, ["OK", r"^\d+ passed$", "a|b"]))
    assert not any(map(is_harmless, ["(a+)+$", "a*b*", "(ab)", "a{2}{3}", "a?a?"]))


# ── files ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("out/report.md", "out/deep/er/data.json", "out/.hidden", "a [1].txt", "src/main.py"):
        path = tmp_path / "ws" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
    (tmp_path / "ws" / "empty").mkdir()
    (tmp_path / "secret.json").write_text('{"key": "hunter2"}')
    return tmp_path / "ws"


@pytest.mark.parametrize(
    ("path", "ok"),
    [
        ("out/report.md", True),
        ("./out//report.md", True),
        ("out/../src/main.py", True),
        ("out", True),
        ("out/*.md", True),
        ("out/*.json", False),
        ("**/*.json", True),
        ("**/data.json", True),
        ("out/**/data.json", True),
        ("**/er/**", True),
        ("**/**/**/*.py", True),
        ("out/*", True),
        ("*/deep/*/dat?.json", True),
        ("*/deep/dat?.json", False),
        ("a [1].txt", True),
        ("out/.h*", True),
        ("out/*hidden", False),
        ("out/report.md/x", False),
        ("missing/**", False),
    ],
)
def test_a_file_exists_if_its_path_or_glob_finds_something(tree: Path, path: str, ok: bool) -> None:
    assert judge({"file_exists": path}, root=tree).ok is ok


def test_an_absolute_path_within_the_workspace_is_understood(tree: Path) -> None:
    assert judge({"file_exists": f"{tree}/out/*.md"}, root=tree).ok is True
    link = tree.parent / "link"
    link.symlink_to(tree)
    assert judge({"file_exists": f"{tree}/out/report.md"}, root=link).ok is True


@pytest.mark.parametrize("path", ["../secret.json", "/etc/passwd", "out/../../secret.json", "~/.bashrc", "/", ".."])
@pytest.mark.parametrize("kind", ["file_exists", "file_updated"])
def test_a_path_that_leaves_the_workspace_is_refused(tree: Path, path: str, kind: str) -> None:
    before = checks.baseline((as_entry({kind: path}),), str(tree))
    answer = judge({kind: path}, root=tree, before=before)
    assert answer.ok is False
    assert "workspace" in answer.detail


def test_content_is_not_read_through_a_link_that_leads_out(tree: Path) -> None:
    (tree / "out" / "stolen.json").symlink_to("../../secret.json")
    (tree / "out" / "up").symlink_to("../..")
    for path in ("out/stolen.json", "out/up/secret.json"):
        assert judge({"file_exists": path}, root=tree).ok is True
        found = judge({"json": {"path": path, "pointer": "/key", "equals": "x"}}, root=tree)
        contains = judge({"file_contains": {"path": path, "text": "hunter2"}}, root=tree)
        assert (found.ok, contains.ok) == (False, False)
        assert "hunter2" not in found.detail
        assert "symbolic link" in contains.detail


def test_links_that_lead_in_circles_end(tree: Path) -> None:
    (tree / "out" / "loop").symlink_to("..")
    (tree / "self.txt").symlink_to("self.txt")
    assert judge({"file_exists": "**/nowhere.txt"}, root=tree).ok is False
    assert judge({"file_exists": "self.txt"}, root=tree).ok is None


def test_a_search_of_too_many_files_is_given_up(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workspace, "MAX_ENTRIES", 50)
    for number in range(60):
        (tree / "empty" / f"{number}").touch()
    answer = judge({"file_exists": "**/nowhere.txt"}, root=tree)
    assert answer.ok is None
    assert "gave up" in answer.detail


def test_a_glob_with_many_stars_looks_at_each_folder_once_for_each_of_its_parts(tmp_path: Path) -> None:
    (tmp_path / "/".join("d" * 60)).mkdir(parents=True)
    assert judge({"file_exists": "**/d/" * 8 + "nowhere.txt"}, root=tmp_path).ok is False


def test_a_tree_deeper_than_the_stack_of_python_is_searched(tmp_path: Path) -> None:
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(1_200):
        os.mkdir("d", dir_fd=here)
        inner = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(here)
    try:
        assert judge({"file_exists": "**/nowhere.txt"}, root=tmp_path).ok is False
    finally:
        subprocess.run(["rm", "-rf", str(tmp_path / "d")], check=True)  # pytest's own removal is recursive


@pytest.mark.parametrize(
    ("sentence", "ok"),
    [
        ("A report exists under out/*.md", True),
        ("A report exists under out/", True),
        ("A report exists under out/deep", False),
        ("A report exists under `out/deep`", True),
        ("A report exists under empty/", False),
        ("A report exists under out/*.txt", False),
        ("data.json exists under out/", True),
        ("er/data.json exists under out/**", True),
        ("other.json exists under out/", False),
        ("*.md exists under out/**", True),
        ("*.py exists under out/**", False),
    ],
)
def test_something_exists_under_a_folder_only_if_a_file_does(tree: Path, sentence: str, ok: bool) -> None:
    if sentence.endswith("under out/deep"):
        (tree / "out" / "deep" / "er" / "data.json").unlink()
    assert judge(sentence, root=tree).ok is ok


@pytest.mark.parametrize(
    ("path", "act", "ok"),
    [
        ("out/report.md", lambda root: (root / "out/report.md").write_text("longer"), True),
        ("out/report.md", lambda root: os.utime(root / "out/report.md", ns=(1, 1)), True),
        ("out/report.md", lambda root: (root / "src/main.py").write_text("longer"), False),
        ("out/report.md", lambda root: (root / "out/report.md").unlink(), False),
        ("out/new.md", lambda root: (root / "out/new.md").touch(), True),
        ("out/new.md", lambda root: None, False),
        ("out/", lambda root: (root / "out/deep/er/data.json").write_text("[1]"), True),
        ("out/", lambda root: (root / "src/main.py").write_text("[1]"), False),
        ("**/*.json", lambda root: (root / "src/b.json").touch(), True),
    ],
)
def test_updated_means_changed_since_the_first_step(tree: Path, path: str, act: Any, ok: bool) -> None:
    before = checks.baseline((f"{path} updated",), str(tree))
    act(tree)
    assert judge(f"{path} updated", root=tree, before=before).ok is ok


def test_a_file_put_in_place_by_rename_with_the_same_size_and_time_counts_as_updated(tree: Path) -> None:
    target, other = tree / "out/report.md", tree / "other"
    before = checks.baseline(("out/report.md updated",), str(tree))
    other.write_text("[]")
    stamp = target.stat().st_mtime_ns
    os.utime(other, ns=(stamp, stamp))
    other.rename(target)
    assert judge("out/report.md updated", root=tree, before=before).ok is True


def test_without_an_earlier_look_nothing_is_called_updated(tree: Path) -> None:
    assert judge("out/report.md updated", root=tree).ok is None


def test_a_file_contains_a_text(tree: Path) -> None:
    (tree / "big").write_bytes(b"x" * 3_000_000 + "grüß dich".encode() + b"x" * 1_000)
    assert judge({"file_contains": {"path": "big", "text": "grüß dich"}}, root=tree).ok is True
    assert judge({"file_contains": {"path": "big", "text": "servus"}}, root=tree).ok is False
    missing = judge({"file_contains": {"path": "none.txt", "text": "x"}}, root=tree)
    assert (missing.ok, missing.detail) == (False, "none.txt does not exist")


def test_neither_a_fifo_nor_a_folder_is_read(tree: Path) -> None:
    os.mkfifo(tree / "pipe")
    for name in ("pipe", "out"):
        answer = judge({"file_contains": {"path": name, "text": "x"}}, root=tree)
        assert (answer.ok, answer.detail) == (False, f"{name} is not a regular file")


# ── JSON ───────────────────────────────────────────────────────────────────────────────────────────


def test_the_examples_of_rfc_6901_resolve() -> None:
    document = {
        "foo": ["bar", "baz"],
        "": 0,
        "a/b": 1,
        "c%d": 2,
        "e^f": 3,
        "g|h": 4,
        "i\\j": 5,
        'k"l': 6,
        " ": 7,
        "m~n": 8,
    }
    pointers = ["", "/foo", "/foo/0", "/", "/a~1b", "/c%d", "/e^f", "/g|h", "/i\\j", '/k"l', "/ ", "/m~0n"]
    values = [document, ["bar", "baz"], "bar", 0, 1, 2, 3, 4, 5, 6, 7, 8]
    assert [resolve(document, pointer) for pointer in pointers] == values
    assert resolve({"~1": "x"}, "/~01") == "x"


@pytest.mark.parametrize("pointer", ["foo", "#/foo", "/a~2", "/a~"])
def test_what_is_no_pointer_is_told_apart_from_one_that_leads_nowhere(pointer: str) -> None:
    with pytest.raises(ValueError, match="not a JSON pointer"):
        resolve({}, pointer)


@pytest.mark.parametrize(
    "pointer", ["/x", "/l/2", "/l/-", "/l/01", "/l/+1", "/l/ 1", "/l/٣", "/l/-1", "/s/0", "/l/" + "9" * 5_000]
)
def test_a_pointer_to_nothing_is_a_lookup_error(pointer: str) -> None:
    with pytest.raises(LookupError):
        resolve({"l": [1, 2], "s": "text"}, pointer)


_json = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text("a~/1 0", max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("a~/10", max_size=3), inner, max_size=3),
    max_leaves=12,
)


def every_place(value: Any, pointer: str = "") -> list[tuple[str, Any]]:
    """An oracle the other way round: all pointers of a document, built from its parts."""
    places = [(pointer, value)]
    pairs: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in pairs:
        token = "".join({"~": "~0", "/": "~1"}.get(sign, sign) for sign in str(key))
        places += every_place(child, f"{pointer}/{token}")
    return places


@given(_json)
def test_every_place_of_a_document_is_reached_by_its_pointer(document: Any) -> None:
    for pointer, value in every_place(document):
        assert resolve(document, pointer) is value


@given(_json, _json)
def test_json_values_are_the_same_exactly_if_their_canonical_texts_are(left: Any, right: Any) -> None:
    def text(value: Any) -> str:
        return json.dumps(value, sort_keys=True)

    assert same(left, right) is (text(left) == text(right))
    assert same(left, json.loads(text(left)))


def test_a_number_is_equal_by_value_and_true_is_no_number() -> None:
    assert same(1, 1.0)
    assert not same(1, True)
    assert not same([0], [False])
    assert not same({"a": 1}, {"a": 1, "b": 2})


def test_a_value_in_a_json_file_is_compared(tree: Path) -> None:
    (tree / "r.json").write_text('{"results": [{"ok": true, "n": 3}], "none": null}')

    def ask(pointer: str, equals: Any, path: str = "r.json") -> CheckResult:
        return judge({"json": {"path": path, "pointer": pointer, "equals": equals}}, root=tree)

    assert ask("/results/0/ok", True).ok is True
    assert ask("/none", None).ok is True
    assert ask("/results/0", {"n": 3, "ok": True}).ok is True
    assert ask("/results/0/n", 4).detail == "r.json has 3 at '/results/0/n'"
    assert "there is no 'x'" in ask("/results/0/x", 1).detail
    assert "not a JSON pointer" in ask("results", 1).detail
    (tree / "bad.json").write_text("{")
    (tree / "deep.json").write_text("[" * 100_000)
    assert "not valid JSON" in ask("", 1, "bad.json").detail
    assert "not valid JSON" in ask("", 1, "deep.json").detail
    assert ask("", 1, "none.json").ok is False


def test_a_json_file_that_is_too_large_is_not_read(tree: Path) -> None:
    with (tree / "huge.json").open("wb") as handle:
        handle.truncate(17 * 1024 * 1024)
    answer = judge({"json": {"path": "huge.json", "pointer": "", "equals": 1}}, root=tree)
    assert answer.ok is None


# ── codes ──────────────────────────────────────────────────────────────────────────────────────────


def test_an_exit_code_is_asked_by_index_or_by_id() -> None:
    results = (step(code=0), step(index=1, code=3, id="lint"), step(index=2, code=None))

    def ask(which: int | str, equals: int) -> CheckResult:
        return judge({"exit_code": {"step": which, "equals": equals}}, *results)

    assert ask(0, 0).ok is True
    assert ask("lint", 3).ok is True
    assert ask(1, 3).ok is True
    assert ask("lint", 0).detail == "step lint ended with exit code 3"
    assert ask(2, 0).ok is False
    assert ask("test", 0).detail == "step test did not run"


@pytest.mark.parametrize(
    ("codes", "ok"), [({0: 0}, True), ({0: 1}, False), ({0: None}, False), ({}, None), ({1: 0}, None)]
)
def test_a_command_passes_only_if_it_was_run_and_exited_with_zero(
    codes: dict[int, int | None], ok: bool | None
) -> None:
    assert judge({"command": "make test"}, codes=codes).ok is ok
    assert judge({"command": ["git", "diff", "--quiet"]}, codes=codes).ok is ok


def test_each_command_gets_the_code_of_its_own_place() -> None:
    rules = tuple(as_entry({"command": "true"}) for _ in range(3))
    answers = checks.evaluate(
        ("Printed x", *rules),
        (step("x"),),
        workspace="/",
        run_dir="/",
        baseline=checks.Baseline(),
        command_codes={1: 0, 2: 1},
    )
    assert [answer.ok for answer in answers] == [True, True, False, None]
