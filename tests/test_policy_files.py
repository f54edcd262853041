"""Scripts that a command only names: Makefile recipes, package scripts, git aliases, script files; and that a call is
judged again, with what these files hold by then, right before it starts."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import House, smoke
from standard_rules import RULES

from orchestrator.execution.files import ScriptFiles
from orchestrator.outcome import Decision
from orchestrator.policy.decide import Context, decide
from orchestrator.policy.lines import judge
from orchestrator.policy.paths import Places
from orchestrator.policy.rule_examples import example_call
from orchestrator.policy.rules import Rules
from orchestrator.shell import ELF, LARGEST_SCRIPT, find_commands
from orchestrator.shell.unwrap import PROJECT_PROGRAMS
from orchestrator.shell.wrappers import UNWRAP

WIPE = "rm -rf ~"
PUSH = "git push --force"
LINE = f"{PUSH}\n"


@pytest.fixture(scope="module")
def rules() -> Rules:
    return RULES


class Known:
    """Files of a workspace that is not on this disk."""

    looked = True

    def __init__(self, texts: dict[str, str]) -> None:
        self.read = texts.get

    def real(self, path: str) -> str:
        return path


def judged(script: str, files: dict[str, str], rules: Rules) -> Decision:
    """The gate's answer about a script in a workspace that holds these files."""
    known = {f"/home/user/work/{name}" if name[:1] != "~" else f"/home/user{name[1:]}": files[name] for name in files}
    context = Context(
        risk="low", home_dir="/home/user/work", workspace="/home/user/work", user_home="/home/user", files=Known(known)
    )
    return decide(example_call(script), rules, context)


@pytest.mark.parametrize(
    ("script", "files"),
    [
        pytest.param("bash clean.sh", {"clean.sh": WIPE}, id="a script file"),
        pytest.param("./clean", {"clean": f"#!/bin/sh\n{WIPE}\n"}, id="a program with a #! line"),
        pytest.param(". ./env.sh", {"env.sh": WIPE}, id="a sourced file"),
        pytest.param("cd tools && sh x.sh", {"tools/x.sh": WIPE}, id="a file in the folder that cd went to"),
        pytest.param("bash x.sh ~", {"x.sh": 'rm -rf "$1"'}, id="an argument of a script file"),
        pytest.param("timeout 5 bash < x.sh", {"x.sh": WIPE}, id="a file that a shell reads"),
        pytest.param("python3 x.py", {"x.py": "import shutil, os\nshutil.rmtree(os.path.expanduser('~'))"}, id="py"),
        pytest.param("./x", {"x": "#!/usr/bin/env python3\nimport os\nos.system('rm -rf ~')"}, id="Python by #!"),
        pytest.param("node x.js", {"x.js": "require('child_process').execSync('rm -rf ~')"}, id="node"),
        pytest.param("make clean", {"Makefile": f"all:\n\ttrue\nclean:\n\t@{WIPE}\n"}, id="a Makefile's target"),
        pytest.param("make", {"makefile": f"all: gone\n\ttrue\ngone:\n\t-{WIPE}\n"}, id="the default target"),
        pytest.param("make -C sub wipe", {"sub/Makefile": "D := ~\nwipe:\n\trm -rf $(D)\n"}, id="variables, -C"),
        pytest.param("make D=~ wipe", {"Makefile": "D = build\nwipe:\n\trm -rf ${D}\n"}, id="a variable given to make"),
        pytest.param("npm test", {"package.json": '{"scripts": {"test": "rm -rf ~"}}'}, id="npm test"),
        pytest.param("npm run lint", {"package.json": '{"scripts": {"prelint": "rm -rf ~"}}'}, id="a pre script"),
        pytest.param("npm ci", {"package.json": '{"scripts": {"postinstall": "rm -rf ~"}}'}, id="an install script"),
        pytest.param("yarn wipe", {"package.json": '{"scripts": {"wipe": "rm -rf ~"}}'}, id="yarn"),
        pytest.param(
            "npm run a", {"package.json": '{"scripts": {"a": "npm run b", "b": "rm -rf ~"}}'}, id="nested scripts"
        ),
        pytest.param("git wipe", {".git/config": "[alias]\n\twipe = !rm -rf ~\n"}, id="a git alias of a program"),
        pytest.param("git wipe", {"~/.gitconfig": '[alias]\n\twipe = "!rm -rf ~"\n'}, id="the user's git alias"),
        pytest.param("bash a.sh", {"a.sh": "bash b.sh", "b.sh": WIPE}, id="a script that runs a script"),
    ],
)  # fmt: skip
def test_what_a_named_file_would_run_is_judged(script: str, files: dict[str, str], rules: Rules) -> None:
    assert judged(script, files, rules).verdict == "deny"
    assert judged(script, {}, rules).verdict == "allow"


