"""Templates in tasks: rendered before the gate and before the start, never twice, and steps that run on a condition."""

import json
import os
import signal
import subprocess
import sys

import pytest
from conftest import House, smoke
from typer.testing import CliRunner

from orchestrator import approvals
from orchestrator.cli.app import app
from orchestrator.execution.prepare import Tools, prepare
from orchestrator.intake.load import SpecError, load_task


def bash(script, *args, **fields):
    return {"skill": "bash", "args": ["-c", script, *args]} | fields


def task_of(spec):
    return load_task(json.dumps(spec).encode(), "a.json")


HOSTILE = 'it\'s $(touch pwned) `touch pwned`; touch pwned; "${{ vars.n }}"\n&& touch pwned #'


ARGV = "import sys; print(sys.argv[1:])"


def specs(root):
    """All that the one run of this module runs."""
    yield smoke(
        "values",
        title="Number ${{ vars.n }}",
        labels={"n": "${{ vars.n }}"},
        skills=["bash", "python"],
        vars={"x": HOSTILE, "n": 7, "flag": "-n"},
        env={"T": "${{ task.id }}"},
        steps=[
            bash("printf %s ${{ vars.x | sh }}", id="one"),
            bash('printf %s "$X"', id="two", env={"X": "${{ steps.one.stdout }}"}),
            bash("printf %s ${{ steps.two.stdout | sh }}; echo a=${{ env.T | sh }}>>$ORCHESTRATOR_OUTPUT", id="three"),
            {"skill": "python", "args": ["-c", ARGV, "${{ steps.three.stdout }}", "${{ vars.flag }}"]},
            bash('printf "%s" "$1"', "_", "${{ steps.three.outputs.a }}-${{ steps.three.code }}", id="five"),
        ],
        acceptance=[
            {"stdout_contains": "${{ steps.five.stdout }}"},
            {"command": "test ${{ steps.five.stdout | sh }} = values-0"},
            {"command": ["bash", "-c", 'test "$1" = 7', "_", "${{ vars.n }}"]},
        ],
    )  # fmt: skip
    yield smoke("fine", vars={"deploy": False}, steps=[
        bash("true", id="one"),
        bash("touch pwned", **{"if": "vars.deploy"}, id="never"),
        bash("exit 1", **{"if": "${{ steps.one.code == 1 }}"}),
        bash("echo ran", **{"if": "steps.never.status == 'skipped' and success()"}),
        bash("exit 1", **{"if": "failure()"}),
        bash("echo always", **{"if": "always()"}),
    ])  # fmt: skip
    yield smoke("broken", steps=[
        bash("exit 3", id="one"),
        bash("echo no"),
        bash("echo no", **{"if": "steps.one.code == 3"}),
        bash("echo ${{ steps.one.code | sh }}", **{"if": "failure() and steps.one.code == 3"}),
        bash("exit 4", **{"if": "always()"}),
        bash("echo still", **{"if": "always()"}),
        bash("echo no"),
    ])  # fmt: skip
    yield smoke("missing", steps=[
        bash("true", id="a"), bash("echo ${{ steps.a.outputs.b | sh }}"), bash("echo after", **{"if": "failure()"}),
    ])  # fmt: skip
    yield smoke("unchecked", steps=[bash("true", id="a")], acceptance=[{"stdout_contains": "${{ steps.a.outputs.b }}"}])
    yield smoke("denied", steps=[
        bash(f"echo {root}/policy/new.toml", id="one"), bash("echo '' > ${{ steps.one.stdout | sh }}"),
    ])  # fmt: skip
    for name, words in (("foreseen", "--quiet"), ("unforeseen", "--force")):
        steps = [bash(f"echo {words}", id="one")]
        steps.append(bash("git push ${{ steps.one.stdout | option | sh }} nowhere"))
        yield smoke(name, risk="high", steps=steps, title="Push: ${{ task.id }}")


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """A home in which all of them have run once; what was blocked was approved, and has run again."""
    house = House(tmp_path_factory.mktemp("home"))
    for spec in specs(house.root):
        house.drop(spec)
    house.run("run", "--once")
    answered = invoke(house, "approve", "foreseen", "unforeseen")
    assert answered.exit_code == 0, answered.output
    house.run("run", "--once")
    return house


