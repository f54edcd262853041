"""What steps name for others: read from their file and their output, kept over a restart, refused where it is wrong."""

import contextlib
import json
import os
import signal
from pathlib import Path

import orjson
import pytest
from conftest import smoke, until
from hypothesis import given
from hypothesis import strategies as st
from sandbox_stage import need, yard

from orchestrator.cli import app
from orchestrator.execution.outputs import MAX_BYTES, OutputsError, noted, parse
from orchestrator.journal.past import result_of
from orchestrator.outcome import StepResult

NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,20}", fullmatch=True)
VALUES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=60)


@given(st.dictionaries(NAMES, VALUES, max_size=8))
def test_whatever_is_written_as_blocks_is_read_back(values):
    text = "".join(f"{name}<<END-{name}\n{value}\nEND-{name}\n" for name, value in values.items())
    assert parse(text.encode()) == values


@given(st.binary(max_size=200))
def test_whatever_stands_in_the_file_is_read_or_refused(data):
    with contextlib.suppress(OutputsError):
        assert all("\0" not in value for value in parse(data).values())


def test_lines_are_names_and_values_and_the_later_of_two_wins():
    assert parse(b"a=1\n\nb==x=y \na=2\nlong<<EOF\none\n\ntwo\nEOF\nlast=z") == {
        "a": "2", "b": "=x=y ", "long": "one\n\ntwo", "last": "z",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"ok=1\nhello world\n", "line 2: `hello world` is neither"),
        (b"a b=1\n", "line 1: `a b=1` is neither"),
        (b"1a=1\n", "line 1"),
        (b"a=1\nb=\xff\n", "line 2: is not UTF-8"),
        (b"a=1\nb<<EOF\nx\n", "line 2: the value of `b` has no end: a line `EOF` is missing"),
        (b"b<<\nx\n\n", "line 1: the value of `b` has no end"),
        (b"a=x\0y\n", "line 1"),
        (b"a<<E\nx\0y\nE\n", "contains a NUL"),
        (b"a=" + b"x" * MAX_BYTES, "more than 64 KiB"),
        (b"".join(b"a%d=1\n" % i for i in range(101)), "names 101 values; at most 100"),
        (b"\x1b[31m", r"`\x1b[31m` is neither"),
    ],
)
def test_what_is_no_output_is_refused_with_its_line(data, said):
    with pytest.raises(OutputsError, match=r"^[^\x1b]*$") as caught:
        parse(data)
    assert said in str(caught.value)


def test_a_link_or_a_pipe_in_the_place_of_the_file_is_not_followed(tmp_path):
    secret, place = tmp_path / "secret", tmp_path / "place"
    secret.write_text("password=x\n")
    place.symlink_to(secret)
    with pytest.raises(OutputsError, match="can't be read"):
        noted(str(place))
    os.mkfifo(place)
    with pytest.raises(OutputsError, match="no regular file"):
        noted(str(place))
    assert noted(str(place)) == {}


@pytest.mark.parametrize("level", ["bwrap", "landlock", "none"])
async def test_at_every_level_the_file_can_be_written_and_nothing_else_of_the_state_can(tmp_path, level):
    need(level)
    async with yard(tmp_path, level=level) as walls:
        call = walls.sandbox.confine(
            walls.stage.call("/bin/bash", "-c", 'echo "a=$PWD" >> "$ORCHESTRATOR_OUTPUT"', cwd=walls.workspace),
            "task.1", ".output.0.1",
        )  # fmt: skip
        finished = await walls.stage.runner.run(
            call, out_path=str(walls.stage.out), err_path=str(walls.stage.err), mark="m"
        )
        assert finished.code == 0, finished.stderr_tail
        assert noted(walls.sandbox.notes_path("task.1", ".output.0.1")) == {"a": str(walls.workspace)}
        assert not os.path.exists(walls.sandbox.notes_path("task.1", ".output.0.1"))  # what is left costs a thread
        if level != "none":
            assert await walls.refuses(f"echo x > {walls.home.state}/x || echo x > {walls.home.runs}/x")
        assert (await walls.bash('echo x > "$ORCHESTRATOR_OUTPUT"')).code == 0  # where nobody asks for outputs


def test_an_old_journal_without_outputs_is_still_read():
    told = orjson.loads(orjson.dumps(StepResult(0, "bash", (), "ok", 0)))
    del told["outputs"]
    assert result_of(told).outputs == {}


def step(script, **fields):
    return {"skill": "bash", "args": ["-c", script], **fields}