@pytest.mark.parametrize(
    ("script", "files"),
    [
        pytest.param("make test", {"Makefile": f"test:\n\tpytest\nwipe:\n\t{WIPE}\n"}, id="another target"),
        pytest.param("npm run build", {"package.json": '{"scripts": {"wipe": "rm -rf ~"}}'}, id="another script"),
        pytest.param("make clean", {"Makefile": "include x.mk\nclean:\n\trm -rf $(BUILD)/obj\n"}, id="unknown"),
        pytest.param("git status", {".git/config": "[alias]\n\tstatus = !rm -rf ~\n"}, id="git ignores such an alias"),
        pytest.param("bash x.sh", {"x.sh": "echo 'rm -rf ~'\n# rm -rf ~\n"}, id="data in a script file"),
        pytest.param("python3 x.py", {"x.py": "exec(compile(open('y').read(), 'y', 'exec'))"}, id="a program computes"),
        pytest.param("npm i left-pad", {"package.json": '{"scripts": {"postinstall": "rm -rf ~"}}'}, id="not ours"),
    ],
)  # fmt: skip
def test_what_a_named_file_would_not_run_is_left_alone(script: str, files: dict[str, str], rules: Rules) -> None:
    assert judged(script, files, rules).verdict == "allow"


def test_a_decision_that_depends_on_a_file_is_not_remembered(rules: Rules) -> None:
    assert judged("bash later.sh", {"later.sh": "echo fine"}, rules).verdict == "allow"
    assert judged("bash later.sh", {"later.sh": WIPE}, rules).verdict == "deny"


@pytest.mark.parametrize("shape", ["{}", "sudo {}", "echo x | {}", "{} -c", "{} -C --", "env -S {}"])
def test_every_wrapper_is_read_whatever_is_missing_behind_it(shape: str, rules: Rules) -> None:
    for name in (*UNWRAP, *PROJECT_PROGRAMS, "python3", "node", "awk", "bash", "curl"):
        assert judged(shape.format(name), {}, rules).verdict in ("allow", "needs_approval")


def test_the_files_of_a_command_are_asked_for_by_name() -> None:
    assert find_commands(("bash", "-c", "cd a && make -C b x && ./run.sh")).wants == [
        "a/b/GNUmakefile", "b/GNUmakefile", "a/b/makefile", "b/makefile", "a/b/Makefile", "b/Makefile",
        "a/./run.sh", "./run.sh",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("script", "verdict"),
    [
        ("rm -rf link/*", "needs_approval"),
        ("rm -rf link/sub", "needs_approval"),
        ("echo x > link/file", "needs_approval"),
        ("echo x > rules.toml", "deny"),
        ("rm rules.toml link", "allow"),
        ("rm -rf inner/*", "allow"),
    ],
)
def test_symbolic_links_of_the_workspace_are_followed_but_not_where_the_link_itself_goes(
    tmp_path: Path, rules: Rules, script: str, verdict: str
) -> None:
    home, workspace, elsewhere = tmp_path / "home", tmp_path / "work", Path("/data/old")
    for folder in (home / "policy", workspace / "build"):
        folder.mkdir(parents=True)
    (workspace / "link").symlink_to(elsewhere)
    (workspace / "inner").symlink_to("build")
    (workspace / "rules.toml").symlink_to(home / "policy/10-files.toml")
    context = Context(
        risk="low", home_dir=str(home), workspace=str(workspace), user_home="/home/user", files=ScriptFiles()
    )
    call = replace(example_call(script), cwd=str(workspace))
    assert decide(call, rules, context).verdict == verdict


