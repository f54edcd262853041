"""One file out of a model's answer, byte for byte, or a sentence that says why there is none."""

import re

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from orchestrator.coding.answer.extract import NotOneFile, as_file, extract

PY = 'def add(a, b):\n    """Return a + b."""\n    return a + b\n'
JS = "/** Adds. */\nexport function add(a, b) {\n  return a + b;\n}\n"
FENCED_PY = '"""F.\n\n```bash\nf\n```\n"""\nx = 1\n'
FENCED_JS = f"/**\n * ```js\n * add(1, 2)\n * ```\n */\n{JS}"
DEEP_PY = 'def f():\n    """F.\n\n        ```\n        f()\n        ```\n    """\n'
PATCH = "--- a/src/a.py\n+++ b/src/a.py\n@@ -1 +1 @@\n-a\n+b\n"
MD = "# Title\n\n```bash\nnpm install\n```\n\nMore.\n"


def fenced(text, info="", marks="```"):
    return f"{marks}{info}\n{text.rstrip(chr(10))}\n{marks}\n"


def refused(answer, path="src/a.py", complete=True):
    with pytest.raises(NotOneFile) as caught:
        extract(answer, path, complete=complete)
    assert re.search(r"[Pp]rint|[Ww]rite", str(caught.value)), "it says what to print instead"
    return caught.value.gate


