"""The splitter of plain scripts, against bash itself."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.shell import find_commands, parse

SAFE = st.text(alphabet="abzA0_./:=@%+,-", min_size=1, max_size=5)
INSIDE = st.text(alphabet="ab #;&|<>(){}*?~!=[]\t\n$'", max_size=5)
PIECE = st.one_of(
    SAFE,
    INSIDE.map(lambda text: "'" + text.replace("'", "") + "'"),
    INSIDE.map(lambda text: '"' + text.replace("$", "\\$").replace("!", "") + '"'),
    st.sampled_from(list(" #;&|<>(){}*?~$'\"\\")).map(lambda char: "\\" + char),
)
WORD = st.lists(PIECE, min_size=1, max_size=3).map("".join)
COMMAND = st.lists(WORD, max_size=4)
SCRIPT = st.lists(
    st.tuples(COMMAND, st.sampled_from([" ; ", "\n", " && ", ";", " & wait\n", " # a 'comment\n"])),
    min_size=1,
    max_size=4,
)


@settings(deadline=None, max_examples=120)
@given(SCRIPT)
def test_plain_scripts_split_into_the_words_that_bash_sees(parts: list[tuple[list[str], str]]) -> None:
    script = "".join(" ".join(["printf", r"'%s\0'", "'<'", *words, "'>'"]) + joint for words, joint in parts)
    script = script.rstrip() + "\n" if not script.rstrip().endswith("&&") else script + "true"
    seen = subprocess.run(["bash", "-c", script], capture_output=True, check=True).stdout.decode()
    result = parse(script)
    assert result.plain
    assert not result.problem
    ours = [word for command in result.commands if command.name == "printf" for word in command.words[2:]]
    theirs = seen.split("\0")[:-1]
    # Background commands may print out of order; each prints its own words in one go.
    assert sorted(ours) == sorted(theirs) if "&" in script.replace("&&", "") else ours == theirs


@pytest.mark.parametrize(
    "script",
    ["a $(b)", "a `b`", "(a)", "{ a; }", "for x in 1; do a; done", "f() { a; }", "[[ a ]]", "a <(b)", "${x:-y}",
     "if a; then b; fi", "$'a'", "((1))", 'a "$(b)"'],
)  # fmt: skip
def test_what_is_not_plain_says_so(script: str) -> None:
    assert not parse(script).plain


@pytest.mark.parametrize("script", ["a '", 'a "b', "a \\"])
def test_an_unclosed_quote_is_a_problem(script: str) -> None:
    assert "not closed" in parse(script).problem


@pytest.mark.parametrize(
    ("script", "names"),
    [
        ("sudo -u root env A=1 timeout -k 5 10 nice -n 3 rm x", ["sudo", "env", "timeout", "nice", "rm"]),
        ("A=1 B=2 /usr/bin/rm x", ["rm"]),
        ("command -v rm", ["command"]),
        ("find . -exec rm {} \\;", ["find", "rm"]),
        ("ls | xargs -n 1 -I{} rm {}", ["ls", "xargs", "rm"]),
        ("bash -c 'a; b' && c", ["a", "b", "c"]),
        ("bash -euo pipefail -c 'a'", ["a"]),
        ("bash <<'E'\na\nE\nb", ["bash", "a", "b"]),
        ("cat <<E\nrm\nE\nb", ["cat", "b"]),
        ("eval 'a; b'", ["eval", "a", "b"]),
        ("su me -c 'a'", ["su", "a"]),
        ("env -S 'a b'", ["env", "a"]),
        ("while a; do b; done < f", ["a", "b"]),
        ("echo $(a $(b)) `c`", ["b", "a", "c", "echo"]),
        ("bash script.sh a", ["bash"]),
    ],
)
def test_commands_are_taken_out_of_what_wraps_them(script: str, names: list[str]) -> None:
    found = find_commands(("bash", "-c", script)).commands
    assert [command.name for command in found if command.name] == names


def test_quoted_and_bare_words_are_told_apart() -> None:
    (command,) = parse("""rm '~' ~ "$HOME" '*' * \\~ a~b""").commands
    assert command.words == ("rm", "~", "~", "$HOME", "*", "*", "~", "a~b")
    assert command.expands == (2, 3, 5)


def test_redirections_are_no_words() -> None:
    (command,) = parse("a 2>&1 b >>'c d' <e &>f").commands
    assert command.words == ("a", "b")
    assert [(item.op, item.target, item.writes) for item in command.redirects] == [
        (">&", "1", False), (">>", "c d", True), ("<", "e", False), ("&>", "f", True),
    ]  # fmt: skip


def test_a_pipe_knows_its_sources() -> None:
    last = parse("x; a | b |& c").commands[-1]
    assert [source.name for source in last.upstream] == ["a", "b"]


def test_endless_nesting_is_a_problem_not_an_error() -> None:
    script = "ls"
    for _ in range(12):
        script = "eval " + script
    assert "deep" in find_commands(("bash", "-c", script)).problem
