"""Code that reaches a shell by other ways than -c: in a builtin's words, in start files, typed into a terminal."""

from __future__ import annotations

import pytest

from orchestrator.shell.unwrap import find_commands


@pytest.mark.parametrize(
    "script",
    [
        "read -r 'k[$(touch marked)]' <<< 1",
        "printf -v 'a[$(touch marked)]' 1",
        "test -v 'a[`touch marked`]'",
        "unset 'a[$(touch marked)]'",
        "compgen -C 'touch marked' x",
        "compgen -W '$(touch marked)' x",
        "mapfile -C 'touch marked' lines < f",
        "bind -x '\"\\C-t\": touch marked'",
        "echo 'touch marked' > rc; bash --init-file rc -i -c true",
        "echo 'touch marked' > rc; bash --rcfile=rc -i",
        "tmux send-keys -t main 'touch marked' Enter",
        "screen -S s -X stuff 'touch marked\\n'",
        "k3s ctr run x y; k3s kubectl exec p -- touch marked",
    ],
)
def test_code_is_found_where_a_shell_comes_by_it(script: str) -> None:
    found = find_commands(("bash", "-c", script))
    assert any(command.name == "touch" and "marked" in command.words[1] for command in found.commands)


@pytest.mark.parametrize(
    "script", ["printf '%s[touch marked]' x", "test -v 'a[1]'", "read -r 'a[touch]'", "complete -W 'touch marked' x"]
)
def test_a_subscript_without_a_substitution_is_data(script: str) -> None:
    assert all(command.name != "touch" for command in find_commands(("bash", "-c", script)).commands)