@pytest.fixture
def prepared(house):
    tools = Tools.load(house.home)
    return lambda spec: prepare(task_of(spec), tools)


def invoke(house, *args):
    return CliRunner().invoke(app, ["--home", str(house.root), *args])


def test_values_reach_programs_as_they_are_and_are_never_rendered_again(ran):
    result = ran.result("values")
    assert result["status"] == "ok", result["reason"]
    assert (result["title"], result["labels"]) == ("Number 7", {"n": "7"})
    assert [step["stdout"] for step in result["results"][:3]] == [HOSTILE] * 3
    assert result["results"][3]["stdout"] == f"{[HOSTILE, '-n']}\n"
    assert result["results"][4]["stdout"] == "values-0"
    assert not (ran.root / "pwned").exists()


def test_steps_run_on_conditions_and_clean_up_after_a_failure(ran):
    good, bad = ran.result("fine"), ran.result("broken")
    assert (good["status"], [step["status"] for step in good["results"]]) == (
        "ok", ["ok", "skipped", "skipped", "ok", "skipped", "ok"],
    )  # fmt: skip
    assert bad["reason"].startswith("step_failed: step 0 (bash) `one` exited with 3")
    assert [step["status"] for step in bad["results"]] == ["failed", "skipped", "skipped", "ok", "failed", "ok"]
    assert bad["results"][3]["stdout"] == "3\n"
    assert "step 1 skipped" in invoke(ran, "show", "broken").stdout


def test_a_value_that_is_missing_in_the_end_fails_the_task_and_what_cleans_up_runs(ran):
    result = ran.result("missing")
    why = "template_error: steps[1].args[1]: ${{ steps.a.outputs.b | sh }}: `steps.a.outputs.b` is not defined"
    assert why in result["reason"]
    assert [step["status"] for step in result["results"]] == ["ok", "failed", "ok"]
    assert "template_error: acceptance[0].stdout_contains" in ran.result("unchecked")["reason"]


def test_a_late_value_goes_before_the_gate_and_an_approval_covers_what_could_be_foreseen(ran):
    denied, foreseen, unforeseen = (ran.result(name) for name in ("denied", "foreseen", "unforeseen"))
    assert denied["reason"].startswith("denied: step 1 (bash), judged again before it started")
    assert [len(result["results"]) for result in (denied, foreseen, unforeseen)] == [1, 2, 1]
    assert foreseen["status"] == "failed"  # it ran, and there is no such remote
    assert unforeseen["reason"].startswith("approval_required: step 1 (bash)")
    assert "with its values it is more than was approved: force" in unforeseen["reason"]