TAKEN = {
    "one fence and nothing else": ("src/a.py", fenced(PY, "python"), PY),
    "prose before and after": ("src/a.py", f"Sure! Here you go:\n\n{fenced(PY, 'python')}\nThis adds two numbers.", PY),
    "no label": ("src/a.py", fenced(PY), PY),
    "a label nobody knows": ("src/a.py", fenced(PY, "pyton"), PY),
    "tildes": ("src/a.py", fenced(PY, "python", "~~~"), PY),
    "windows line ends": ("src/a.py", fenced(PY, "python").replace("\n", "\r\n"), PY),
    "old mac line ends": ("src/a.py", fenced(PY, "python").replace("\n", "\r"), PY),
    "a byte order mark": ("src/a.py", "\ufeff" + fenced(PY, "python"), PY),
    "no newline at the end": ("src/a.py", fenced(PY, "python").rstrip(), PY),
    "blank lines at the end of the block": ("src/a.py", f"```python\n{PY}\n\n\n```", PY),
    "a fence in a list": ("src/a.py", "1. The file:\n\n   ```python\n   x = 1\n   ```\n\n2. Done.\n", "x = 1\n"),
    "a fence in a list, its content not indented": ("src/a.py", f"1. The file:\n   ```python\n{PY}   ```\nDone.\n", PY),
    "a fence in a list, another in its docstring": ("a.py", f"1. It:\n   ```python\n{DEEP_PY}   ```\n", DEEP_PY),
    "a fence in a quotation": ("src/a.py", "> ```python\n> x = 1\n> ```\n", "x = 1\n"),
    "all of it indented": ("src/a.py", "    ```python\n    x = 1\n    ```\n", "x = 1\n"),
    "an info string with attributes": ("src/a.py", fenced(PY, "{.python .numberLines startFrom=1}"), PY),
    "an info string with the path": ("src/a.py", fenced(PY, "python:src/a.py"), PY),
    "an info string that is the path": ("src/a.py", fenced(PY, "src/a.py"), PY),
    "an info string with a title": ("src/a.py", fenced(PY, 'py title="src/a.py"'), PY),
    "an info string with backticks": ("src/a.py", fenced(PY, "python `src/a.py`"), PY),
    "an info string with a space before it": ("src/a.py", fenced(PY, " Python"), PY),
    "the path in a line before it": ("src/a.py", f"**src/a.py**\n{fenced(PY, 'python')}", PY),
    "the path in a comment": ("src/a.js", fenced(f"// src/a.js\n{JS}", "js"), f"// src/a.js\n{JS}"),
    "the path bare in the first line": ("src/a.js", fenced(f"src/a.js\n{JS}", "js"), JS),
    "two fences around it": ("src/a.py", fenced(fenced(PY, "python"), "python"), PY),
    "a fence too many at the end": ("src/a.py", f"{fenced(PY, 'python')}\nDone.\n```\n", PY),
    "the first fence missing": ("src/a.py", f"{PY}```\n", PY),
    "a block of another language beside it": ("src/a.py", fenced("pip install x", "bash") + fenced(PY, "python"), PY),
    "its usage beside it": ("src/a.py", f"{fenced(PY, 'python')}\nUsage:\n{fenced('from a import add', 'python')}", PY),
    "its output beside it": ("src/a.py", f"{fenced(PY, 'python')}\nOutput:\n{fenced('3')}", PY),
    "a test beside it": (
        "src/a.js", f"`src/a.js`:\n{fenced(JS, 'js')}\n`src/a.test.js`:\n{fenced(JS * 3, 'js')}", JS,
    ),
    "the old one beside it": (
        "src/a.py", f"The current code:\n{fenced('x = 1', 'python')}\nNow:\n{fenced(PY, 'python')}", PY,
    ),
    "another file in its own comment": (
        "src/a.js", f"{fenced('// src/b.js' + chr(10) + JS * 2, 'js')}\n{fenced(JS, 'js')}", JS,
    ),
    "the same twice": ("src/a.py", f"{fenced(PY, 'python')}\nAgain:\n{fenced(PY, 'python')}", PY),
    "much larger than the other": ("src/a.py", f"{fenced('x = 1', 'python')}\n{fenced(PY * 5, 'python')}", PY * 5),
    "an empty block beside it": ("src/a.py", f"```python\n```\n{fenced(PY, 'python')}", PY),
    "reasoning before it": ("src/a.py", f"<think>\n```python\nwrong()\n```\n</think>\n\n{fenced(PY, 'python')}", PY),
    "the end of reasoning alone": ("src/a.py", f"So I add them.\n</think>\n{fenced(PY, 'python')}", PY),
    "reasoning with a draft, its beginning lost": (
        "src/a.py", f"{fenced('draft()', 'python')}\n</think>\n\n{fenced(PY, 'python')}", PY,
    ),
    "tokens of the template at the end": ("src/a.py", f"{fenced(PY, 'python').rstrip()}<|im_end|>\n<|endoftext|>", PY),
    "a long example beside it": (
        "src/a.py", f"{fenced(PY, 'python')}\nExample:\n{fenced(PY.replace('add', 'use') * 3, 'python')}", PY,
    ),
    "a longer block without a path beside it": (
        "src/a.js", f"In `src/a.js`:\n{fenced(JS, 'js')}\nAlso:\n{fenced(JS * 3, 'js')}", JS,
    ),
    "a longer one without a label beside it": ("src/a.py", f"{fenced(PY, 'python')}\nWhich is:\n{fenced(PY * 3)}", PY),
    "a longer file beside it": ("src/a.js", f"{fenced(JS, 'js')}\nAnd `src/b.js`:\n{fenced(JS * 3, 'js')}", JS),
    "a corrected version after the first": (
        "src/a.py", f"{fenced(PY * 3, 'python')}\nThat is wrong. The corrected version:\n{fenced(PY, 'python')}", PY,
    ),
    "its tests beside it": (
        "src/a.py", f"{fenced(PY, 'python')}\nHere are the complete unit tests:\n{fenced(PY * 5, 'python')}", PY,
    ),
    "the file beside its tests": (
        "src/a.test.js", f"{fenced(JS * 9, 'js')}\nHere are the unit tests:\n{fenced(JS, 'js')}", JS,
    ),
    "a product's name in its first comment": ("src/a.js", fenced(f"// Node.js\n{JS}", "js"), f"// Node.js\n{JS}"),
    "a line that looks like a path": (".gitignore", fenced("debug.log\n*.pyc\n"), "debug.log\n*.pyc\n"),
    "a label before the path in the first line": ("src/a.js", fenced(f"File: src/a.js\n{JS}", "js"), JS),
    "a tag around it": ("src/a.py", f'<file path="src/a.py">\n{PY}</file>\n', PY),
    "a tag around the fence": ("src/a.py", f"<answer>\n{fenced(PY, 'python')}</answer>", PY),
    "the channels of a template": ("src/a.py", f"<|channel|>final<|message|>{fenced(PY, 'python')}<|return|>", PY),
    "html around it": ("src/a.py", f"<details>\n{fenced(PY, 'python')}</details>\n", PY),
    "bare python": ("src/a.py", PY, PY),
    "bare python with a fence in its docstring": ("src/a.py", FENCED_PY, FENCED_PY),
    "python with a fence in its docstring": ("src/a.py", fenced(FENCED_PY, "python"), FENCED_PY),
    "bare javascript": ("src/a.js", JS, JS),
    "bare javascript with a fence in its comment": ("src/a.js", FENCED_JS, FENCED_JS),
    "bare json": ("a.json", '{"a": 1}', '{"a": 1}\n'),
    "bare yaml": ("a.yaml", "a: 1\nb:\n  - c\n", "a: 1\nb:\n  - c\n"),
    "bare toml": ("a.toml", "[a]\nb = 1\n", "[a]\nb = 1\n"),
    "bare shell": ("a.sh", "#!/bin/sh\necho hi\nexit 0;\n", "#!/bin/sh\necho hi\nexit 0;\n"),
    "bare css": ("a.css", ".a {\n  color: red;\n}\n", ".a {\n  color: red;\n}\n"),
    "bare html": ("a.html", "<!doctype html>\n<p>x</p>\n", "<!doctype html>\n<p>x</p>\n"),
    "typescript called javascript": ("src/a.tsx", fenced("export const a = 1;\n", "jsx"), "export const a = 1;\n"),
    "a file without an ending": ("Makefile", fenced("all:\n\techo\n", "makefile"), "all:\n\techo\n"),
    "a dot file": (".gitignore", fenced("*.pyc\n"), "*.pyc\n"),
    "markdown in four backticks": ("README.md", fenced(MD, "markdown", "````"), MD),
    "markdown in four backticks, a block after": ("README.md", fenced(MD, "md", "````") + fenced("make", "sh"), MD),
    "markdown in three backticks": ("README.md", f"Here:\n{fenced(MD, 'markdown')}", MD),
    "markdown in four backticks, closed by three": ("README.md", f"````markdown\n{MD}```\n", MD),
    "markdown without a fence": ("README.md", MD, MD),
    "markdown without blocks": ("README.md", fenced("# T\n\nText.\n", "md"), "# T\n\nText.\n"),
    "a diff that was asked for": ("a.patch", fenced(PATCH, "diff"), PATCH),
}  # fmt: skip


