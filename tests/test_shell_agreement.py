"""The two readers of scripts agree: on whatever the splitter calls plain, shfmt's tree gives the same facts."""

from __future__ import annotations

import re

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from orchestrator.shell import parse
from orchestrator.shell.scope import Scope
from orchestrator.shell.syntax import UnreadableError, read_tree
from orchestrator.shell.walk import walk

INSIDE = st.text(alphabet="ab #;&|<>(){}*?~!=[]\n$'\\", max_size=5)
PIECE = st.one_of(
    st.text(alphabet="abzA0_./:=@%+,^-", min_size=1, max_size=4),
    st.sampled_from(["~", "*", "?", "[a]", "{}", "$HOME", "${HOME}", "$x1", "$?", "é", "~/x", "#", "!"]),
    INSIDE.map(lambda text: "'" + text.replace("'", "") + "'"),
    INSIDE.map(lambda text: '"' + text.replace("\\", "\\\\") + '"'),
    st.sampled_from(list(" #;&|<>(){}*?~$'\"\\a")).map(lambda char: "\\" + char),
)
WORD = st.lists(PIECE, min_size=1, max_size=3).map("".join)
REDIRECT = st.tuples(st.sampled_from([">", "2>", ">>", "<", "&>", ">&", "2>&1 >", "<<<", ">|"]), WORD).map("".join)
PREFIX = st.lists(st.tuples(st.sampled_from(["A", "b_1"]), WORD).map("=".join), max_size=1)
COMMAND = st.tuples(PREFIX, st.lists(st.one_of(WORD, WORD, REDIRECT), max_size=4)).map(
    lambda parts: " ".join([*parts[0], *parts[1]])
)
JOINT = st.sampled_from(["; ", "\n", " && ", " || ", " | ", " & ", ";\n", " # note\n", " |& ", "\n\n", " &&\n"])
SCRIPT = st.lists(st.tuples(COMMAND, JOINT), min_size=1, max_size=4).map(
    lambda parts: "".join(command + joint for command, joint in parts)
)


@settings(deadline=None, max_examples=300)
@given(SCRIPT)
@example("cat <<E | sh\nrm $HOME\nE\nls")
@example("cat <<'E' > f; ls\n$x\\$\nE")
@example("a <<-E\n\tb\n\tE\n")
@example("A=~ b=$HOME x ~ a~")
@example('a "$[""]"')
@example("a $[1]")
@example("cat <<E\n$[1]\nE")
@example("a \\$_ $HOME")
@example("a \\\\$_")
@example("export X=1 Y=~/b; ls")
@example("a \\\n b")
@example("a 3>f 2>&1")
def test_what_the_splitter_calls_plain_means_the_same_to_shfmt(script: str) -> None:
    split = parse(script)
    assume(split.plain and not split.problem)
    # shfmt takes `0=x` and `:=x` for assignments; bash looks for a program of that name, which there is not.
    assume(not re.search(r"(?:^|[^A-Za-z_])[0-9:][A-Za-z0-9_]*\+?=", script))
    try:
        tree = read_tree(script)
    except UnreadableError:
        # bash refuses it too: whatever the splitter saw in it never runs.
        assume(False)
        return
    assert walk(tree, script, Scope()).commands == split.commands
