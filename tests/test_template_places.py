"""Values in scripts: any value arrives as it is, none changes what runs, and where that can't be it is refused."""

import json
import subprocess

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from orchestrator.shell.placed import MisplacedError, leading
from orchestrator.shell.syntax import read_tree
from orchestrator.templates.expression import ExpressionError, compiled
from orchestrator.templates.filters import quote

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
NASTY = st.text(st.sampled_from("'\"\\$`(){}[]|&;<>*?~#!=-\n\t\r a1é"), max_size=25)
# Every place where `| sh` is allowed, each printing the value and a NUL.
PLACES = {
    "Pos",
    "End",
    "Position",
    "Left",
    "Right",
    "ValuePos",
    "ValueEnd",
    "OpPos",
    "Semicolon",
    "ThenPos",
    "FiPos",
    "DoPos",
    "DonePos",
    "ForPos",
    "InPos",
    "Lparen",
    "Rparen",
    "Lbrace",
    "Rbrace",
}
ALLOWED = (
    "printf '%s\\0' 'ZQ'",
    "printf '%s\\0' \"$(printf '%s.' 'ZQ')\" | sed -z 's/.$//'",
    "x='ZQ'; printf '%s\\0' \"$x\"",
    "X='ZQ' bash -c 'printf \"%s\\0\" \"$X\"'",
    "export X='ZQ'; printenv -0 X",
    "f() { printf '%s\\0' \"$1\"; }; f 'ZQ'",
    "for i in 'ZQ'; do printf '%s\\0' \"$i\"; done",
    "a[1]='ZQ'; printf '%s\\0' \"${a[1]}\"",
    "a=(b 'ZQ'); printf '%s\\0' \"${a[1]}\"",
    "bash -c 'printf \"%s\\0\" \"$1\"' _ 'ZQ'",
    "if true && [ 'ZQ' = 'ZQ' ]; then printf '%s\\0' 'ZQ' | cat; fi",
)
REFUSED = (
    "echo \"'ZQ'\"", "echo 'a 'ZQ' b'", "cat <<E\n'ZQ'\nE", "cat <<'ZQ'\nZQ", "true # 'ZQ'", "[[ 'ZQ' = a ]]",
    "echo $(( 'ZQ' ))", "(( x = 'ZQ' ))", "echo `cat 'ZQ'`", "\"`echo 'ZQ'`\"", "echo \\'ZQ'", "echo \\\\\\'ZQ'",
    "echo $'ZQ'", "echo $\"'ZQ'\"", "echo ${x:-'ZQ'}", "echo ${x/'ZQ'/a}", "a['ZQ']=1", "a=(['ZQ']=1)",
    "declare -i n='ZQ'", "declare -n n='ZQ'", "case x in 'ZQ') ;; esac", "ls >&'ZQ'", "'ZQ'() { :; }",
    "for 'ZQ' in a; do :; done",
    "eval 'ZQ'", "eval echo 'ZQ'", "bash -c 'ZQ'", "sh -ec 'ZQ'", "sudo sh -c 'ZQ'", "ssh host 'ZQ'", "echo 'ZQ' | sh",
    "bash <<< 'ZQ'", "echo 'ZQ' > f.sh; bash f.sh", "x='ZQ'; eval $x", "f() { eval \"$1\"; }; f 'ZQ'", "trap 'ZQ' EXIT",
    "alias x='ZQ'", "docker run image sh -c 'ZQ'", "kubectl exec pod -- bash -lc 'ZQ'", "fish -c 'ZQ'", "su -c 'ZQ'",
    "python3 -c 'ZQ'", "python3 -c'ZQ'", "node -e 'ZQ'", "perl -ne 'ZQ' f", "ruby -e 'ZQ'", "awk 'ZQ' f", "let 'ZQ'",
    "read 'ZQ'", "unset 'ZQ'", "printf -v 'ZQ' a", "test -v 'ZQ'", "[ -v 'ZQ' ]", "local 'ZQ'", "mapfile 'ZQ'",
    "git -c alias.a='ZQ' a", "find . -exec sh -c 'ZQ' \\;", "echo 'ZQ' | xargs -I{} sh -c 'echo {}'", "watch 'ZQ'",
    "echo $('ZQ'", "echo 'ZQ'; echo \"'ZQ'\"",
)  # fmt: skip


def placed(script, words=("ZQ",), bare=()):
    return leading(("/bin/bash", "-c", script), {}, words, bare)


def shape(node):
    """A tree without what quoted words say, how many quotes they take, and where they stand."""
    if isinstance(node, list):
        return [shape(item) for item in node]
    if not isinstance(node, dict):
        return node
    kept = {key: item for key, item in node.items() if key not in PLACES}
    if "Parts" in kept and '"CmdSubst"' not in json.dumps(kept):
        kept["Parts"] = [part for part in kept["Parts"] if part["Type"] not in ("SglQuoted", "DblQuoted")]
    return {key: shape(item) for key, item in kept.items()}


