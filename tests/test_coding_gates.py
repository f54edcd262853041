"""The gates: whole, parsing; and the diff, which git takes."""

import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.coding.diff import diff_of
from orchestrator.coding.gates.verdicts import check, first_failure, syntax_program, verdicts, with_syntax
from orchestrator.coding.report import DiffStats, GateResult
from tests.conftest import require_program

PY = "def add(a, b):\n    return a + b\n"


def judged(text, path="a.py", old=None):
    """`gate: verdict` of the gate that decides."""
    results = check(text, path, old=old)
    last = first_failure(results) or results[-1]
    assert last.detail
    return f"{last.gate}: {last.verdict}"


PLACEHOLDERS = [
    "# ... existing code ...",
    "# ...",
    "# … rest of the file",
    "# ... (rest of the implementation)",
    "# [... rest of code unchanged ...]",
    "# rest of the code remains the same",
    "# The rest of your file stays unchanged.",
    "# existing code",
    "# existing imports here",
    "# remaining methods unchanged",
    "# your code here",
    "# Add your logic here",
    "# implementation goes here",
    "# same as before",
    "# code omitted for brevity",
    "# <snip>",
    "# other functions remain unchanged",
    "# no changes here",
    "    # ... other methods ...",
    "    pass  # ... rest of the function",
    "...",
]


@pytest.mark.parametrize("line", PLACEHOLDERS)
def test_code_that_is_left_to_the_reader_is_no_whole_file(line):
    assert judged(f"{PY}{line}\n") == "complete: failed"


@pytest.mark.parametrize("line", PLACEHOLDERS)
def test_a_line_that_the_old_file_has_is_no_placeholder(line):
    assert judged(f"x = 1\n{line.strip()}\n", old=f"y = 1\n{line.strip()}\n") == "syntax: passed"


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("a.js", "function a() {}\n// ... existing code ...\n"),
        ("a.ts", "const a = 1;\n/* ... rest of the file ... */\n"),
        ("a.tsx", "const a = <p>\n  {/* ... existing markup ... */}\n</p>;\n"),
        ("a.ts", "interface A {\n  ...\n}\n"),
        ("a.html", "<p>a</p>\n<!-- ... rest of the page ... -->\n"),
        ("a.css", ".a { color: red; }\n/* ... other styles ... */\n"),
        ("a.sql", "SELECT 1;\n-- ... rest of the query\n"),
        ("a.sh", "echo a\n# ... rest of the script\n"),
        ("a.yaml", "a: 1\n# ... rest of the file unchanged\n"),
        ("README.md", "# T\n\n... rest of the document unchanged ...\n"),
        ("a.py", "<<<<<<< SEARCH\nx = 1\n=======\nx = 2\n>>>>>>> REPLACE\n"),
        ("a.ts", "@@ -1,2 +1,2 @@\n-const a = 1;\n+const a = 2;\n"),
        ("a.ts", "const a = 1;\n```\n"),
        ("a.py", "\n  \n"),
    ],
)
def test_in_every_language_a_part_is_no_whole_file(path, text):
    assert judged(text, path) == "complete: failed"


@pytest.mark.parametrize(
    "line",
    [
        "# Other imports",
        "# the rest is silence",
        "# Remaining balance of the account",
        "# keep the original order",
        "# the code here is slow, but clear",
        "# existing users are kept",
        "# todo: more tests",
        "# wait ... then retry",
        "    ...",
        "x = [*a, ...]",
    ],
)
def test_an_ordinary_comment_is_no_placeholder(line):
    text = f"{PY}def f():\n    ...\n{line}\n" if line.startswith(" ") else f"a = []\n{line}\n"
    assert judged(text) == "syntax: passed"


OLD = {
    "a.py": "".join(f"def {name}():\n    x = 1\n    return x\n\n\n" for name in ("one", "two", "three")),
    "a.ts": "".join(f"export const {name} = () => {{\n  return 1;\n}};\n\n" for name in ("one", "two", "three")),
}


@pytest.mark.parametrize(
    ("path", "new"), [("a.py", "def one():\n    return 2\n"), ("a.ts", "export const one = () => 2;\n")]
)
def test_only_the_part_that_was_changed_is_no_whole_file(path, new):
    assert judged(new, path, old=OLD[path]) == "complete: failed"
    assert "`two`, `three`" in first_failure(check(new, path, old=OLD[path])).detail
    asked = check(new, path, old=OLD[path], description="Drop two and three.")
    assert first_failure(asked) is None
    renamed = OLD[path].replace("two", "zwei").replace("three", "drei")
    assert first_failure(check(renamed, path, old=OLD[path])) is None


@pytest.mark.parametrize(
    ("path", "text", "said"),
    [
        ("a.py", "def f(:\n", "line 1"),
        ("a.py", "return = 3\n", "line 1"),
        ("a.py", "x = 1\nreturn 2\n", "line 2"),
        ("a.pyi", "def f(\n", "line 1"),
        ("a.json", '{"a": 1,}\n', "line 1"),
        ("a.json", '{"a": NaN}\n', "NaN"),
        ("a.jsonl", '{"a": 1}\n{\n', "line 2"),
        ("a.toml", "a = \n", "line 1"),
        ("a.yaml", "a: [1\nb: 2\n", "line 2"),
        ("a.yml", "a: 'x\n", "line"),
        ("a.ts", "export const f = (a: number) => {\n  return [a;\n}\n", "line 2"),
        ("a.tsx", "const a = () => {\n  return <p>{x}</p>;\n", "line 1"),
        ("a.json", "[" * 100_000, "deep"),
        ("a.yaml", "[" * 100_000, "deep"),
        ("a.py", "-" * 200_000 + "1", "deep"),
    ],
)
def test_what_does_not_parse_is_refused_and_the_place_is_named(path, text, said):
    failure = first_failure(check(text, path))
    assert failure is not None
    assert failure.gate == "syntax"
    assert said in failure.detail