@pytest.mark.parametrize(
    "script", ["echo debug: true > config/app.yaml", "rm policy/notes.md", "cp x.toml policy/", "touch state/x"]
)
def test_the_orchestrators_own_folders_are_its_own_and_a_projects_are_not(script: str, rules: Rules) -> None:
    home = Context(risk="low", home_dir="/home/user/work", workspace="/home/user/work", user_home="/home/user")
    assert decide(example_call(script), rules, home).verdict == "deny"
    assert decide(example_call(script), rules, replace(home, home_dir="/home/user/orch")).verdict == "allow"


def test_only_regular_files_are_read_and_each_once(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("echo")
    (tmp_path / "mixed").write_bytes(b"echo\0\n")
    (tmp_path / "large").write_bytes(b"#" * (2 * LARGEST_SCRIPT))
    (tmp_path / "program").write_bytes(b"\x7fELF\0")
    import os

    os.mkfifo(tmp_path / "fifo")
    files = ScriptFiles()
    read = {name: files.read(f"{tmp_path}/{name}") for name in ("text", "mixed", "large", "program", "fifo", "none")}
    (tmp_path / "text").write_text("changed")
    assert read == {
        "text": "echo", "mixed": "echo\n", "large": "#" * (LARGEST_SCRIPT + 1), "program": ELF,
        "fifo": None, "none": None,
    }  # fmt: skip
    assert files.read(f"{tmp_path}/text") == "echo"
    assert [path for path, _ in files.digests()] == [f"{tmp_path}/{name}" for name in ("large", "mixed", "text")]


def test_a_long_file_that_changes_anywhere_has_another_digest(tmp_path: Path) -> None:
    def digest() -> str:
        files = ScriptFiles()
        files.read(f"{tmp_path}/large")
        return dict(files.digests())[f"{tmp_path}/large"]

    (tmp_path / "large").write_bytes(b"#" * (2 * LARGEST_SCRIPT))
    before = digest()
    assert before == hashlib.sha256(b"#" * 2 * LARGEST_SCRIPT).hexdigest()
    with (tmp_path / "large").open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"!")
    assert digest() != before


@pytest.mark.parametrize(
    "content",
    [LINE.encode() + b"#" * LARGEST_SCRIPT, b"#\n" * LARGEST_SCRIPT + LINE.encode(), b"true\n\0\n" + LINE.encode(),
     b"\x7fELF\n" + LINE.encode()],
    ids=["long", "late", "nul", "elf"],
)  # fmt: skip
def test_a_shell_is_handed_no_file_that_the_gate_cannot_read(content: bytes, tmp_path: Path, rules: Rules) -> None:
    (tmp_path / "x.sh").write_bytes(content)
    context = Context(risk="low", workspace=str(tmp_path), files=ScriptFiles(str(tmp_path)))
    assert judge({"skill": "sh", "args": ["x.sh"]}, rules, context).verdict == "needs_approval"


def test_a_long_makefile_is_not_passed_over_and_a_long_bundle_is_no_alarm(tmp_path: Path, rules: Rules) -> None:
    (tmp_path / "Makefile").write_text("#\n" * LARGEST_SCRIPT + f"x:\n\t{LINE}")
    (tmp_path / "bundle.js").write_text("var x = '" + "abc;" * LARGEST_SCRIPT + "'\n")
    (tmp_path / "program").write_bytes(Path("/bin/true").read_bytes())
    context = Context(risk="low", workspace=str(tmp_path), files=ScriptFiles(str(tmp_path)))
    assert judge({"skill": "make", "args": ["x"]}, rules, context).verdict == "needs_approval"
    assert judge({"skill": "node", "args": ["bundle.js"]}, rules, context).verdict == "allow"
    assert judge({"skill": "bash", "args": ["-c", "./program; ./program"]}, rules, context).verdict == "allow"