def test_outputs_of_a_daemons_tasks(house, capfd):
    """One daemon for all that is told in result.json."""
    house.sandbox = "auto"
    house.start()
    work = Path(house.root)
    (work / "in.txt").write_text("x")
    note = '>> "$ORCHESTRATOR_OUTPUT"'
    tasks = {
        "good": smoke("good", inputs=["in.*"], outputs=["made/*.txt", "in.txt"], steps=[
            step(f"echo v=1 {note}; echo only=a {note}"),
            step("mkdir -p made; echo y > made/b.txt; seq 3000 >&2; echo '{\"n\": {\"a/b\": [1, \"two\", null]}}'",
                 outputs={"two": "/n/a~1b/1", "one": "/n/a~1b/0", "all": "/n"}),
            step(f"echo v=2 {note}; false", optional=True),
        ]),
        "long": smoke("long", steps=[
            step("printf '['; seq -s, 1 20000; printf ']'", outputs={"last": "/19999"}),
        ]),
        "malformed": smoke("malformed", steps=[step(f"echo v=1 {note}"), step(f"echo nothing {note}"), step("true")]),
        "both": smoke("both", steps=[step(f"echo nothing {note}; exit 3")]),
        "nowhere": smoke("nowhere", steps=[step("echo '{}'", outputs={"x": "/a/b"})]),
        "no_json": smoke("no_json", steps=[step("echo hello", outputs={"x": "/a"})]),
        "too_much": smoke("too_much", steps=[step(f"printf 'a=%060000d' 0 {note}")] * 18),
        "no_input": smoke("no_input", inputs=["in.txt", "gone/*.txt", "../out"]),
        "no_output": smoke("no_output", outputs=["never.txt"]),
    }  # fmt: skip
    path = "${{ needs.good.outputs.only }}"
    tasks["stands_on_it"] = smoke("stands_on_it", title=f"Use {path}", needs=["good"], inputs=["in.txt", f"{path}*"])
    (work / "a.json").write_text("{}")
    (work / "stands_on_it.json").write_text(json.dumps(tasks["stands_on_it"]))
    for task in list(tasks.values())[:-1]:
        house.drop(task)
    # What `good` will name is no fault before it has ended.
    assert app.run(["--home", str(work), "submit", "--allow-unknown", str(work / "stands_on_it.json")]) == 0
    found = {name: house.result(name) for name in tasks}

    good = found["good"]
    assert good["status"] == "ok", good["reason"]
    assert good["outputs"] == {"v": "2", "only": "a", "two": "two", "one": "1", "all": '{"a/b":[1,"two",null]}'}
    assert [result["outputs"] for result in good["results"]][::2] == [{"v": "1", "only": "a"}, {"v": "2"}]
    assert good["files"] == ["made/b.txt", "in.txt"]
    assert (found["stands_on_it"]["status"], found["stands_on_it"]["title"]) == ("ok", "Use a")
    assert found["long"]["outputs"] == {"last": "20000"}
    reasons = {name: result["reason"] for name, result in found.items()}
    assert reasons["malformed"].startswith("step_failed: step 1 (bash): $ORCHESTRATOR_OUTPUT, line 1: `nothing` is nei")
    assert found["malformed"]["outputs"] == {"v": "1"}
    assert len(found["malformed"]["results"]) == 2
    assert "it exited with 3, and $ORCHESTRATOR_OUTPUT, line 1" in reasons["both"]
    assert "nothing at /a/b, where output `x` points to: there is no 'a'" in reasons["nowhere"]
    assert "standard output is not JSON" in reasons["no_json"]
    assert "more than 1024 KiB together" in reasons["too_much"]
    assert reasons["no_input"].startswith("inputs_missing: gone/*.txt, ../out is outside of the workspace")
    assert found["no_input"]["results"] == []
    assert reasons["no_output"].startswith("outputs_missing: never.txt (looked for in ")
    assert found["no_output"]["files"] == []
    assert not os.listdir(house.home.scratch) or os.listdir(house.home.scratch) == ["empty"]

    capfd.readouterr()
    app.run(["--home", str(work), "show", "good"])
    shown = capfd.readouterr().out
    assert "output    two = two\n" in shown
    assert "made      made/b.txt\n" in shown


def test_outputs_of_ended_steps_are_there_after_a_crash(daemon):
    gate = Path(daemon.root) / "gate"
    os.mkfifo(gate)
    script = f'echo child=$$ >> "$ORCHESTRATOR_OUTPUT"; echo $$ > pid; read x < {gate}'
    steps = [step('echo a=1 >> "$ORCHESTRATOR_OUTPUT"'), step(script, idempotent=True), step("true")]
    daemon.drop(smoke("cut", steps=steps))
    daemon.drop(smoke("stuck", steps=[steps[0], step("echo > stuck; sleep 600")]))
    until(lambda: all((Path(daemon.root) / name).exists() for name in ("pid", "stuck")), "the second steps")
    daemon.stop(signal.SIGKILL)
    daemon.start()
    with open(gate, "w") as opened:
        opened.write("go\n")
    result = daemon.result("cut")
    assert result["status"] == "ok", result["reason"]
    assert result["outputs"]["a"] == "1"
    assert int(result["outputs"]["child"]) > 0
    stuck = daemon.result("stuck")
    assert (stuck["status"], stuck["outputs"]) == ("interrupted", {"a": "1"})