@pytest.mark.parametrize(
    ("path", "text", "verdict"),
    [
        ("a.py", PY, "passed"),
        ("a.py", 'x = "\\d"\n', "passed"),
        ("a.json", '{"a": [1]}\n', "passed"),
        ("a.toml", "[a]\nb = 1\n", "passed"),
        ("a.yaml", "a: !Ref b\n---\nc: *d\n", "passed"),
        ("tsconfig.json", '{\n  // strict\n  "strict": true,\n}\n', "not_checked"),
        ("a.ts", "const a: Map<string, number[]> = f(/[(]/, `${b} (`, ')');\n", "not_checked"),
        ("a.tsx", "const a = <p title=\"(\">Don't, it's {x}</p>;\n", "not_checked"),
        ("a.tsx", "const a = <p>it's {a ? b : <i>can't</i>}</p>;\n", "not_checked"),
        ("a.tsx", "const a = <p>\n  :( and (that\n</p>;\n", "not_checked"),
        ("a.jsx", "const a = <p>{/* ( */}</p>;\n", "not_checked"),
        ("a.js", "export default () => <div>{x}</div>;\n", "not_checked"),
        ("a.html", "<p>", "not_checked"),
        ("README.md", "# T\n", "not_checked"),
        ("Makefile", "all:\n", "not_checked"),
    ],
)
def test_only_what_a_parser_read_has_passed(path, text, verdict):
    assert judged(text, path) == f"syntax: {verdict}"


@pytest.mark.parametrize(
    ("path", "good", "bad"),
    [
        ("a.js", "export const a = await b();\n", "export const a = ;\n"),
        ("a.js", "const a = require('a');\nmodule.exports = { a };\n", "const a = {;\n"),
        ("a.mjs", "import a from 'a';\n", "import from;\n"),
        ("a.cjs", "exports.a = /[/]/.test('//');\n", "exports.a = (\n"),
        ("a.sh", "if true; then echo a; fi\n", "if true; then\n"),
    ],
)
def test_a_script_is_read_by_its_own_interpreter(path, good, bad, tmp_path):
    results = {}
    for text in (good, bad):
        program = syntax_program(text, path)
        require_program(program.program)
        copy = tmp_path / f"copy{program.ending}"
        copy.write_text(text)
        ran = subprocess.run(program.argv(str(copy)), capture_output=True, text=True)
        said = "" if ran.returncode == 0 else ran.stderr
        results[text] = with_syntax(check(text, path), program.verdict(said, str(copy), path))
    assert verdicts(results[good])["syntax"] == "passed"
    failure = first_failure(results[bad])
    assert failure.detail.startswith(f"{path} does not parse: ")
    assert "line " in failure.detail
    assert str(tmp_path) not in failure.detail


def test_what_node_does_not_read_is_not_given_to_it():
    assert syntax_program("export default () => <div>{x}</div>;\n", "a.js") is None
    assert syntax_program("// @flow\nlet a: number = 1;\n", "a.js") is None


def test_where_the_interpreter_is_missing_the_syntax_is_not_checked():
    assert syntax_program("let a\n", "a.js").missing().verdict == "not_checked"


def test_all_constraints_that_failed_are_told_at_once():
    failed = [GateResult("constraints", "failed", "one"), GateResult("constraints", "failed", "two")]
    assert first_failure([GateResult("syntax", "passed"), *failed]).detail == "one\ntwo"
    assert first_failure([GateResult("syntax", "not_checked")]) is None


def test_a_gate_has_passed_if_all_of_its_results_have():
    kept, unknown = GateResult("constraints", "passed"), GateResult("constraints", "not_checked")
    assert verdicts([GateResult("syntax", "passed"), kept, unknown]) == {
        "syntax": "passed",
        "constraints": "not_checked",
    }
    assert verdicts([kept, GateResult("constraints", "failed"), unknown]) == {"constraints": "failed"}


def test_a_diff_says_what_git_would():
    diff, stats = diff_of(b"a\nb\n", b"a\nc\nd\n", "x.py")
    assert diff == b"--- a/x.py\n+++ b/x.py\n@@ -1,2 +1,3 @@\n a\n-b\n+c\n+d\n"
    assert stats == DiffStats(2, 1, len(diff))
    assert diff_of(b"a\n", b"a\n", "x.py") == (b"", DiffStats())
    assert diff_of(None, b"a\n", "x y.py")[0].startswith(b"--- /dev/null\n+++ b/x y.py\t\n")


pieces = [b"a\n", b"b\n", b"c\r\n", b"\n", b"--- x\n", b"+++ y\n", b"\\ z\n", b"\xff\x0b\x0c\r"]
contents = st.lists(st.sampled_from(pieces), max_size=12).map(b"".join)


@settings(max_examples=25, deadline=None)
@given(st.none() | contents, contents, st.sampled_from(["x.py", "a b/ü.py", 'q"\\\t.py']))
def test_git_applies_a_diff_byte_for_byte(tmp_path_factory, old, new, path):
    require_program("git")
    diff, stats = diff_of(old, new, path)
    if not diff:
        assert (old or b"") == new
        return
    root = tmp_path_factory.mktemp("diff")
    file = root / path
    if old is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(old)
    said = subprocess.run(
        ["git", "apply", "--numstat", "--apply", "-"], cwd=root, input=diff, capture_output=True, check=True
    )
    assert file.read_bytes() == new
    assert said.stdout.split()[:2] == [b"%d" % stats.added, b"%d" % stats.removed]
