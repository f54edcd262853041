"""The console script as people and scripts meet it: real processes on temporary homes."""

import ast
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import House, smoke, until

from orchestrator import __version__
from orchestrator.cli import front
from orchestrator.cli.verbs import MODULE_OF, SUMMARY_OF


def command(*args, **options):
    environment = {key: value for key, value in os.environ.items() if key != "ORCHESTRATOR_HOME"}
    return subprocess.run(
        [sys.executable, "-m", "orchestrator", *args],
        capture_output=True, text=True, timeout=60, env=environment | options.pop("env", {}), **options,
    )  # fmt: skip


def modules_imported_by(*args, cwd):
    """The modules that a command line has imported when it ends."""
    script = (
        "import sys, atexit\n"
        "from orchestrator.cli import front\n"
        f"sys.argv = ['orchestrator', *{args!r}]\n"
        "atexit.register(lambda: print('\\n'.join(sys.modules), file=sys.stderr))\n"
        "front.main()\n"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=cwd, timeout=60)
    assert ran.returncode == 0, ran.stderr
    return set(ran.stderr.split())


def test_help_names_every_verb_and_the_exit_codes():
    for argument in ([], ["--help"]):
        ran = command(*argument)
        assert ran.returncode == 0
        assert [verb for verb in MODULE_OF if f"  {verb} " not in ran.stdout] == []
        assert "75 no daemon" in ran.stdout


def test_version_is_the_packages():
    assert command("--version").stdout == f"orchestrator {__version__}\n"


@pytest.mark.parametrize("arguments", [("--help",), ("--version",), ("submit", "task.json")])
def test_the_quick_answers_import_nothing_heavy(house, arguments):
    (house.root / "task.json").write_text(json.dumps(smoke()))
    heavy = {"typer", "rich", "pydantic", "asyncio", "json", "re", "typing", "dataclasses", "ctypes", "contextlib"}
    assert modules_imported_by(*arguments, cwd=house.root) & heavy == set()


def test_the_front_imports_the_standard_library_alone():
    source = Path(front.__file__).read_text()
    top = [node for node in ast.parse(source).body if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {alias.name for node in top if isinstance(node, ast.Import) for alias in node.names}
    assert names == {"os", "sys"}


def test_an_unknown_verb_is_told_the_nearest_known_one():
    ran = command("lisst")
    assert ran.returncode == 2
    assert "Did you mean 'list'?" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_without_a_home_a_verb_says_how_to_make_one(tmp_path):
    ran = command("submit", "x.json", cwd=tmp_path, env={"XDG_DATA_HOME": str(tmp_path), "HOME": str(tmp_path)})
    assert ran.returncode == 2
    assert "orchestrator init DIR" in ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize(
    ("argv", "home", "rest"),
    [
        (["--home", "h", "list"], "h", ["list"]),
        (["list", "--home=h", "--json"], "h", ["list", "--json"]),
        (["submit", "--", "bash", "--home", "h"], None, ["submit", "--", "bash", "--home", "h"]),
        (["list", "--home"], None, ["list", "--home"]),
    ],
)
def test_home_is_taken_before_and_after_the_verb_but_not_out_of_a_command_line(argv, home, rest):
    assert front.split_home(argv) == (home, rest)


def test_a_closed_pipe_ends_the_command_without_a_traceback(house):
    house.drop(smoke())
    reader, writer = os.pipe()
    os.close(reader)
    process = subprocess.Popen(house.command("schema"), stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    assert process.communicate(timeout=60)[1] == ""
    assert process.returncode == front.BROKEN_PIPE


def test_control_c_ends_a_waiting_command_with_130_and_no_traceback(daemon):
    process = subprocess.Popen(
        daemon.command("submit", "--wait", "--risk", "low", "--id", "slow", "--", "bash", "-c", "sleep 60"),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    until(lambda: daemon.names("running") == ["slow.json"], "the task to start")
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    # A Python that is interrupted while it compiles a class dies of the signal itself; a shell says 130 to both.
    assert process.returncode in (130, -signal.SIGINT)
    assert "Traceback" not in errors
    assert daemon.names("running") == ["slow.json"]


def complete(house, tmp_path, *lines):
    """What a real bash offers for each of these lines, through the script that the command itself prints."""
    script = command("--show-completion", "bash", env={"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"})
    assert script.returncode == 0, script.stderr
    wrapper = tmp_path / "bin" / "orchestrator"
    wrapper.parent.mkdir()
    wrapper.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m orchestrator "$@"\n')
    wrapper.chmod(0o755)
    asked = [
        f"COMP_WORDS=(orchestrator {line}); COMP_CWORD={len(line.split())}; _orchestrator_completion orchestrator\n"
        'echo "${COMPREPLY[@]}"\n'
        for line in lines
    ]
    environment = os.environ | {"PATH": f"{wrapper.parent}:{os.environ['PATH']}", "ORCHESTRATOR_HOME": str(house.root)}
    ran = subprocess.run(
        ["bash", "-c", script.stdout + "\n" + "".join(asked)],
        capture_output=True, text=True, env=environment, timeout=60,
    )  # fmt: skip
    return ran.stdout.splitlines()


def test_bash_completes_verbs_task_names_and_skills(house: House, tmp_path):
    for name in ("tsk_one", "tsk_two", "other"):
        house.drop(smoke(name))
    offered = complete(house, tmp_path, "sub", "show tsk_", "skills ba")
    assert offered == ["submit", "tsk_one tsk_two", "bash"]


def test_every_verb_has_help_with_an_example_of_itself():
    from typer.testing import CliRunner

    from orchestrator.cli.app import app

    runner = CliRunner()
    for verb in SUMMARY_OF:
        answer = runner.invoke(app, [verb, "--help"])
        assert answer.exit_code == 0, (verb, answer.output)
        _, example, lines = answer.output.partition("Example:")
        assert example, f"{verb} --help shows no example"
        assert f"orchestrator {verb}" in lines or f" {verb}" in lines


def test_a_usage_line_names_arguments_as_people_write_them():
    from typer.testing import CliRunner

    from orchestrator.cli.app import app

    for words, usage in (
        (["models"], "models [OPTIONS] [NAME]"),
        (["dispatch", "list"], "dispatch list [OPTIONS] BACKLOG"),
        (["schedule", "next"], "schedule next [OPTIONS] [NAME...]"),
    ):
        told = CliRunner().invoke(app, [*words, "--help"]).output
        assert told.partition("\n")[0].endswith(f" {usage}")
        assert not {"<str>", "<list[str]>"} & set(told.split()), "no type of ours"