def test_scripts_of_the_workspace_and_of_temporary_folders_are_read_wherever_they_lie(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []

    def refuse(path: str, _flags: int) -> int:
        asked.append(path)
        raise FileNotFoundError

    monkeypatch.setattr("orchestrator.execution.files.os.open", refuse)
    files = ScriptFiles("/opt/app")
    for path in ("/opt/app/x.sh", "/dev/shm/x.sh", "/opt/apple/x.sh", "/usr/bin/x", "/proc/self/x"):
        files.read(path)
    assert asked == ["/opt/app/x.sh", "/dev/shm/x.sh"]


def test_the_kernels_other_name_for_the_folder_leads_to_the_same_file(tmp_path: Path, rules: Rules) -> None:
    (tmp_path / "x.sh").write_text(LINE)
    context = Context(risk="low", workspace=str(tmp_path), files=ScriptFiles(str(tmp_path)))
    assert judge({"skill": "bash", "args": ["/proc/self/cwd/x.sh"]}, rules, context).verdict == "needs_approval"
    assert Places("/home/user", str(tmp_path), (str(tmp_path),)).resolve("/proc/self/cwd/..", False) == (
        str(tmp_path.parent),
    )


def test_a_script_that_an_earlier_step_wrote_is_judged_before_it_runs(house: House) -> None:
    (house.root / "source.txt").write_text("touch ran; git push --force origin main\n")
    steps = [
        {"skill": "bash", "args": ["-c", "cp source.txt later.sh"]},
        {"skill": "bash", "args": ["later.sh"]},
    ]
    house.drop(smoke("two-faced", steps=steps))
    house.run("run", "--once")
    result = house.result("two-faced")
    assert (result["status"], [step["status"] for step in result["results"]]) == ("blocked", ["ok"])
    assert result["reason"].startswith("approval_required: step 1 (bash), judged again before it started")
    assert not (house.root / "ran").exists()


def test_what_the_environment_approves_may_run_what_an_earlier_step_wrote(house: House) -> None:
    (house.root / "source.txt").write_text(f"{PUSH} || true\n")
    steps = [
        {"skill": "bash", "args": ["-c", "cp source.txt later.sh"]},
        {"skill": "bash", "args": ["later.sh"]},
    ]
    house.drop(smoke("generated", steps=steps, risk="high"))
    house.run("run", "--once", env={"LOCAL_ALLOW_HIGH": "1"})
    assert house.result("generated")["status"] == "ok"


def test_a_command_check_is_judged_again_too(house: House) -> None:
    (house.root / "source.txt").write_text("touch ran; rm -rf ~\n")
    steps = [{"skill": "bash", "args": ["-c", "cp source.txt check.sh"]}]
    house.drop(smoke("checked", steps=steps, acceptance=[{"command": "bash check.sh"}]))
    house.run("run", "--once")
    assert house.result("checked")["status"] == "denied"
    assert not (house.root / "ran").exists()


@pytest.mark.parametrize("script", ["bash -n x.sh", "bash --norc -n x.sh ~", "dash -n x.sh"])
def test_a_shell_that_only_reads_a_script_for_its_syntax_runs_nothing_of_it(rules: Rules, script: str) -> None:
    for text in (WIPE, "if true; then\n", '"$1" x'):
        assert judged(script, {"x.sh": text}, rules).verdict == "allow"


@pytest.mark.parametrize(
    "script",
    [
        "bash -n -i x.sh", "bash -ni x.sh", "bash -n +n x.sh", "bash +n x.sh", "zsh -n x.sh", "bash --norc x.sh",
        "bash -n $X x.sh", "bash -n -- -i x.sh && bash x.sh", "BASH_ENV=x.sh bash -n y.sh",
    ],
)  # fmt: skip
def test_one_that_may_run_it_is_read_as_any(rules: Rules, script: str) -> None:
    assert judged(script, {"x.sh": WIPE, "y.sh": "true"}, rules).verdict != "allow"