@pytest.mark.parametrize("case", TAKEN)
def test_the_file_is_found_in_an_answer_with(case):
    path, answer, file = TAKEN[case]
    assert extract(answer, path, complete=True) == file


REFUSED = {
    "nothing": ("src/a.py", "", "answer"),
    "blank lines": ("src/a.py", " \n\n\t\n", "answer"),
    "prose": ("src/a.py", "I am sorry, I cannot help with that.", "answer"),
    "one word": ("src/a.py", "Sure", "answer"),
    "prose that python can read": ("src/a.py", "maybe, later", "answer"),
    "prose about yaml": ("a.yaml", "Note: I can't write this file.", "answer"),
    "prose about json": ("a.json", "42", "answer"),
    "prose about a document": ("README.md", "I think you should write it yourself.", "answer"),
    "prose and bare code": ("src/a.js", f"Here is the file:\n\n{JS}", "answer"),
    "bare code and prose": ("src/a.js", f"{JS}\nThis adds two numbers.", "answer"),
    "an empty block": ("src/a.py", "```python\n\n```", "answer"),
    "reasoning alone": ("src/a.py", "<think>\nI need to add", "answer"),
    "a block that is never closed": ("src/a.py", "```python\ndef f():\n    return [1,", "complete"),
    "a block that is never closed, after prose": ("src/a.py", f"Here:\n\n```python\n{PY}", "complete"),
    "a second block that is never closed": ("src/a.py", f"{fenced(PY, 'python')}\n```python\n{PY * 4}", "complete"),
    "another language": ("src/a.py", fenced("npm install", "bash"), "answer"),
    "another file": ("src/a.js", fenced(f"// src/b.js\n{JS}", "js"), "answer"),
    "another file in the info string": ("src/a.js", fenced(JS, "js:src/b.js"), "answer"),
    "a diff": ("src/a.py", fenced(PATCH, "diff"), "complete"),
    "two that could be it": ("src/a.py", fenced(PY, "py") + fenced(PY.replace("a", "x"), "py"), "answer"),
    "a file in parts": ("src/a.py", f"{fenced(PY, 'python')}\nI'll continue in the next message.", "complete"),
    "a file in two blocks": (
        "src/a.py", f"{fenced(PY, 'python')}\nAnd here is the rest:\n{fenced(PY * 9, 'python')}", "complete",
    ),
    "a file in steps": ("src/a.py", f"First:\n{fenced('import x', 'py')}\nThen:\n{fenced(PY, 'py')}", "complete"),
    "a nul character": ("src/a.py", fenced("x = '\0'\n", "python"), "answer"),
    "half of a surrogate pair": ("src/a.py", fenced("x = '\ud800'\n", "python"), "answer"),
    "a document that its own blocks end": ("README.md", "```markdown\n# T\n\n```\nx\n```\n\ny\n```\n", "complete"),
    "a document that is never closed": ("README.md", "````markdown\n# T\n", "complete"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_no_file_is_taken_from_an_answer_with(case):
    path, answer, gate = REFUSED[case]
    assert refused(answer, path) == gate


def test_an_answer_that_was_cut_at_its_limit_of_tokens_is_refused_even_if_its_fence_is_closed():
    assert refused(fenced(PY, "python"), complete=False) == "complete"


def test_a_file_that_speaks_of_think_tags_keeps_them():
    text = 'TAG = """\n</think>\n"""\n'
    assert extract(fenced(text, "python"), "a.py", complete=True) == text


def test_the_line_ends_and_the_byte_order_mark_of_the_old_file_are_kept():
    assert as_file("a\nb\n", b"x\r\ny\r\n") == b"a\r\nb\r\n"
    assert as_file("a\nb\n", b"\xef\xbb\xbfx\n") == b"\xef\xbb\xbfa\nb\n"
    assert as_file("a\nb\n", b"x\r\ny\nz\n") == b"a\nb\n"
    assert as_file("ä\n", None) == "ä\n".encode()


ANY = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
lines = st.text(st.characters(exclude_characters="\0\r\n", exclude_categories=["Cs"]), max_size=20)
files = st.lists(lines, min_size=1, max_size=8).map("\n".join).filter(lambda text: text.strip("\n \t"))
infos = st.sampled_from(["", "python", "py", " python ", "text", "src/a.py", "{.python}", "python:src/a.py"])


@ANY
@given(files, infos, st.sampled_from(["", "Here it is:\n\n", "1. So\n2. this\n\n", "> quoted\n\n"]))
@example("x\n\n\ny", "python", "")
@example("\tx\u2028y\x0c", "python", "")
def test_a_file_in_a_fence_comes_out_byte_for_byte_up_to_its_last_newline(file, info, before):
    if re.search(r"^[ \t]*[`~>#/\-*+;%]|^\S*\.\S+\W*$", file, re.MULTILINE) or not file.split("\n")[0].strip():
        return  # could itself be a fence, or name a file: those have tests of their own
    assert (
        extract(f"{before}``````{info}\n{file}\n``````\nDone.\n", "src/a.py", complete=True) == file.rstrip("\n") + "\n"
    )


noise = st.lists(
    st.sampled_from(["```", "````", "~~~", "python\n", "\n", "    ", "> ", "- ", "1. ", "<think>", "</think>",
                     "src/a.py", "# T\n", "Usage:\n", "\t", "\r", "\0", "`", "{", "é", "<|im_end|>"]),
    max_size=25,
).map("".join)  # fmt: skip


@given(
    noise | st.text(max_size=60),
    st.sampled_from(["a.py", "src/a.ts", "README.md", "a.json", "x", "a.yaml", "a.sh"]),
    st.booleans(),
)
def test_any_answer_gives_a_file_with_one_last_newline_or_a_refusal(answer, path, complete):
    try:
        text = extract(answer, path, complete=complete)
    except NotOneFile:
        return
    assert re.search(r"[^\n]\n\Z", text)
    assert "\r" not in text
    text.encode()