@pytest.mark.parametrize(
    ("fields", "reason", "said"),
    [
        ({"steps": [bash("echo ${{ vars.x }}")]}, "invalid", "steps[0]: ${{ vars.x }}: a value in a script"),
        ({"steps": [bash('echo "${{ vars.x | sh }}"')]}, "invalid", "outside of all quotes"),
        ({"steps": [bash("eval ${{ vars.x | sh }}")]}, "invalid", "read as code"),
        ({"steps": [{"skill": "python", "args": ["-c", "print('${{ vars.x }}')"]}]}, "invalid", "read as code"),
        ({"steps": [{"skill": "node", "args": ["-e", "f(${{ vars.x }})"]}]}, "invalid", "read as code"),
        ({"steps": [bash("true", "${{ vars.x | sh }}")]}, "invalid", "is for the scripts of a shell"),
        ({"acceptance": [{"command": "test ${{ vars.x }}"}]}, "invalid", "acceptance: ${{ vars.x }}: a value"),
        ({"steps": [bash("echo ${{ vars.map.k | sh }}")]}, "template_error", "args[1]: ${{ vars.map.k | sh }}: `k` is"),
        ({"steps": [bash("grep ${{ vars.dash | sh }} f")]}, "template_error", "may take for an option: put `--`"),
        ({"steps": [{"skill": "git", "args": ["${{ vars.dash }}"]}]}, "template_error", "may take for an option"),
        ({"title": "${{ vars.long }}"}, "template_error", "title: "),
        ({"steps": [bash("true", **{"if": "vars.x"})]}, "template_error", "steps[0].if: must be true or false"),
    ],
)  # fmt: skip
def test_what_can_not_be_rendered_is_refused_by_its_place(prepared, fields, reason, said):
    spec = smoke("bad", skills=["bash", "python", "git", "node"], **fields)
    spec["vars"] = {"x": "a b", "map": {}, "dash": "-f", "long": "x" * 600}
    refusal = prepared(spec).refusal
    assert refusal.reason == reason
    assert said in refusal.message


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"steps": [bash("${{ vars.naem | sh }}")]}, "steps[0].args[1]: ${{ vars.naem | sh }}: `vars` has no `naem`"),
        ({"steps": [bash("${{ vars.naem | sh }}")]}, "(did you mean 'name'?)"),
        ({"steps": [bash("${{ env.B | sh }}", env={"A": ""})]}, "neither the task's `env` nor the step's sets `B`"),
        ({"steps": [bash("${{ steps.b.code | sh }}"), bash("", id="b")]}, "step `b` does not come before"),
        ({"steps": [bash("", id="b"), bash("${{ steps.b.stdin | sh }}")]}, "`steps.b` has no `stdin`"),
        ({"steps": [bash("${{ needs.x.status | sh }}")]}, "`x` is not among the task's `needs`"),
        ({"steps": [bash("${{ task.name | sh }}")]}, "`task` has no `name`, but id"),
        ({"steps": [bash("${{ failure() | sh }}")]}, "`failure()` is for the `if` of a step"),
        ({"steps": [bash("", **{"if": "vars.naem"})]}, "steps[0].if: ${{ vars.naem }}: `vars` has no `naem`"),
        ({"title": "${{ steps.x.code }}"}, "fixed before the first step"),
        ({"acceptance": [{"file_updated": "${{ steps.a.stdout }}"}]}, "fixed before the first step"),
        ({"parent": "x", "notify": {"channels": ["${{ x }}"]}}, "there is no `x`"),
        ({"resources": {"${{ vars.name }}": 1}}, "is not replaced in a key"),
    ],
)  # fmt: skip
def test_what_will_never_be_there_is_refused_when_the_spec_comes(fields, said):
    with pytest.raises(SpecError) as caught:
        task_of(smoke("a", vars={"name": "x", "literal": "${{ not looked at }}"}, **fields))
    assert said in "\n".join(problem.render("a.json") for problem in caught.value.problems)


def test_validate_and_explain_show_what_would_run_and_submit_refuses(house):
    steps = [bash("echo ${{ vars.x | sh }}", id="one"), bash("ls ${{ steps.one.stdout | sh }}")]
    spec, path = smoke("seen", vars={"x": "a b"}, steps=steps), house.root / "seen.json"
    path.write_text(json.dumps(spec))
    steps.append(bash("git push --force origin main", **{"if": "vars.x == ''"}))
    path.write_text(json.dumps(spec))
    said = invoke(house, "explain", str(path)).stdout
    assert "note      will not start: its `if` is false\n\nseen: allowed" in said
    assert "echo 'a b'" in said
    assert '"$LATE_1"' in said
    steps[0]["args"][1] = "echo '${{ vars.x | sh }}'"
    path.write_text(json.dumps(spec))
    checked = invoke(house, "validate", str(path))
    assert (checked.exit_code, "outside of all quotes" in checked.stdout) == (2, True)
    assert invoke(house, "submit", str(path)).exit_code == 2
    assert house.names("inbox") == []
    house.drop(smoke("titled", title="Is ${{ vars.x }} of ${{ task.id }}", vars={"x": "a b"}))
    house.drop("id: yam\ntitle: Is ${{ vars.gone }}\nskills: []\nsteps: []\n", "yam.yaml")
    listed = json.loads(invoke(house, "list", "--json").stdout)
    assert {entry["title"] for entry in listed} == {"Is a b of titled", "Is ${{ vars.gone }}"}


