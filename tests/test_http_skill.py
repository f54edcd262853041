"""Steps of the http skill: what they may say, what the gate sees of them, and how a skill of one's own is made."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from http_calls import SKILLS
from standard_rules import RULES

from orchestrator.errors import FatalError, TaskError
from orchestrator.outcome import Call
from orchestrator.policy.decide import Context, decide
from orchestrator.skills import BindContext, Skills, bind, load_skills
from orchestrator.skills.http_request import HttpRequest
from orchestrator.skills.manifest import HTTP_INPUTS
from orchestrator.spec import Step, Task

ROOT = Path(__file__).parent.parent


def bound(inputs: dict[str, Any], skills: Skills = SKILLS, skill: str = "http", **step: Any) -> Call:
    made = Step.model_validate_json(json.dumps({"skill": skill, "with": inputs, **step}))
    task = Task(id="t", title="t", skills=(skill,), steps=(made,))
    context = BindContext("/work", {}, "", 1000, daemon_env={}, trusted_hosts=("api.example.com",))
    return bind(made, 0, task, skills, context)


def test_a_call_tells_rules_and_people_what_is_asked_but_no_value_of_a_header() -> None:
    call = bound(
        {"url": "http://LOCALHOST:80/a", "method": "POST", "query": {"q": "a b"}, "headers": {"X-Token": "geheim"},
         "json": {"k": 1}, "save": "out/a.json"},
    )  # fmt: skip
    assert call.argv == ("http", "POST", "http://localhost/a?q=a+b", "--header", "X-Token", "--json", '{"k":1}',
                         "--save", "out/a.json")  # fmt: skip
    assert call.args == call.argv[1:]
    assert call.runner == "http"
    assert call.inputs["headers"] == {"X-Token": "geheim"}


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({}, "needs the input `url`"),
        ({"url": "http://localhost/", "methd": "GET"}, "did you mean `method`?"),
        ({"url": "http://localhost/", "method": "TRACE"}, "one of GET"),
        ({"url": 1}, "of type string"),
        ({"url": "localhost"}, "not an absolute URL"),
        ({"url": "http://127.1/"}, "four decimal numbers"),
        ({"url": "http://other.example/"}, 'add "other.example" to trusted_hosts'),
        ({"url": "http://localhost/", "query": {"a": [1]}}, "input `query"),
        ({"url": "http://localhost/", "headers": ["a"]}, "of type object"),
        ({"url": "http://localhost/", "headers": {"Host": "x"}}, "`Host` can't be given"),
        ({"url": "http://localhost/", "headers": {"Transfer-Encoding": "chunked"}}, "can't be given"),
        ({"url": "http://localhost/", "headers": {"A b": "x"}}, "not the name of a header"),
        ({"url": "http://localhost/", "headers": {"A": 1}}, "must be a string"),
        ({"url": "http://localhost/", "headers": {"A": "x\r\nHost: y"}}, "line break"),
        ({"url": "http://localhost/", "headers": {"A": "x", "a": "y"}}, "twice"),
        ({"url": "http://localhost/", "json": {}, "body": "x"}, "can't both be the body"),
        ({"url": "http://localhost/", "body": "x", "body_file": "y"}, "can't both be the body"),
        ({"url": "http://localhost/", "expect_status": "ok"}, "is not a status"),
        ({"url": "http://localhost/", "expect_status": [200, True]}, "is not a status"),
        ({"url": "http://localhost/", "max_bytes": 0}, "input `max_bytes`"),
        *[
            ({"url": "http://localhost/", key: path}, f"input `{key}`: .* plain relative path")
            for key in ("save", "body_file")
            for path in ("/etc/passwd", "../x", "a/../b", "a//b", "./a", "~/x", "", "a/")
        ],
    ],
)
def test_a_mistake_is_told_before_the_task_runs(inputs: dict[str, Any], said: str) -> None:
    with pytest.raises(TaskError, match=said) as refused:
        bound(inputs)
    assert refused.value.reason == "invalid"


def test_args_are_refused() -> None:
    with pytest.raises(TaskError, match="takes no args"):
        bound({"url": "http://localhost/"}, args=["x"])


@pytest.mark.parametrize(
    ("inputs", "verdict"),
    [
        ({"url": "http://localhost:8080/x"}, "allow"),
        ({"url": "http://localhost/", "method": "DELETE"}, "allow"),
        (
            {"url": "https://api.example.com/", "method": "POST", "json": {"text": "$(rm -rf /) `x` ; rm -rf /"}},
            "allow",
        ),
        ({"url": "https://api.example.com/", "save": "data/x.json"}, "allow"),
        ({"url": "http://localhost:8080/", "method": "PUT", "body_file": "a.zip"}, "allow"),
        ({"url": "https://api.example.com/", "method": "PUT", "body_file": "a.zip"}, "needs_approval"),
    ],
)
def test_the_gate_lets_requests_pass_and_asks_before_a_file_leaves_this_machine(
    inputs: dict[str, Any], verdict: str
) -> None:
    decision = decide(bound(inputs), RULES, Context("medium", "low", workspace="/work"))
    assert decision.verdict == verdict, decision.reasons


MANIFEST = """
name = "notes"
description = "Asks the notes server"
runner = "http"
[inputs.url]
default = "http://localhost:9999/notes"
[inputs.json]
type = "json"
required = true
[inputs.method]
default = "POST"
choices = ["POST"]
"""


def write(folder: Path, text: str) -> str:
    (folder / "notes").mkdir()
    (folder / "notes" / "skill.toml").write_text(text)
    return str(folder)


def test_a_skill_of_ones_own_fixes_what_it_likes(tmp_path: Path) -> None:
    skills = load_skills(write(tmp_path, MANIFEST))
    call = bound({"json": [1]}, skills, "notes")
    assert call.argv == ("http", "POST", "http://localhost:9999/notes", "--json", "[1]")
    with pytest.raises(TaskError, match="no input `headers`"):
        bound({"json": [1], "headers": {}}, skills, "notes")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (MANIFEST.replace('runner = "http"', 'runner = "htp"'), "runner: "),
        (MANIFEST.replace('runner = "http"', 'runner = "http"\nargv = ["curl"]'), "argv: is for skills that start a"),
        (MANIFEST.replace('runner = "http"', 'runner = "http"\nrequires = ["curl"]'), "requires: is for skills"),
        (MANIFEST.replace("[inputs.method]", "[inputs.metod]"), "no input `metod`: did you mean `method`?"),
        (MANIFEST.replace("[inputs.method]", "[inputs.colour]"), "no input `colour`: it knows url, "),
        (MANIFEST.replace('type = "json"', 'type = "string"'), "inputs.json: its type must be json, not string"),
        (MANIFEST.replace("[inputs.url]", "[inputs.body]"), "`url` is missing"),
        (MANIFEST.replace('runner = "http"', ""), "argv: is missing"),
        (MANIFEST.replace('runner = "http"', 'argv = ["x", "{input.json}"]'), "inputs.json: a program takes text"),
    ],
)
def test_a_manifest_that_cannot_work_is_refused_when_it_is_loaded(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(FatalError, match=re.escape(said)):
        load_skills(write(tmp_path, text))


def test_a_manifest_may_declare_all_that_a_request_understands() -> None:
    assert set(HTTP_INPUTS) == {field.alias or name for name, field in HttpRequest.model_fields.items()}
    assert set(HTTP_INPUTS) == set(SKILLS.get("http").manifest.inputs)


def test_a_daemon_without_requests_does_not_load_what_they_need() -> None:
    heavy = "{'httpx', 'httpcore', 'orchestrator.hosts', 'orchestrator.skills.http_request'}"
    script = f"import sys, orchestrator.daemon; print(sorted({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout == "[]\n"


def test_the_manifest_in_the_documentation_works(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "http.md").read_text()
    (text,) = [block for block in re.findall(r"```toml\n(.*?)```", page, re.S) if "runner" in block]
    assert bound({"json": {"a": 1}}, load_skills(write(tmp_path, text)), "notes").argv[1] == "POST"


@pytest.mark.parametrize("headers", [{"Authorization": " hush"}, {"Authorization": "hush\n"}, ["hush"], "hush"])
def test_a_mistake_in_headers_does_not_show_their_values(headers: Any) -> None:
    with pytest.raises(TaskError) as refused:
        bound({"url": "http://localhost/", "headers": headers})
    assert "hush" not in refused.value.message
