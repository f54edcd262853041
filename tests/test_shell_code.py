"""Code in languages that are read by patterns alone: found wherever it stands, and told once."""

from __future__ import annotations

import pytest

from orchestrator.shell import find_commands

CODE = {
    "osascript": 'do shell script "touch marked"',
    "Rscript": 'system("touch marked")',
    "expect": "spawn touch marked",
    "tclsh": "exec touch marked",
    "emacs": '(shell-command "touch marked")',
}
OPTIONS = {"osascript": "-e", "Rscript": "-e", "expect": "-c", "emacs": "--eval"}


def touches(script: str, files: dict[str, str] | None = None) -> int:
    found = find_commands(("bash", "-c", script), reader=(files or {}).get)
    return sum(command.words == ("touch", "marked") for command in found.commands)


@pytest.mark.parametrize("language", OPTIONS)
def test_code_on_a_command_line_is_told_once(language: str) -> None:
    assert touches(f"{language} {OPTIONS[language]} '{CODE[language]}'") == 1


@pytest.mark.parametrize("language", CODE)
def test_code_on_the_input_is_told_once(language: str) -> None:
    assert touches(f"echo '{CODE[language]}' | {language}") == 1


@pytest.mark.parametrize("language", CODE)
def test_code_in_a_file_that_the_script_wrote_is_told_once(language: str) -> None:
    assert touches(f"echo '{CODE[language]}' > code; {language} code") == 1


@pytest.mark.parametrize("language", CODE)
@pytest.mark.parametrize("form", ["{0} code", "{0} < code", "./program"])
def test_code_in_a_file_in_reach_is_told_once(language: str, form: str) -> None:
    files = {"code": CODE[language], "./program": f"#!/usr/bin/env {language}\n{CODE[language]}"}
    assert touches(form.format(language), files) == 1


@pytest.mark.parametrize("language", CODE)
def test_code_in_a_substitution_is_found(language: str) -> None:
    assert touches(f"{language} <(echo '{CODE[language]}')")