def test_the_gate_judges_what_is_resolved(prepared):
    early = smoke("early", vars={"to": "../../policy"}, steps=[bash("rm -r -- ${{ vars.to | sh }}")])
    early["vars"]["to"] = str(prepared(early).tools.home.policy)
    assert prepared(early).decision.verdict == "deny"
    assert prepared(early | {"vars": {"to": "build"}}).decision.verdict == "allow"
    skipped = early | {"steps": [early["steps"][0] | {"if": "vars.to == 'build'"}]}
    assert prepared(skipped).decision.verdict == "allow"
    named = smoke("named", steps=[bash("echo ls", id="one"), bash("${{ steps.one.stdout | sh }} -l")])
    assert "shell.dynamic" in [reason.rule for reason in prepared(named).decision.reasons]


def test_an_approval_is_for_the_spec_with_its_values(prepared):
    spec = smoke("asked", vars={"branch": "main"}, steps=[bash("git push --force origin -- ${{ vars.branch | sh }}")])
    one, other = (prepared(spec | {"vars": {"branch": name}}) for name in ("main", "release"))
    assert one.decision.verdict == "needs_approval"
    assert approvals.digest(one.spec) != approvals.digest(other.spec)
    assert approvals.digest(one.spec) == approvals.digest(prepare(one.spec, one.tools).spec)


def test_it_goes_on_after_a_crash_with_the_values_of_what_had_run(house, tmp_path):
    os.mkfifo(tmp_path / "gate")
    spec = smoke("cut", steps=[
        bash(f"echo ran >> {tmp_path}/one; echo value", id="one"),
        bash("exit 1", **{"if": "steps.one.stdout == 'other'"}, id="not"),
        bash("cat $GATE; echo ${{ steps.one.stdout | sh }}-${{ steps.not.status | sh }}", idempotent=True),
    ], env={"GATE": f"{tmp_path}/gate"})  # fmt: skip
    house.drop(spec)
    daemon = subprocess.Popen(house.command("run", "--once"), env=house.environ, stdout=subprocess.DEVNULL)
    with open(tmp_path / "gate", "w"):  # opens once the third step reads it
        daemon.send_signal(signal.SIGKILL)
        daemon.wait()
    os.remove(tmp_path / "gate")
    (tmp_path / "gate").touch()
    house.run("run", "--once")
    result = house.result("cut")
    assert (result["status"], result["results"][2]["stdout"]) == ("ok", "value-skipped\n")
    assert (tmp_path / "one").read_text() == "ran\n"
    assert [step["status"] for step in result["results"]] == ["ok", "skipped", "ok"]


def test_a_task_without_templates_does_not_import_the_engine(house):
    code = """
import sys
from orchestrator.execution.prepare import Tools, prepare
from orchestrator.home import Home
from orchestrator.intake.load import load_task
import orchestrator.daemon
assert prepare(load_task(sys.stdin.buffer.read(), "a.json"), Tools.load(Home(sys.argv[1]))).refusal is None
assert "jinja2" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code, str(house.root)], input=json.dumps(smoke("plain")).encode(), check=True)


def test_values_of_needed_tasks_are_late_until_these_have_ended_and_then_bind_an_approval(house, prepared):
    spec = smoke("after", needs=["first"], steps=[bash("git push --force ${{ needs.first.outputs.where | sh }}")])
    before = prepared(spec)
    assert before.calls[0].args[1] == 'git push --force "$LATE_1"'
    house.drop(smoke("first", "echo where=there >> $ORCHESTRATOR_OUTPUT"))
    house.run("run", "--once")
    after = prepared(spec)
    assert after.calls[0].args[1] == "git push --force 'there'"
    answer = approvals.compose("approved", before.spec, "after.json", before.decision, seconds=60, text="")
    assert "did not cover" in answer.why_changed(approvals.digest(after.spec), after.decision.files)
    answer = approvals.compose("approved", after.spec, "after.json", after.decision, seconds=60, text="")
    assert answer.why_changed(approvals.digest(after.spec), prepared(spec).decision.files) is None