@pytest.mark.parametrize("script", ALLOWED)
def test_these_are_places_for_a_value(script):
    placed(script)


@pytest.mark.parametrize("script", REFUSED)
def test_these_are_none(script):
    with pytest.raises(MisplacedError):
        placed(script)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.one_of(TEXT, NASTY), min_size=1, max_size=12))
@example(["$(id)", "'; id; '", "\\", "'", "-n", "a\r\nb", "\n", "", "~", "*", "a b", "!!", "%s", "\u2028é"])
def test_any_value_reaches_the_program_as_exactly_that_value(values):
    for script in ALLOWED[:: 1 if len(values) < 3 else 9]:
        whole = "\n".join(script.replace("'ZQ'", quote(value)) for value in values)
        done = subprocess.run(["bash", "-c", whole], capture_output=True, check=True, timeout=20)
        arrived = done.stdout.decode().split("\0")[:-1]
        assert arrived == [*values]


@settings(max_examples=40, deadline=None)
@given(st.one_of(TEXT, NASTY), st.sampled_from(ALLOWED))
def test_no_value_changes_how_a_script_is_parsed(value, script):
    filled = script.replace("'ZQ'", quote(value))
    assert shape(read_tree(filled)) == shape(read_tree(script))


@given(st.one_of(st.none(), st.lists(TEXT), st.dictionaries(TEXT, TEXT), st.just("a\0b")))
def test_what_is_no_text_is_not_quoted(value):
    with pytest.raises(ExpressionError):
        quote(value)


def test_a_value_in_a_script_without_the_filter_is_refused_wherever_it_stands():
    for script in ("echo ZQ", "echo 'ZQ'", 'echo "ZQ"', "# ZQ", "cat <<E\nZQ\nE", "ZQ"):
        with pytest.raises(MisplacedError, match=r"write `\| sh`, outside of all quotes"):
            placed(script, (), ("ZQ",))


@pytest.mark.parametrize(
    ("argv", "bare"),
    [
        (("python3", "-c", "print('ZQ')"), True),
        (("python3", "-c", "print('ZQ')"), False),
        (("python3", "-cprint(ZQ)"), True),
        (("node", "-e", "f(ZQ)"), True),
        (("node", "--eval=f(ZQ)"), True),
        (("perl", "-e", "ZQ"), True),
        (("git", "-c", "alias.x=!ZQ", "x"), True),
        (("bash", "-c", 'eval "$1"', "_", "ZQ"), True),
        (("bash", "-c", "ZQ"), True),
        (("git", "log", "'ZQ'"), False),
        (("env", "bash", "-c", "echo ZQ"), True),
    ],
)
def test_a_value_is_no_code_of_another_language_and_quotes_are_for_shells_alone(argv, bare):
    with pytest.raises(MisplacedError):
        leading(argv, {}, () if bare else ("ZQ",), ("ZQ",) if bare else ())


def test_a_variable_that_the_script_evaluates_is_code_too():
    assert leading(("bash", "-c", 'echo "$X"'), {"X": "ZQ"}, (), ("ZQ",)) == set()
    with pytest.raises(MisplacedError, match="read as code"):
        leading(("bash", "-c", 'eval "$X"'), {"X": "ZQ"}, (), ("ZQ",))


@pytest.mark.parametrize(
    ("argv", "leads"),
    [
        (("git", "checkout", "ZQ"), True),
        (("git", "checkout", "--", "ZQ"), False),
        (("git", "commit", "--message=ZQ"), False),
        (("git", "commit", "-m", "ZQ"), True),
        (("python3", "tool.py", "ZQ"), True),
        (("python3", "-c", "print(1)", "ZQ"), False),
        (("bash", "-c", 'echo "$1"', "_", "ZQ"), False),
        (("bash", "tool.sh", "ZQ"), True),
    ],
)
def test_which_arguments_could_be_options(argv, leads):
    assert leading(argv, {}, (), ("ZQ",)) == ({"ZQ"} if leads else set())


@pytest.mark.parametrize(
    ("script", "leads"),
    [
        ("grep 'ZQ' f", True),
        ("grep -- 'ZQ' f", False),
        ("grep -e x'ZQ' f", False),
        ("echo 'ZQ'", False),
        ("x='ZQ'", False),
    ],
)
def test_which_words_of_a_script_could_be_options(script, leads):
    assert placed(script) == ({"ZQ"} if leads else set())


def test_the_filter_comes_last_and_once():
    for source in ("vars.x | sh | upper", "vars.x | sh | sh", "(vars.x | sh) + 'a'", "[vars.x | sh]"):
        with pytest.raises(ExpressionError):
            compiled(source)
    assert compiled("vars.x | upper | sh").quoted
